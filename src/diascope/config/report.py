"""The sections `compare` and `report`: what the arms are judged by, and what the report shows beside its own."""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from diascope.config.section import Section, all_differ
from diascope.metrics import COMPARED

if TYPE_CHECKING:
    ComparedMetric = str
else:
    ComparedMetric = Literal[COMPARED]

Pair = Annotated[
    tuple[str, str],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    AfterValidator(all_differ),
]


class CompareConfig(Section):
    """What the arms are compared by."""

    metric: ComparedMetric | None = Field(
        None, description="default: accuracy, and balanced_accuracy when classes are unequal"
    )
    at: Literal["last"] = Field("last", description="the epoch at which the arms are compared")
    pairs: Annotated[tuple[Pair, ...], AfterValidator(all_differ)] | None = Field(
        None, description="[arm, against] each; default: every arm against the first; []: none"
    )
    margin: float | None = Field(
        None, gt=0, description="arms whose difference surely lies within it, in units of the metric, are equivalent"
    )


class ReportConfig(Section):
    """What the report shows beside its own, and what only the user can state for the reporting checklist."""

    subgroups: Annotated[tuple[str, ...], AfterValidator(all_differ)] = Field(
        (), description="columns of the manifest; the primary metric is shown for each of their values"
    )
    explain: int = Field(
        2,
        ge=0,
        le=20,
        description="how many right, wrong and least sure images of each class are explained for the first run of each "
        "arm at the end of a study; 0: none",
    )
    probes: bool = Field(
        False, description="probe the first run of each arm for shortcuts at the end; takes two more trainings an arm"
    )
    clinical_background: str = Field("", description="the clinical problem, and what existing models can do")
    intended_use: str = Field(
        "",
        description="for whom and at which step of care the classifier is meant, who is to use it with what expertise, "
        "and what is to be done with poor images",
    )
    data_origin: str = Field(
        "",
        description="where, when and why the images were taken (centres, setting, dates), whether they were collected "
        "for this study or before it, and whom they represent",
    )
    eligibility: str = Field(
        "",
        description="which patients and images were included and excluded, with numbers and reasons; how a part of "
        "them was chosen; treatments that matter",
    )
    preprocessing: str = Field(
        "", description="what was done to the images before Diascope read them, and how their quality was checked"
    )
    deidentification: str = Field("", description="how names and other identifying marks were removed")
    missing_data: str = Field("", description="which images, labels or visits are missing, and what was done about it")
    acquisition: str = Field("", description="devices, views, protocol and resolution with which the images were taken")
    reference_standard: str = Field("", description="how the true class was found, and why in this way")
    annotators: str = Field(
        "",
        description="who gave the labels, with what experience, blinded to what, how well they agree, and how "
        "disagreement was settled; the same of the test side",
    )
    partition: str = Field(
        "",
        description="how the sides were made where the source gives them, and how they differ; why no patient is on "
        "two sides",
    )
    demographics: str = Field(
        "", description="age, sex and other characteristics of the patients, on each side if they differ"
    )
    sample_size_rationale: str = Field(
        "", description="why there are as many images as there are, and why that is enough"
    )
    model_rationale: str = Field(
        "", description="why these networks, and how their settings were chosen or searched for"
    )
    fairness: str = Field(
        "", description="known inequalities between groups of people, and what was done so that the classifier is fair"
    )
    external_test: str = Field("", description="a test on images from elsewhere: of which origin, with which result")
    failure_analysis: str = Field("", description="what the wrongly classified images have in common, as far as seen")
    limitations: str = Field("", description="what limits the study beyond what Diascope lists by itself")
    implications: str = Field(
        "", description="what the result means beside earlier studies, for practice, and which step is next"
    )
    ethics: str = Field("", description="the committee that approved the study, and consent or its waiver")
    registration: str = Field(
        "", description="register and number, and where the protocol can be read; or that there is none"
    )
    funding: str = Field("", description="who paid for the study, and what say they had in it")
    conflicts: str = Field("", description="competing interests of all authors, or that there are none")
    patient_involvement: str = Field(
        "", description="how patients or the public took part in planning or reporting, or that they did not"
    )
    data_availability: str = Field("", description="where the images and labels can be had, and on which terms")
    code_availability: str = Field(
        "", description="where the study file, the trained networks and further code can be had, and on which terms"
    )
