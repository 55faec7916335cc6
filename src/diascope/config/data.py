"""The sections `data` and `split`: which images, and on which side of a fold each lies."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from diascope.config.section import Section, Seed, all_differ


def _pair(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return (value, value)
    return tuple(value) if isinstance(value, list) else value


ImageSize = Annotated[
    tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]],
    BeforeValidator(_pair, json_schema_input_type=int | tuple[int, int]),
]


class PhantomConfig(Section):
    """Drawn images with a known truth, used when data.source is phantom:skin or phantom:bone."""

    images: int = Field(400, ge=8, le=1_000_000, description="how many images are drawn")
    prevalence: float = Field(0.5, gt=0, lt=1, description="share of them that are of the positive class")
    size: int = Field(128, ge=28, le=2048, description="height and width in pixels at which they are drawn")
    difficulty: float = Field(0.5, ge=0, le=1, description="0: classes plainly apart; 1: nothing tells them apart")
    seed: Seed = Field(0, description="another seed gives another data set of the same kind")
    images_per_group: int = Field(2, ge=1, le=1_000_000, description="images of one patient or lesion")
    shortcut: Literal["none", "letters", "brightness", "size", "border"] = Field(
        "none", description="a mark beside the lesion that gives the class away"
    )
    rate: float = Field(0.9, ge=0, le=1, description="share of the images whose mark agrees with their class")


def _values(where: dict[str, Any]) -> dict[str, Any]:
    for column, wanted in where.items():
        for value in wanted if isinstance(wanted, list) else [wanted]:
            if not isinstance(value, str | int | float):
                raise ValueError(f"{column} is {value!r}: write a text, a number, or a list of these")
    return where


DICOM_GROUPS = {"dicom:PatientID": "patient", "dicom:StudyInstanceUID": "study", "dicom:SeriesInstanceUID": "series"}
"""What data.group may take from DICOM files themselves, and what its groups are called."""


def _known_tag(group: str) -> str:
    if group.startswith("dicom:") and group not in DICOM_GROUPS:
        raise ValueError(f"{group} is not one of {', '.join(DICOM_GROUPS)}")
    return group


Leak = Literal["leak-duplicates", "leak-groups"]
"""Findings of the audit that stop a study."""


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class DataConfig(Section):
    """Which images, how they are labelled, and what the network gets to see of them."""

    source: str = Field(min_length=1, description="folder with a folder per class, CSV manifest, npz, or phantom:skin")
    label: str = Field("label", description="column of the manifest that holds the class")
    group: Annotated[str, AfterValidator(_known_tag)] | None = Field(
        None,
        description="column that must not be split between sides: patient, lesion; of DICOM files also "
        "dicom:PatientID, dicom:StudyInstanceUID or dicom:SeriesInstanceUID, which are numbered and never written down",
    )
    where: Annotated[dict[str, Any], AfterValidator(_values)] = Field(
        {}, description="use only the images with this value, or one of these, in a column of the manifest"
    )
    classes: Annotated[tuple[str, ...], Field(min_length=2), AfterValidator(all_differ)] | None = Field(
        None, description="the classes, in order; default: sorted by name"
    )
    positive: str | None = Field(None, description="the positive class; default: the last one")
    image_size: ImageSize = Field((128, 128), description="pixels: one number, or [height, width]")
    resize: Literal["stretch", "pad", "crop"] = Field("stretch", description="what to do with another aspect ratio")
    channels: Literal[1, 3] = Field(
        1, description="1: gray, 3: colour; default: as the images are; drawn ones are gray"
    )
    bits: Literal["auto", 8, 10, 12, 14, 16] = Field(
        "auto",
        description="bits that gray PNG, TIFF and npz images of 16 bits use, such as 12: auto: those that the largest "
        "value of all images needs",
    )
    normalize: Literal["none", "standard", "imagenet"] = Field(
        "none",
        description="none: pixels from 0 to 1; standard: minus the mean and divided by the SD of the training "
        "side, each channel by itself; imagenet: the same with the mean and SD of ImageNet",
    )
    frame: int | None = Field(
        None, ge=1, le=1_000_000, description="which frame of DICOM files that hold several, counted from 1"
    )
    phantom: PhantomConfig = PhantomConfig()
    allow: Annotated[tuple[Leak, ...], BeforeValidator(_listed), AfterValidator(all_differ)] = Field(
        (), description="leaks between sides that are known and accepted; any other stops a study"
    )

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
    seed: Seed = Field(0, description="another seed gives another split")
