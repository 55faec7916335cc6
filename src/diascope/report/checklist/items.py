"""The items of two reporting checklists in our own words, with their numbers and the rule that fills them.

CLAIM: Checklist for Artificial Intelligence in Medical Imaging, 2024 update (Tejani et al. 2024), items 1 to 44.
TRIPOD+AI: reporting of clinical prediction models by regression or machine learning (Collins et al. 2024), items 1 to
27c. Items that ask the same share a row here; an item that asks several things may stand in several rows.
"""

from dataclasses import dataclass

from diascope.report.checklist import about_data, about_results, about_training
from diascope.report.checklist.fact import Rule


@dataclass(frozen=True)
class Item:
    """One row: `claim` and `tripod` are item numbers, `statement` the key of ReportConfig where the user may say it."""

    key: str
    title: str
    claim: tuple[str, ...]
    tripod: tuple[str, ...]
    rule: Rule
    statement: str = ""


def _item(key: str, title: str, claim: str, tripod: str, rule: Rule, statement: str = "") -> Item:
    return Item(key, title, tuple(claim.split()), tuple(tripod.split()), rule, statement)


_patients = about_data.of_patients

ITEMS = (
    _item("identification", "Kind of method", "1", "", about_training.identification),
    _item("background", "Clinical background", "3", "3a", about_data.unknown, "clinical_background"),
    _item("intended_use", "Intended use and users", "3 41", "3b 27a 27b", about_data.unknown, "intended_use"),
    _item("fairness", "Inequalities and fairness", "", "3c 14", about_results.fairness, "fairness"),
    _item("objectives", "Question of the study", "4", "4", about_training.objectives),
    _item("goal", "Goal of the study", "6", "4", about_training.goal),
    # data
    _item("data_origin", "Origin of the images", "5 7", "5a 5b 6a", about_data.origin, "data_origin"),
    _item("eligibility", "Who and what was included", "8 10 35", "6b 6c 20a", about_data.eligibility, "eligibility"),
    _item("preprocessing", "Preparation of the images", "9", "7 12b", about_data.preprocessing, "preprocessing"),
    _item("deidentification", "Removal of identities", "11", "", _patients, "deidentification"),
    _item("missing_data", "Missing data", "12", "11", about_data.missing, "missing_data"),
    _item("acquisition", "How the images were taken", "13", "9b", _patients, "acquisition"),
    _item("reference_standard", "True classes", "14 15", "8a", about_data.reference_standard, "reference_standard"),
    _item("annotators", "Who gave the labels", "16 17 18", "8b 8c", _patients, "annotators"),
    _item("demographics", "Who the patients are", "36", "20b 20c", _patients, "demographics"),
    _item("sample_size", "Reason for the sample size", "21", "10", about_data.sample_size, "sample_size_rationale"),
    # sides
    _item("partition", "How the sides were made", "19", "12a", about_data.partition, "partition"),
    _item("disjoint", "What is never on two sides", "20", "", about_data.disjoint, "partition"),
    _item("side_differences", "Differences between the sides", "", "16", about_data.side_differences, "partition"),
    _item("numbers", "Images on each side", "", "21", about_data.numbers),
    _item("class_balance", "Unequal classes", "", "13", about_data.class_balance),
    # networks and training
    _item("model", "Networks", "22", "9a 12c", about_training.model),
    _item(
        "model_rationale", "Reasons for networks and settings", "", "12c", about_training.rationale, "model_rationale"
    ),
    _item("output", "Output and threshold", "22", "12g 15", about_training.output),
    _item("initialization", "Initial weights", "24", "", about_training.initialization),
    _item("training", "Training", "25", "12c", about_training.training),
    _item("runs", "Trainings done, failed and left out", "25", "", about_training.runs),
    _item("selection", "Choice of the epoch and the model", "26", "", about_training.selection),
    _item("ensembling", "Ensembles", "27", "", about_training.ensembling),
    _item("updating", "Updating of a model", "", "12f 24", about_training.updating),
    _item("software", "Software and machine", "23", "", about_training.software),
    # evaluation
    _item("metrics", "Metrics and plots", "28", "12e", about_results.metrics),
    _item("uncertainty", "Intervals and tests", "29", "12e", about_results.uncertainty),
    _item("robustness", "Robustness", "30", "", about_results.robustness),
    _item("explainability", "Explanations of predictions", "31", "", about_results.explainability),
    _item("internal", "Evaluation on the same data set", "32", "12c", about_results.internal),
    _item("external", "Test on data from elsewhere", "33", "", about_results.external, "external_test"),
    _item("heterogeneity", "Results in subgroups and centres", "", "12d 23a 23b", about_results.heterogeneity),
    # results
    _item("performance", "Scores", "37", "", about_results.performance),
    _item("precision", "Precision of the scores", "38", "23a", about_results.precision),
    _item("comparisons", "Comparisons of the arms", "29 37", "12e", about_results.comparisons),
    _item("failures", "Wrongly classified images", "39", "", about_results.failures, "failure_analysis"),
    # discussion, and the rest
    _item("limitations", "Limitations", "40", "26", about_results.limitations, "limitations"),
    _item(
        "implications", "What it means, and what is next", "41", "25 27c", about_results.implications, "implications"
    ),
    _item("registration", "Registration and protocol", "34 42", "18c 18d", about_data.unknown, "registration"),
    _item("ethics", "Ethics approval and consent", "", "17", _patients, "ethics"),
    _item("funding", "Funding", "44", "18a", about_data.unknown, "funding"),
    _item("conflicts", "Competing interests", "", "18b", about_data.unknown, "conflicts"),
    _item("patient_involvement", "Patients and public", "", "19", about_data.unknown, "patient_involvement"),
    _item("data_availability", "Access to the data", "43", "18e", about_data.availability, "data_availability"),
    _item("code_availability", "Access to code and networks", "43", "18f 22", about_training.code, "code_availability"),
)

LEFT_OUT = {
    ("CLAIM", "2"): "the abstract is written in the manuscript",
    ("TRIPOD+AI", "1"): "the title is written in the manuscript",
    ("TRIPOD+AI", "2"): "the abstract is written in the manuscript",
    ("TRIPOD+AI", "9c"): "the predictors are pixels, which nobody assesses",
}
