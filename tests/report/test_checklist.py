"""The reporting checklist: what fills an item, what leaves it open, and that no item and no number is lost."""

import json
import re
import shutil
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from ruamel.yaml import YAML
from study_folders import write_study

from diascope.config import ReportConfig
from diascope.report.checklist import (
    STATUSES,
    checklist,
    checklist_markdown,
    checklist_section,
    count_line,
    unstated_yaml,
)
from diascope.report.checklist.items import ITEMS, LEFT_OUT
from diascope.report.environment import TEMPLATES
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord
from diascope.studyfile import parse_study

MakeStudy = Callable[..., Path]
Summary = dict[str, Any]

NOTHING = ReportConfig()
KEYS = [name for name, field in ReportConfig.model_fields.items() if field.annotation is str]
FROM_PATIENTS = {"source": "skin/lab.csv", "group": "lesion_id"}
# The item numbers of the two checklists, as published (Tejani et al. 2024; Collins et al. 2024).
CLAIM = {str(number) for number in range(1, 45)}
TRIPOD = set(
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b 18c "
    "18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c".split()
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    return summarize(StudyRecord(write_study(tmp_path_factory.mktemp("finished") / "study", data=FROM_PATIENTS)))


@pytest.fixture
def summary(finished: Summary) -> Summary:
    """A finished study of files: 2 arms, 3 seeds, a drawn split by group, and intervals as a later version has them."""
    found = deepcopy(finished)
    _no_intervals(found)
    for arm in found["arms"].values():
        arm["metrics"]["accuracy"] |= {"low": 0.61, "high": 0.82, "method": "bootstrap over groups, 95%"}
    row = {"arm": "dropout", "against": "baseline", "metric": "accuracy", "difference": 0.031, "low": -0.02}
    row |= {"high": 0.08, "p_holm": 0.2, "method": "paired t, 95%", "verdict": "not shown", "sentence": ""}
    found["comparisons"] = [row]
    return found


def by_key(summary: Summary, **statements: str) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in checklist(summary, ReportConfig(**statements))}


# ---- the items themselves ----


def test_every_number_of_both_checklists_has_a_place() -> None:
    left_out = {name: {number for of, number in LEFT_OUT if of == name} for name in ("CLAIM", "TRIPOD+AI")}
    claim = {number for item in ITEMS for number in item.claim}
    tripod = {number for item in ITEMS for number in item.tripod}
    assert claim | left_out["CLAIM"] == CLAIM
    assert tripod | left_out["TRIPOD+AI"] == TRIPOD
    assert not claim & left_out["CLAIM"]
    assert not tripod & left_out["TRIPOD+AI"]
    assert all(item.claim or item.tripod for item in ITEMS)


def test_keys_and_titles_differ() -> None:
    for names in ([item.key for item in ITEMS], [item.title for item in ITEMS]):
        assert max(Counter(names).values()) == 1


def test_every_statement_has_an_item_and_says_what_to_write() -> None:
    assert {item.statement for item in ITEMS if item.statement} == set(KEYS)
    assert all(ReportConfig.model_fields[key].description for key in KEYS)
    assert all(ReportConfig.model_fields[key].default == "" for key in KEYS)


# ---- a study of patients, nothing stated ----


def test_what_a_finished_study_fills(summary: Summary) -> None:
    rows = checklist(summary, NOTHING)
    json.dumps(rows, allow_nan=False)
    assert [set(row) for row in rows] == [
        {"key", "title", "claim", "tripod", "status", "text", "hint", "statement"}
    ] * 51
    assert Counter(row["status"] for row in rows) == {
        "from the study": 23,
        "to be stated": 23,
        "not reported": 3,
        "not applicable": 2,
    }
    lacking = {row["key"] for row in rows if row["status"] == "not reported"}
    assert lacking == {"explainability", "external", "heterogeneity"}


def test_what_is_to_be_stated_names_its_key(summary: Summary) -> None:
    for row in checklist(summary, NOTHING):
        if row["status"] == "to be stated":
            assert row["statement"] in KEYS
            assert row["hint"].startswith(f"report.{row['statement']}: ")
        if row["status"] in ("from the study", "not applicable"):
            assert row["text"]
            assert not row["hint"]
        if row["status"] == "not reported":
            assert row["hint"]


def test_the_texts_hold_the_studys_own_numbers(summary: Summary) -> None:
    rows = by_key(summary)
    sides = summary["data"]["sides"]
    for name, side in sides.items():
        assert re.search(rf"{name} {side['images']} images of {side['groups']} groups", rows["numbers"]["text"], re.I)
        assert (
            f"{side['per_class']['nevus']} nevus, {side['per_class']['melanoma']} melanoma" in rows["numbers"]["text"]
        )
    assert "drawn at random by Diascope, group by group" in rows["partition"]["text"]
    assert "column lesion_id" in rows["disjoint"]["text"]
    assert "lab.csv, 80 images" in rows["data_origin"]["text"]
    assert "stretched to 64 × 64 pixels" in rows["preprocessing"]["text"]
    assert "base channels 8" in rows["model"]["text"]
    assert "dropout: model.dropout 0.4" in rows["model"]["text"]
    assert rows["training"]["text"].startswith(
        "12 epochs of batches of 8; Adam (Kingma and Ba 2015; epsilon 1e-7 as in Keras); learning rate 0.0001, "
        "constant; binary cross-entropy of one logistic output; every image of the training side once an epoch, in "
        "random order. No augmentation."
    )
    assert "6 trainings, 2 arms × 1 fold × 3 seeds (0, 1 and 2)" in rows["training"]["text"]
    assert "6 of 6 trainings finished; none failed" in rows["runs"]["text"]
    assert "torch 2.15.0" in rows["software"]["text"]
    assert "processor A processor <fast>" in rows["software"]["text"]
    score = summary["arms"]["dropout"]["metrics"]["accuracy"]
    assert f"dropout {score['mean']:.3f} ± {score['sd']:.3f} (SD, 3 trainings)" in rows["performance"]["text"]
    assert f"dropout {score['mean']:.3f} (interval 0.610 to 0.820)" in rows["precision"]["text"]
    assert "bootstrap over groups, 95%" in rows["uncertainty"]["text"]
    assert "paired t, 95%" in rows["uncertainty"]["text"]
    assert "Holm" in rows["uncertainty"]["text"]
    assert "dropout less baseline, accuracy: +0.031 (interval -0.020 to +0.080)." in rows["comparisons"]["text"]


def test_metrics_are_named_as_people_call_them(summary: Summary) -> None:
    text = by_key(summary)["metrics"]["text"]
    assert text.startswith("The arms are judged by accuracy on the validation side.")
    assert {"balanced accuracy", "AUROC", "loss"} <= set(re.split(r", | and |: |\.", text))


def test_a_comparison_speaks_for_itself_or_does_not_count(summary: Summary) -> None:
    summary["comparisons"][0]["sentence"] = "Not shown: dropout and baseline."
    assert by_key(summary)["comparisons"]["text"] == "Not shown: dropout and baseline."
    summary["comparisons"][0]["difference"] = None
    assert by_key(summary)["comparisons"]["status"] == "not reported"
    summary["study"]["config"]["compare"]["pairs"] = []
    assert by_key(summary)["comparisons"]["status"] == "not applicable"


def test_the_most_frequent_error_is_that_of_the_confusion_matrix(summary: Summary) -> None:
    summary["arms"]["baseline"]["confusion"]["last"] = [[20, 7], [3, 30]]
    summary["arms"]["dropout"]["confusion"]["last"] = [[27, 0], [4, 26]]
    text = by_key(summary)["failures"]["text"]
    assert "baseline: nevus called melanoma 7 of 27 times" in text
    assert "dropout: melanoma called nevus 4 of 30 times" in text
    for arm in summary["arms"].values():
        arm["confusion"]["last"] = [[27, 0], [0, 30]]
    assert by_key(summary)["failures"]["text"] == ""


# ---- a fact goes, and the status with it ----


def _no_groups(summary: Summary) -> None:
    for side in summary["data"]["sides"].values():
        side["groups"] = None


def _given(summary: Summary) -> None:
    summary["data"]["split"] = "given"


def _no_question(summary: Summary) -> None:
    summary["study"]["question"] = ""


def _another_network(summary: Summary) -> None:
    summary["arms"]["dropout"]["config"]["model"]["name"] = "unheard-of"


def _no_provenance(summary: Summary) -> None:
    summary["provenance"]["values"] = {}


def _no_intervals(summary: Summary) -> None:
    summary["comparisons"] = []
    for arm in summary["arms"].values():
        for score in arm["metrics"].values():
            score |= {"low": None, "high": None}


def _one_run(summary: Summary) -> None:
    summary["seeds"] = [0]
    for arm in summary["arms"].values():
        arm["runs"] = arm["runs"][:1]


def _no_run(summary: Summary) -> None:
    for arm in summary["arms"].values():
        for run in arm["runs"]:
            run["state"] = "missing"
        for score in arm["metrics"].values():
            score.update(mean=None, sd=None, n=0)


@pytest.mark.parametrize(
    ("key", "remove", "status"),
    [
        ("disjoint", _no_groups, "to be stated"),
        ("partition", _given, "to be stated"),
        ("side_differences", _given, "to be stated"),
        ("objectives", _no_question, "not reported"),
        ("initialization", _another_network, "not reported"),
        ("software", _no_provenance, "not reported"),
        ("uncertainty", _no_intervals, "not reported"),
        ("precision", _no_intervals, "not reported"),
        ("comparisons", _no_intervals, "not reported"),
        ("robustness", _one_run, "not reported"),
        ("runs", _no_run, "not reported"),
        ("internal", _no_run, "not reported"),
        ("performance", _no_run, "not reported"),
        ("precision", _no_run, "not reported"),
    ],
)
def test_without_its_fact_an_item_is_not_filled(
    summary: Summary, key: str, remove: Callable[[Summary], None], status: str
) -> None:
    assert by_key(summary)[key]["status"] == "from the study"
    remove(summary)
    assert by_key(summary)[key]["status"] == status


def test_subgroups_count_only_when_they_were_asked_for_and_are_there(summary: Summary) -> None:
    assert by_key(summary)["heterogeneity"]["status"] == "not reported"
    summary["study"]["config"]["report"]["subgroups"] = ["sex", "hospital"]
    row = by_key(summary)["heterogeneity"]
    assert (row["status"], row["text"]) == ("not reported", "Asked for by sex and hospital, but not in the summary.")
    summary["arms"]["baseline"]["subgroups"] = {"sex": {}}
    row = by_key(summary)["heterogeneity"]
    assert row["status"] == "from the study"
    assert "sex and hospital" in row["text"]


def test_failed_and_missing_runs_are_counted(make_study: MakeStudy) -> None:
    folder = make_study(data=FROM_PATIENTS)
    shutil.rmtree(folder / "runs/baseline/fold0-seed0")
    failed = folder / "runs/dropout/fold0-seed2"
    (failed / "done.json").unlink()
    (failed / "error.txt").write_text("RuntimeError: out of memory\n")
    shutil.copytree(folder / "runs/dropout/fold0-seed0", folder / "runs/dropout/fold0-seed7")
    rows = by_key(summarize(StudyRecord(folder)))
    assert rows["runs"]["text"] == (
        "4 of 6 trainings finished; 1 ended with an error, 1 not begun. "
        "1 run in the folder that the study does not ask for is in no number."
    )
    assert "2 trainings of 6 are missing." in rows["limitations"]["text"]


def test_findings_of_the_data_are_told(summary: Summary) -> None:
    finding = {"code": "unreadable-image", "severity": "warning", "outcome": "issue", "sentence": "", "evidence": {}}
    ignored = {**finding, "code": "ignored-files", "sentence": "7 files in the folder are not used."}
    assert "No image was left out as unreadable." in by_key(summary)["missing_data"]["text"]
    summary["findings"] = [finding, finding, ignored]
    rows = by_key(summary)
    assert "2 images could not be read and were left out." in rows["missing_data"]["text"]
    assert "7 files in the folder are not used." in rows["eligibility"]["text"]
    assert "unreadable-image (2) and ignored-files (1)" in rows["preprocessing"]["text"]
    assert {rows[key]["status"] for key in ("missing_data", "eligibility")} == {"to be stated"}


# ---- limitations, each with its fact and without ----


def _many_seeds(summary: Summary) -> None:
    summary["seeds"] = list(range(5))


def _two_folds(summary: Summary) -> None:
    summary["data"]["folds"] *= 2


def _large(summary: Summary) -> None:
    summary["data"]["folds"][0]["validation"]["images"] = 5000


def _judged_on_test(summary: Summary) -> None:
    score = {"mean": 0.71, "sd": 0.02, "n": 3, "low": 0.5, "high": 0.85}
    summary["arms"]["dropout"]["test_metrics"] = {"accuracy": score}


def _no_test_side(summary: Summary) -> None:
    summary["data"]["sides"]["test"]["images"] = 0


@pytest.mark.parametrize(
    ("sentence", "change", "before"),
    [
        ("One split", _two_folds, True),
        ("Few seeds (3)", _many_seeds, True),
        ("Few images to judge by (19): an accuracy of 0.8 is known to about ± 0.18", _large, True),
        ("The test side (6 images) was kept apart", _judged_on_test, True),
        ("There is no test side.", _no_test_side, False),
        ("Images of one patient may lie on two sides.", _no_groups, False),
        ("The split was given, not drawn.", _given, False),
        ("The scores have no intervals.", _no_intervals, False),
    ],
)
def test_limitations_follow_from_the_study(
    summary: Summary, sentence: str, change: Callable[[Summary], None], before: bool
) -> None:
    assert (sentence in by_key(summary)["limitations"]["text"]) is before
    change(summary)
    row = by_key(summary)["limitations"]
    assert (sentence in row["text"]) is not before
    assert row["status"] == "to be stated"


def test_scores_of_the_test_side_are_given(summary: Summary) -> None:
    assert "Test side" not in by_key(summary)["performance"]["text"]
    _judged_on_test(summary)
    rows = by_key(summary)
    assert "Test side: dropout 0.710 ± 0.020 (SD, 3 trainings)." in rows["performance"]["text"]
    assert "Test side: dropout 0.710 (interval 0.500 to 0.850)." in rows["precision"]["text"]
    assert "Judged once more on the test side (6 images)." in rows["internal"]["text"]


def test_class_weights_are_told_where_there_are_any(make_study: MakeStudy, summary: Summary) -> None:
    assert "No weighting" in by_key(summary)["class_balance"]["text"]
    arms = {
        "plain": {},
        "weighted": {"training.class_weights": "balanced"},
        "given": {"training.class_weights": {"nevus": 1, "melanoma": 7.5}},
        "sampled": {"training.sampler": "balanced"},
    }
    folder = make_study(folder="weighted", arms=arms, per_class=[200, 10], seeds=1, epochs=2)
    found = summarize(StudyRecord(folder))
    text = by_key(found)["class_balance"]["text"]
    balanced, given = (found["balance"]["treatments"][place]["weights"] for place in (1, 2))
    assert "Plain: no weighting and no repeated drawing." in text
    assert f"these images (nevus {balanced['nevus']:.3g}, melanoma {balanced['melanoma']:.3g})." in text
    assert given["melanoma"] / given["nevus"] == pytest.approx(7.5)
    assert f"as the study file says, with a mean of 1 over these images (nevus {given['nevus']:.3g}" in text
    assert "Sampled: every epoch draws each class equally often" in text


def test_arms_that_prepare_images_differently_are_told_apart(summary: Summary) -> None:
    summary["arms"]["dropout"]["config"]["data"] |= {"image_size": [32, 48], "channels": 3, "resize": "pad"}
    text = by_key(summary)["preprocessing"]["text"]
    assert "Arm baseline: every image is read as gray, stretched to 64 × 64" in text
    assert "Arm dropout: every image is read as colour, padded with black and resized to 32 × 48" in text


def test_frames_and_groups_of_dicom_files_are_told(summary: Summary) -> None:
    for arm in summary["arms"].values():
        arm["config"]["data"]["frame"] = 3
    summary["study"]["config"]["data"]["group"] = "dicom:PatientID"
    rows = by_key(summary)
    assert "every image is read as gray, frame 3 of each file, stretched" in rows["preprocessing"]["text"].lower()
    assert "By group (PatientID of the DICOM files):" in rows["disjoint"]["text"]


def test_one_arm_is_compared_with_none(make_study: MakeStudy) -> None:
    rows = by_key(summarize(StudyRecord(make_study(arms={"only": {}}, folds=2, data=FROM_PATIENTS))))
    assert rows["comparisons"]["status"] == "not applicable"
    assert rows["goal"]["text"].startswith("To develop one image classifier")
    assert "2 folds, drawn at random" in rows["partition"]["text"]
    assert "over 3 seeds and 2 folds" in rows["robustness"]["text"]


def test_a_study_without_runs_fills_no_result(make_study: MakeStudy) -> None:
    folder = make_study(data=FROM_PATIENTS)
    shutil.rmtree(folder / "runs")
    rows = by_key(summarize(StudyRecord(folder)))
    results = ("runs", "software", "uncertainty", "robustness", "internal", "performance", "precision", "comparisons")
    assert {rows[key]["status"] for key in results} == {"not reported"}
    assert rows["training"]["status"] == "from the study"


def test_drawn_images_have_no_patients(make_study: MakeStudy) -> None:
    rows = by_key(summarize(StudyRecord(make_study())))
    for key in ("eligibility", "deidentification", "acquisition", "annotators", "demographics", "ethics", "fairness"):
        assert rows[key]["status"] == "not applicable"
    for key in ("data_origin", "reference_standard", "missing_data", "data_availability"):
        assert rows[key]["status"] == "from the study"
    assert "The images are drawn: nothing here holds for patients." in rows["limitations"]["text"]
    assert rows["funding"]["status"] == "to be stated"


def test_a_summary_of_an_older_version_is_read(summary: Summary) -> None:
    for name in ("comparisons", "probes"):
        del summary[name]
    del summary["study"]["config"]["report"]
    for arm in summary["arms"].values():
        del arm["test_metrics"]
        for score in arm["metrics"].values():
            score.pop("low"), score.pop("high"), score.pop("method", None)
    assert len(checklist_section(summary)["rows"]) == len(ITEMS)


# ---- what the user states ----


@pytest.mark.parametrize("key", KEYS)
def test_a_statement_wins_and_hides_nothing(summary: Summary, key: str) -> None:
    before, after = by_key(summary), by_key(summary, **{key: "  As we say. "})
    told = {item.key for item in ITEMS if item.statement == key}
    for name, row in after.items():
        if name not in told:
            assert row == before[name]
            continue
        assert row["status"] == "stated by the user"
        assert row["text"].startswith("As we say.")
        assert row["hint"] == ""
        if before[name]["text"] and before[name]["status"] != "not reported":
            assert row["text"] == f"As we say.\nFrom the study: {before[name]['text']}"


def test_blanks_state_nothing(summary: Summary) -> None:
    assert by_key(summary, funding="  ")["funding"]["status"] == "to be stated"


def test_nothing_is_left_to_state_when_all_is_stated(summary: Summary) -> None:
    rows = checklist(summary, ReportConfig(**dict.fromkeys(KEYS, "Said.")))
    assert not [row["key"] for row in rows if row["status"] == "to be stated"]
    assert unstated_yaml(rows) == ""


def test_the_yaml_can_be_filled_in_and_read_as_a_study(summary: Summary, tmp_path: Path) -> None:
    rows = checklist(summary, ReportConfig(funding="None."))
    text = unstated_yaml(rows)
    keys = YAML(typ="safe").load(text)["report"]
    assert set(keys) == {row["statement"] for row in rows if row["status"] == "to be stated"}
    assert "funding" not in keys
    assert max(map(len, text.splitlines())) <= 80
    filled = "name: a\ndata: {source: a.csv}\n" + text.replace('""', "Said: so")
    with pytest.raises(Exception, match="mapping"):
        YAML(typ="safe").load(filled)  # a colon needs the quotes that the piece already has
    filled = "name: a\ndata: {source: a.csv}\n" + text.replace('""', '"Said: so"')
    config = parse_study(filled, [], where="a", folder=tmp_path).config
    assert {getattr(config.report, key) for key in keys} == {"Said: so"}


def test_statements_are_found_in_the_study_file(make_study: MakeStudy) -> None:
    folder = make_study(data=FROM_PATIENTS)
    path = folder / "study.yaml"
    path.write_text(path.read_text() + "report: {funding: Nobody paid., subgroups: [sex]}\n")
    section = checklist_section(summarize(StudyRecord(folder)))
    row = next(row for row in section["rows"] if row["key"] == "funding")
    assert (row["status"], row["text"]) == ("stated by the user", "Nobody paid.")
    assert "1 stated" in section["count"]


# ---- counts and exports ----


def test_the_count_line_counts(summary: Summary) -> None:
    rows = checklist(summary, ReportConfig(funding="None.", partition="By hand."))
    assert count_line(rows) == (
        "20 of 51 items filled from the study, 4 stated, 22 for you to state, 3 not reported, 2 not applicable"
    )
    assert sum(map(int, re.findall(r"\b\d+\b", count_line(rows).replace("of 51", "")))) == 51


def test_the_markdown_holds_every_item(summary: Summary) -> None:
    rows = checklist(summary, ReportConfig(ethics="Board | of\nX, <b>no</b> 12."))
    text = checklist_markdown(rows)
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(table) == len(rows) + 2
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {6}
    for row, line in zip(rows, table[2:], strict=True):
        title, claim, tripod, status, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1])
        assert (title, claim, tripod, status) == (
            row["title"],
            row["claim"] or "–",
            row["tripod"] or "–",
            row["status"],
        )
    assert r"Board \| of<br>X, \<b>no\</b> 12." in text
    assert count_line(rows) in text


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def _rendered(summary: Summary) -> str:
    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    return environment.get_template("checklist.html.j2").render(checklist=checklist_section(summary))


def test_the_page_holds_every_item_in_words(summary: Summary) -> None:
    page = _Page()
    html = _rendered(summary)
    page.feed(html)
    assert page.open == []
    assert page.tags["tr"] == len(ITEMS) + 1
    assert page.tags["details"] == 2
    assert "<details open" not in html
    for row in checklist(summary, NOTHING):
        assert row["title"] in page.text
        assert row["text"] in page.text
        assert row["hint"] in page.text
    for status in STATUSES:
        shown = sum(row["status"] == status for row in checklist(summary, NOTHING))
        assert page.text.count(f"\u00a0{status}") >= shown + 1  # the legend, too


def test_the_page_escapes_what_users_write(summary: Summary) -> None:
    evil = "</pre><script>alert(1)</script>"
    changed = deepcopy(summary)
    changed["study"]["question"] = evil
    changed["study"]["config"]["report"] |= {"funding": evil}
    html = _rendered(changed)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 2


def test_a_page_with_nothing_left_to_state_asks_for_nothing(summary: Summary) -> None:
    summary["study"]["config"]["report"] |= dict.fromkeys(KEYS, "Said.")
    assert "<pre" not in _rendered(summary)
