"""The section `model`: which network, and how it is built."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from diascope.config.depth import PUBLISHED, VGG_PLANS, nearest_depths, residual_plan
from diascope.config.section import Probability, Section

OWN_MODEL = re.compile(r"^(?P<file>.+\.py):(?P<function>[A-Za-z_]\w*)$")

# The keys that each network has a use for; any other that is set is an error, never ignored.
_DENSE = ("base_channels", "dense", "dropout", "normalization", "spatial_dropout")
KEYS: dict[str, tuple[str, ...]] = {
    "alexnet": _DENSE,
    "vgg": (*_DENSE, "depth"),
    "resnet": ("base_channels", "depth", "stages", "block", "stem", "dropout", "normalization"),
    "own": ("options",),
}
# What None stands for, where a network leaves a key open; a resnet's block, stages and stem follow from its depth.
FOUR_STAGES = {depth for depth, _ in PUBLISHED}
BOTTLENECKS = {depth for depth, block in PUBLISHED if block == "bottleneck"}
_NO_NORMALIZATION = {"normalization": "none"}
DEFAULTS: dict[str, dict[str, Any]] = {
    "alexnet": _NO_NORMALIZATION,
    "vgg": {**_NO_NORMALIZATION, "depth": 16},
    "resnet": {"depth": 20, "normalization": "batch"},
    "own": {},
}


def own_model(name: str) -> tuple[str, str] | None:
    """`file.py:function` as (file, function); None for the name of a built-in network."""
    found = OWN_MODEL.match(name)
    return (found["file"], found["function"]) if found else None


def _known(name: str) -> str:
    if name == "pretrained":
        raise ValueError("pretrained is refused: this version does not have it yet; it has alexnet, vgg and resnet")
    if (name == "own" or name not in KEYS) and own_model(name) is None:
        raise ValueError(f"{name!r} is no network; use alexnet, vgg, resnet, or file.py:function for your own")
    return name


class ModelConfig(Section):
    """The network."""

    name: Annotated[str, AfterValidator(_known)] = Field(
        "alexnet",
        description="alexnet, vgg, resnet, or file.py:function, a function of your own "
        "(channels, outputs, image_size, **options) that returns a torch.nn.Module",
        json_schema_extra={"examples": ["alexnet", "vgg", "resnet", "file.py:function"]},
    )
    base_channels: int = Field(8, ge=1, le=1024, description="channels of the first block; the others are multiples")
    depth: int | None = Field(
        None,
        ge=1,
        le=2000,
        description="layers with weights. vgg: 11, 13, 16 or 19 (default 16); resnet: default 20",
    )
    dense: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (64, 64), description="alexnet, vgg: widths of the hidden dense layers"
    )
    dropout: Probability = Field(
        0.0, description="share of the units dropped after each hidden dense layer; resnet: before the output"
    )
    normalization: Literal["none", "batch"] | None = Field(None, description="default none; resnet: default batch")
    spatial_dropout: Probability = Field(
        0.0, description="alexnet, vgg: share of whole channels dropped after each block's ReLU"
    )
    block: Literal["basic", "bottleneck"] | None = Field(
        None, description="resnet: default basic; bottleneck for the depths 50, 101 and 152 with four stages"
    )
    stages: Literal[3, 4] | None = Field(
        None, description="resnet: default 4 for the depths 18, 34, 50, 101 and 152, else 3"
    )
    stem: Literal["small", "strided", "large"] | None = Field(
        None,
        description="resnet: small: 3x3 convolution; strided: the same with stride 2; large: 7x7 with stride 2 and "
        "pooling; default large with four stages, else small",
    )
    options: dict[str, Any] = Field({}, description="keyword arguments of a function of your own")

    @model_validator(mode="after")
    def _keys_have_a_use(self) -> Self:
        for key, field in type(self).model_fields.items():
            if key != "name" and key not in KEYS[self.kind] and getattr(self, key) != field.default:
                users = " and ".join(name for name, keys in KEYS.items() if key in keys)
                raise ValueError(f"{self.name} has no {key}, which is for {users}; set it in the arms that use it")
        return self

    @model_validator(mode="after")
    def _depth_exists(self) -> Self:
        found = self.filled()
        if self.kind == "vgg" and found["depth"] not in VGG_PLANS:
            raise ValueError(f"depth {self.depth}: a vgg has 11, 13, 16 or 19 layers")
        if self.kind == "resnet":
            plan = {"block": found["block"], "stages": found["stages"]}
            if residual_plan(found["depth"], **plan) is None:
                nearest = nearest_depths(found["depth"], **plan)
                these = "depths are" if len(nearest) > 1 else "depth is"
                raise ValueError(
                    f"depth {found['depth']}: no resnet of {plan['block']} blocks in {plan['stages']} stages has that "
                    f"many layers; the nearest {these} {' or '.join(map(str, nearest))}, or set model.block or "
                    "model.stages"
                )
        return self

    @property
    def kind(self) -> str:
        """alexnet, vgg, resnet; own for a function of the user's."""
        return "own" if own_model(self.name) else self.name

    def filled(self) -> dict[str, Any]:
        """The keys that this network uses, with what those left open stand for."""
        found = {key: getattr(self, key) for key in KEYS[self.kind]}
        found |= {key: value for key, value in DEFAULTS[self.kind].items() if found[key] is None}
        return found | _residual_shape(found) if self.kind == "resnet" else found

    def identity(self) -> dict[str, Any]:
        """What decides which network it is, defaults left out; another spelling of the same network is equal."""
        fields = type(self).model_fields
        unsaid = {key: fields[key].default for key in KEYS[self.kind]} | {"normalization": "none"}
        told = {key: value for key, value in self.filled().items() if value != unsaid[key]}
        own = own_model(self.name)
        name = f"{Path(own[0]).name}:{own[1]}" if own else self.name
        return told if name == "alexnet" else {"name": name, **told}


def _residual_shape(found: dict[str, Any]) -> dict[str, Any]:
    """block, stages and stem of a resnet: as said, else those that are published for its depth."""
    stages = found["stages"] or (4 if found["depth"] in FOUR_STAGES else 3)
    bottleneck = stages == 4 and found["depth"] in BOTTLENECKS
    return {
        "stages": stages,
        "block": found["block"] or ("bottleneck" if bottleneck else "basic"),
        "stem": found["stem"] or ("large" if stages == 4 else "small"),
    }
