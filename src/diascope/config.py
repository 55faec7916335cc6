"""What a user may write in a study file, as typed, frozen models; canonical JSON out; the identity of a run.

`studyfile.py` reads the YAML, applies overrides and turns validation errors into messages with a line and a remedy.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

ARM_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _pair(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    return tuple(value) if isinstance(value, list) else value


def _all_differ(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("a value stands there twice")
    return values


def _seed_list(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return tuple(range(value))
    return tuple(value) if isinstance(value, list) else value


ImageSize = Annotated[
    tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]],
    BeforeValidator(_pair, json_schema_input_type=int | tuple[int, int]),
]
Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    Field(min_length=1),
    BeforeValidator(_seed_list, json_schema_input_type=int | list[int]),
    AfterValidator(_all_differ),
]
Probability = Annotated[float, Field(ge=0, lt=1)]


class PhantomConfig(Section):
    """Drawn images with a known truth, used when data.source is phantom:skin or phantom:bone."""

    images: int = Field(400, ge=8, le=1_000_000, description="how many images are drawn, half of them of each class")
    size: int = Field(128, ge=28, le=2048, description="height and width in pixels at which they are drawn")
    difficulty: float = Field(0.5, ge=0, le=1, description="0: classes plainly apart; 1: nothing tells them apart")
    seed: int = Field(0, ge=0, description="another seed gives another data set of the same kind")
    images_per_group: int = Field(2, ge=1, description="images of one patient or lesion")
    shortcut: Literal["none", "letters", "brightness", "size", "border"] = Field(
        "none", description="a mark beside the lesion that gives the class away"
    )
    rate: float = Field(0.9, ge=0, le=1, description="share of the images whose mark agrees with their class")


class DataConfig(Section):
    """Which images, how they are labelled, and what the network gets to see of them."""

    source: str = Field(min_length=1, description="folder with a folder per class, CSV manifest, npz, or phantom:skin")
    label: str = Field("label", description="column of the manifest that holds the class")
    group: str | None = Field(None, description="column that must not be split between sides: patient, lesion")
    classes: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(_all_differ)] | None = Field(
        None, description="the classes, in order; default: sorted by name"
    )
    positive: str | None = Field(None, description="the positive class; default: the last one")
    image_size: ImageSize = Field((128, 128), description="pixels: one number, or [height, width]")
    resize: Literal["stretch", "pad", "crop"] = Field("stretch", description="what to do with another aspect ratio")
    channels: Literal[1, 3] = Field(1, description="1: gray, 3: colour")
    normalize: Literal["none"] = Field("none", description="none: pixels from 0 to 1")
    phantom: PhantomConfig = PhantomConfig()

    @property
    def height(self) -> int:
        return self.image_size[0]

    @property
    def width(self) -> int:
        return self.image_size[1]

    @model_validator(mode="after")
    def _positive_is_a_class(self) -> Self:
        if self.classes is not None and self.positive is not None and self.positive not in self.classes:
            raise ValueError(f"positive is {self.positive!r}, which is not one of classes")
        return self


class SplitConfig(Section):
    """Which images a run learns from, is watched on, and is judged on once."""

    kind: Literal["auto", "given", "holdout", "kfold"] = Field(
        "auto", description="auto: given where the data say so (split column, subfolders, npz), else holdout"
    )
    validation: float = Field(0.2, gt=0, lt=1, description="holdout: share of the images on the validation side")
    test: float = Field(0.0, ge=0, lt=1, description="holdout, kfold: share kept apart from everything")
    folds: int = Field(3, ge=2, le=100, description="kfold: number of folds")
    seed: int = Field(0, ge=0, description="another seed gives another split")


class ModelConfig(Section):
    """The network."""

    name: Literal["alexnet"] = "alexnet"
    base_channels: int = Field(8, ge=1, le=1024, description="channels of the first block; the others are multiples")
    dense: tuple[Annotated[int, Field(ge=1)], ...] = Field((64, 64), description="widths of the hidden dense layers")
    dropout: Probability = Field(0.0, description="share of the units dropped after each hidden dense layer")
    normalization: Literal["none", "batch"] = "none"
    spatial_dropout: Probability = Field(0.0, description="share of whole channels dropped after each block's ReLU")


class AugmentationConfig(Section):
    """Random changes of the training images."""


class TrainingConfig(Section):
    """How the network learns."""

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(8, ge=1)
    optimizer: Literal["adam"] = "adam"
    learning_rate: float = Field(1e-4, gt=0)
    precision: Literal["fp32", "bf16"] = "fp32"
    threads: int = Field(1, ge=1, le=256, description="processor threads of one run; they decide the last bits")


Pair = Annotated[
    tuple[str, str],
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
    AfterValidator(_all_differ),
]


class CompareConfig(Section):
    """What the arms are compared by."""

    metric: (
        Literal[
            "accuracy",
            "balanced_accuracy",
            "sensitivity",
            "specificity",
            "ppv",
            "npv",
            "f1",
            "mcc",
            "auroc",
            "auprc",
            "brier",
            "loss",
        ]
        | None
    ) = Field(None, description="default: accuracy, and balanced_accuracy when classes are unequal")
    at: Literal["last"] = Field("last", description="the epoch at which the arms are compared")
    pairs: Annotated[tuple[Pair, ...], AfterValidator(_all_differ)] | None = Field(
        None, description="[arm, against] each; default: every arm against the first; []: none"
    )
    margin: float | None = Field(
        None, gt=0, description="arms whose difference surely lies within it, in units of the metric, are equivalent"
    )


class ReportConfig(Section):
    """What the report shows beside its own, and what only the user can state for the reporting checklist."""

    subgroups: Annotated[tuple[str, ...], AfterValidator(_all_differ)] = Field(
        (), description="columns of the manifest; the primary metric is shown for each of their values"
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


class StudyConfig(Section):
    """One question: a data set, a base configuration, and the arms to compare."""

    diascope: Literal[1] = Field(1, description="version of this format")
    name: str = Field(min_length=1)
    question: str = ""
    data: DataConfig
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    training: TrainingConfig = TrainingConfig()
    seeds: Seeds = Field((0, 1, 2), validate_default=False, description="how many seeds, or a list of them")
    arms: dict[Annotated[str, Field(pattern=ARM_NAME)], dict[str, Any]] = Field(
        {"baseline": {}}, min_length=1, description="a name, and the keys in which it differs from the base"
    )
    compare: CompareConfig = CompareConfig()
    report: ReportConfig = ReportConfig()

    @model_validator(mode="after")
    def _pairs_are_of_arms(self) -> Self:
        for pair in self.compare.pairs or ():
            for name in pair:
                if name not in self.arms:
                    raise ValueError(
                        f"compare.pairs names {name!r}, which is not one of the arms {', '.join(self.arms)}"
                    )
        return self


class RunConfig(Section):
    """All that decides what one training does: an arm's configuration, resolved, with its fold and seed."""

    data: DataConfig
    split: SplitConfig
    model: ModelConfig
    augmentation: AugmentationConfig
    training: TrainingConfig
    fold: int = Field(ge=0)
    seed: int = Field(ge=0)


def canonical_json(value: BaseModel | Mapping[str, Any]) -> str:
    """The one spelling of a configuration: sorted keys, no blanks."""
    tree = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def run_id(config: RunConfig, content: str) -> str:
    """16 hexadecimal digits that name what a run would compute.

    `content` is a digest of the images, labels and sides themselves; where they lie, and what a column or the
    positive class is called, does not change a run. Values at their default are left out, so that a key which a later
    version adds leaves the old runs valid (a default that changes its meaning would need a new name).
    """
    told = {"source", "label", "group", "positive", "classes", "phantom"}  # by `content`, or of no consequence
    tree = config.model_dump(mode="json", exclude_defaults=True, exclude={"split": True, "data": told})
    return sha256(canonical_json({"content": content, **tree}).encode()).hexdigest()[:16]
