"""The section `augmentation`: random changes of the training images.

A transformation is written as its range, or as a section with range and probability:

    augmentation: {rotation: 10, shift: [0.1, 0.2], horizontal_flip: 0.5, blur: {range: 2, probability: 0.3}}

One number r stands for the range from -r to r, or as the field says; two are the ends of the range.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from diascope.config.section import Section


class Transformation(Section):
    """A random change whose strength is drawn evenly from a range, for each image by itself."""

    range: tuple[float, float] = Field(description="ends of the range of the strength")
    probability: float = Field(1.0, gt=0, le=1, description="share of the images that are changed")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.range[0] > self.range[1]:
            raise ValueError(f"range is {list(self.range)}: write the smaller end first")
        return self


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


# For each transformation the least and the greatest strength, and what one number r stands for.
LIMITS: dict[str, tuple[float, float, Literal["around", "up to", "from"]]] = {
    "rotation": (-180, 180, "around"),
    "shear": (-60, 60, "around"),
    "zoom": (-0.9, 4, "around"),
    "shift": (-1, 1, "around"),
    "horizontal_shift": (-1, 1, "around"),
    "vertical_shift": (-1, 1, "around"),
    "downscale": (0.02, 1, "from"),
    "blur": (0, 16, "up to"),
    "intensity": (0, 45, "up to"),
    "contrast": (-0.99, 4, "around"),
    "brightness": (-1, 1, "around"),
    "noise": (0, 1, "up to"),
    "erasing": (0, 0.9, "up to"),
}
Strength = Annotated[
    Transformation,
    BeforeValidator(lambda value: value, json_schema_input_type=float | tuple[float, float] | Transformation),
]


def read_strength(name: str, value: Any) -> Any:
    """What a user writes for the transformation `name` as a section with its range spelled out."""
    if value is None or isinstance(value, Transformation):
        return value
    tree = dict(value) if isinstance(value, dict) else {"range": value}
    low, high, one = LIMITS[name]
    found: Any = tree.get("range")
    if _number(found):
        number = float(found)
        tree["range"] = {"around": (-abs(number), abs(number)), "up to": (0.0, number), "from": (number, 1.0)}[one]
    elif isinstance(found, list | tuple) and len(found) == 2 and all(map(_number, found)):
        tree["range"] = (float(found[0]), float(found[1]))
    elif found is not None:
        raise ValueError(f"{found!r} is no range: write a number, or [low, high]")
    if not all(low <= end <= high for end in tree.get("range") or ()):
        raise ValueError(f"range is {list(tree['range'])}: its ends lie between {low:g} and {high:g}")
    return tree


Flip = Annotated[float, Field(ge=0, le=1)]


class AugmentationConfig(Section):
    """Random changes of the training images, a new draw for each image in each epoch; none by default.

    Order: flips; rotation, shear, zoom and shift in one step about the centre; down-scaling; blur; intensity, contrast
    and brightness; noise; erasing. Values stay within 0 to 1.
    """

    horizontal_flip: Flip = Field(0.0, description="share of the images that are mirrored, left for right")
    vertical_flip: Flip = Field(0.0, description="share of the images that are mirrored, top for bottom")
    rotation: Strength | None = Field(None, description="degrees, counter-clockwise as one sees it")
    shear: Strength | None = Field(None, description="degrees by which vertical lines lean, to the right at their top")
    zoom: Strength | None = Field(None, description="relative change of size: 0.1 from 10% smaller to 10% larger")
    shift: Strength | None = Field(None, description="share of the height and, drawn by itself, of the width")
    horizontal_shift: Strength | None = Field(None, description="share of the width, to the right")
    vertical_shift: Strength | None = Field(None, description="share of the height, downwards")
    downscale: Strength | None = Field(
        None, description="made smaller to this share of the size, and back; 0.5 stands for 0.5 to 1"
    )
    blur: Strength | None = Field(None, description="sigma of a Gaussian in pixels; 2 stands for 0 to 2")
    intensity: Strength | None = Field(
        None, description="percentile p: the values from percentile p to 100 - p are spread over 0 to 1"
    )
    contrast: Strength | None = Field(None, description="relative change of the distances from the image's mean")
    brightness: Strength | None = Field(None, description="added to every value; values lie in 0 to 1")
    noise: Strength | None = Field(None, description="SD of Gaussian noise; values lie in 0 to 1")
    erasing: Strength | None = Field(None, description="share of the area of a rectangle that fill_value covers")
    fill: Literal["nearest", "constant", "reflect"] = Field(
        "nearest", description="what comes in from outside: the nearest pixel, fill_value, or the mirrored image"
    )
    fill_value: float = Field(0.0, ge=0, le=1, description="from 0, black, to 1, white")
    interpolation: Literal["bilinear", "nearest"] = "bilinear"

    @field_validator(*LIMITS, mode="before")
    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Any:
        return read_strength(info.field_name or "", value)

    @property
    def changes(self) -> bool:
        """Whether anything is done to the images."""
        return bool(self.horizontal_flip or self.vertical_flip) or any(getattr(self, name) for name in LIMITS)

    def identity(self) -> dict[str, Any]:
        """What decides which images come out, defaults left out: nothing where no transformation is on."""
        return self.model_dump(mode="json", exclude_defaults=True) if self.changes else {}

    @model_validator(mode="after")
    def _one_way_to_shift(self) -> Self:
        if self.shift is not None and (self.horizontal_shift is not None or self.vertical_shift is not None):
            raise ValueError("set shift, or horizontal_shift and vertical_shift, not both")
        return self
