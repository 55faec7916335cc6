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
    "pretrained": (
        *("backbone", "weights", "mode", "preprocessing", "gray"),
        *("layer", "pooling", "feature_precision", "augmented_copies"),
        *("head", "dense", "dropout", "inverse_regularization"),
        *("unfreeze", "unfreeze_every", "layer_decay", "frozen_statistics"),
    ),
    "own": ("options",),
}
# What None stands for, where a network leaves a key open; a resnet's block, stages and stem follow from its depth.
FOUR_STAGES = {depth for depth, _ in PUBLISHED}
BOTTLENECKS = {depth for depth, block in PUBLISHED if block == "bottleneck"}
_DENSE_DEFAULTS = {"normalization": "none", "dense": (64, 64)}
DEFAULTS: dict[str, dict[str, Any]] = {
    "alexnet": _DENSE_DEFAULTS,
    "vgg": {**_DENSE_DEFAULTS, "depth": 16},
    "resnet": {"depth": 20, "normalization": "batch"},
    "pretrained": {"dense": ()},
    "own": {},
}
# Keys of a pretrained network that mean something in one mode only, or with one head only.
OF_FEATURES = ("layer", "head", "inverse_regularization")
OF_FINETUNING = ("unfreeze", "unfreeze_every", "layer_decay", "frozen_statistics")
OF_LOGISTIC = ("inverse_regularization",)
OF_DENSE = ("dense", "dropout")


def own_model(name: str) -> tuple[str, str] | None:
    """`file.py:function` as (file, function); None for the name of a built-in network."""
    found = OWN_MODEL.match(name)
    return (found["file"], found["function"]) if found else None


def _known(name: str) -> str:
    if (name == "own" or name not in KEYS) and own_model(name) is None:
        raise ValueError(
            f"{name!r} is not a network; use alexnet, vgg, resnet, pretrained, or file.py:function for your own"
        )
    return name


class ModelConfig(Section):
    """The network."""

    name: Annotated[str, AfterValidator(_known)] = Field(
        "alexnet",
        description="alexnet, vgg, resnet, pretrained, or file.py:function, a function of your own "
        "(channels, outputs, image_size, **options) that returns a torch.nn.Module",
        json_schema_extra={"examples": ["alexnet", "vgg", "resnet", "pretrained", "file.py:function"]},
    )
    base_channels: int = Field(8, ge=1, le=1024, description="channels of the first block; the others are multiples")
    depth: int | None = Field(
        None,
        ge=1,
        le=2000,
        description="layers with weights. vgg: 11, 13, 16 or 19 (default 16); resnet: default 20",
    )
    dense: tuple[Annotated[int, Field(ge=1, le=65_536)], ...] | None = Field(
        None,
        max_length=16,
        description="alexnet, vgg: widths of the hidden dense layers, default [64, 64]; pretrained: those of its head, "
        "default none, which is a linear head",
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

    backbone: str | None = Field(None, description="pretrained: name of a network of timm: vgg16, resnet50, ...")
    weights: str = Field(
        "hub",
        min_length=1,
        description="pretrained: hub: those that timm publishes; a .safetensors or PyTorch file; random: drawn anew by "
        "every run and fitted to its training images, for comparison",
    )
    mode: Literal["features", "finetune"] = Field(
        "features",
        description="pretrained: features: the backbone stays as it is, only a head learns; finetune: its last blocks "
        "learn too",
    )
    preprocessing: Literal["weights", "none"] = Field(
        "weights",
        description="pretrained: weights: pixels minus the mean and divided by the SD that the weights were trained "
        "with; none: as data.normalize says",
    )
    gray: Literal["repeat", "adapt"] = Field(
        "repeat",
        description="pretrained, images of one channel: repeat it for red, green and blue, or adapt the first layer",
    )
    layer: int = Field(
        -1,
        ge=-1_000_000,
        le=1_000_000,
        description="features: the block whose output is taken, from 0, or from -1, the last one",
    )
    pooling: Literal["average", "flatten", "both"] = Field(
        "average", description="pretrained: what becomes of a block's maps: their means, all their values, or both"
    )
    feature_precision: Literal["float32", "float16"] = Field(
        "float32", description="pretrained: how what is computed once is stored"
    )
    augmented_copies: int = Field(
        4,
        ge=0,
        le=1000,
        description="pretrained, with augmentation: so many changed copies of each image are computed once, and each "
        "epoch takes one of them; 0: a new change each epoch, through the frozen backbone, which is slow",
    )
    head: Literal["dense", "logistic"] = Field(
        "dense", description="features: dense layers, or logistic regression by scikit-learn, fitted to the end at once"
    )
    inverse_regularization: float = Field(
        1.0, gt=0, description="logistic: scikit-learn's C, for standardized features"
    )
    unfreeze: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["all"] = Field(
        1, description="finetune: how many blocks learn, counted from the last one, or all"
    )
    unfreeze_every: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="finetune: at first the head alone learns, and after every so many epochs one block more, the last "
        "one first (Howard and Ruder 2018)",
    )
    layer_decay: float = Field(
        1.0,
        gt=0,
        le=1,
        description="finetune: learning rate of the last block as a share of the head's, of the one before it as a "
        "share of the last one's, and so on",
    )
    frozen_statistics: bool = Field(
        True, description="finetune: normalization layers keep the means and variances of the weights"
    )

    @model_validator(mode="after")
    def _keys_have_a_use(self) -> Self:
        for key, field in type(self).model_fields.items():
            if key != "name" and key not in KEYS[self.kind] and getattr(self, key) != field.default:
                users = " and ".join(name for name, keys in KEYS.items() if key in keys)
                raise ValueError(f"{self.name} has no {key}, which is for {users}; set it in the arms that use it")
        return self

    @model_validator(mode="after")
    def _pretrained_makes_sense(self) -> Self:
        if self.name != "pretrained":
            return self
        if self.backbone is None:
            raise ValueError("pretrained needs model.backbone, a network of timm: vgg16 say, or resnet50")
        logistic = self.head == "logistic"
        idle = {
            "mode: features": OF_FEATURES if self.mode == "finetune" else (),
            "mode: finetune": OF_FINETUNING if self.mode == "features" else (),
            "head: logistic": OF_LOGISTIC if not logistic else (),
            "head: dense": OF_DENSE if logistic else (),
        }
        for wanted, keys in idle.items():
            for key in keys:
                if getattr(self, key) != type(self).model_fields[key].default:
                    raise ValueError(f"{key} is for {wanted}; leave it out, or set that")
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

    @property
    def normalizes_by_batch(self) -> bool:
        """Whether layers of batch normalization learn; of a function of the user's own that is not known, so: yes."""
        if self.kind == "pretrained":
            return self.mode == "finetune" and not self.frozen_statistics
        return self.kind == "own" or self.filled()["normalization"] == "batch"

    def filled(self) -> dict[str, Any]:
        """The keys that this network uses, with what those left open stand for."""
        found = {key: getattr(self, key) for key in KEYS[self.kind]}
        found |= {key: value for key, value in DEFAULTS[self.kind].items() if found[key] is None}
        return found | _residual_shape(found) if self.kind == "resnet" else found

    def identity(self) -> dict[str, Any]:
        """What decides which network it is, defaults left out; another spelling of the same network is equal.

        Neither code of the user's own nor a file of weights is named: what is in them is part of a run's content.
        """
        fields = type(self).model_fields
        unsaid = {key: fields[key].default for key in KEYS[self.kind]} | _DENSE_DEFAULTS
        told = {key: value for key, value in self.filled().items() if value != unsaid[key]}
        if told.get("weights", "random") != "random":
            del told["weights"]
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
