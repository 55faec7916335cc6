"""A pretrained network in words: its weights, what of it learns, what its head takes, and what it does to the pixels.

All functions take the section model of a configuration whose network is `pretrained`.
"""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from diascope.core.text import counted, listed

Section = Mapping[str, Any]

POOLED = {
    "average": "the means over all places",
    "flatten": "all values",
    "both": "all values, and the means over all places,",
}


def weights_words(model: Section) -> str:
    """Where the weights of the backbone come from."""
    backbone, weights = model["backbone"], model["weights"]
    if weights == "random":
        return (
            f"random weights of {backbone} by timm's own rules, drawn anew by every run, with no branch shut off and "
            "normalization (without any, the convolutions) fitted to training images"
        )
    if weights == "hub":
        return f"the weights that timm publishes for {backbone} (its hub)"
    return f"the weights for {backbone} in the file {PurePath(weights).name}"


def network_words(model: Section) -> str:
    """What stays as it is and what learns, without a full stop."""
    backbone, pooled = f"{model['backbone']} of timm", POOLED[model["pooling"]]
    half = model["feature_precision"] == "float16"
    if model["mode"] == "features":
        stored = " (stored as float16)" if half else ""
        return (
            f"the backbone {backbone}, of which nothing learns: the features of an image are {pooled} of what "
            f"{_block(model['layer'])} gives{stored}, and {_head(model)} learns from them"
        )
    takes = f"{_head(model)}, which takes {pooled} of what the last block gives"
    if model["unfreeze"] == "all":
        return f"the backbone {backbone}, all of which learns, with {takes}"
    blocks = "block learns" if model["unfreeze"] == 1 else f"{model['unfreeze']} blocks learn"
    stored = ", and what it gives is stored as float16" if half else ""
    return f"the backbone {backbone}, of which the last {blocks}, with {takes}; what lies before stays as it is{stored}"


def _block(layer: int) -> str:
    if layer == -1:
        return "its last block"
    return f"its block {layer} (the first is 0)" if layer >= 0 else f"its block −{-layer} (the last is −1)"


def _head(model: Section) -> str:
    if model["mode"] == "features" and model["head"] == "logistic":
        return f"a logistic regression ({logistic_words(model)})"
    widths = model["dense"] or ()
    if not widths:
        return "a linear head"
    layers = "a hidden dense layer" if len(widths) == 1 else f"{len(widths)} hidden dense layers"
    after = " after each" if len(widths) > 1 else ""
    dropout = f", dropout {model['dropout']:g}{after}" if model["dropout"] else ""
    return f"a head with {layers} ({listed(widths)} units{dropout})"


def logistic_words(model: Section) -> str:
    return f"scikit-learn, L2 penalty, C {model['inverse_regularization']:g}"


def fitted_words(model: Section, training: Section) -> str:
    """How a logistic head is fitted, without a full stop."""
    weighted = ", images weighted by class" if training["class_weights"] != "none" else ""
    rounded = ", which are computed with matrix products in bfloat16" if training["precision"] == "bf16" else ""
    equal = "" if model["weights"] == "random" else "; nothing of it is random, so that all seeds of a fold are equal"
    return (
        f"a logistic regression ({logistic_words(model)}{weighted}) is fitted to its end at once, without epochs, to "
        f"the features of the training side{rounded}, standardized by their mean and SD there{equal}"
    )


def finetuning_words(model: Section, training: Section) -> list[str]:
    """Clauses without a full stop on how the blocks learn; none where they do not."""
    if model["name"] != "pretrained" or model["mode"] != "finetune":
        return []
    decay = f"the learning rate of each block {model['layer_decay']:g} times that of the one behind it, the last one's "
    kept = "keep the means and variances that came with the weights"
    if not model["frozen_statistics"]:
        kept = "of the blocks that learn take their means and variances from the training side"
    parts = [
        f"{decay}so many times the head's" if model["layer_decay"] != 1 else "",
        _unfreezing(model, training["epochs"]),
        f"normalization layers, if there are any, {kept}",
    ]
    return [part for part in parts if part]


def _unfreezing(model: Section, epochs: int) -> str:
    every = model["unfreeze_every"]
    if every is None:
        return ""
    awake = (epochs - 1) // every
    if model["unfreeze"] != "all":
        awake = min(awake, model["unfreeze"])
    spans = "epoch" if every == 1 else f"{every} epochs"
    return (
        f"for the first {spans} the head learns alone, then every {spans} one block more, the last one first "
        f"(Howard and Ruder 2018), at most {counted(awake, 'block')} by the last epoch"
    )


def scaling_words(model: Section, channels: int, normal: str) -> str:
    """What is done to pixels of 0 to 1 before the backbone gets them; `normal` is what data.normalize does."""
    adapted = channels == 1 and model["gray"] == "adapt"
    if model["preprocessing"] == "weights":
        whose = "the weights expect"
        if model["weights"] == "random":
            whose = f"timm's weights of {model['backbone']} would expect"
        spread = "averaged over the colours" if adapted else "channel by channel"
        normal = f"from which the mean that {whose} is taken, divided by their SD, {spread}"
    return "; ".join(part for part in (normal, _gray(model) if channels == 1 else "") if part)


def _gray(model: Section) -> str:
    if model["gray"] == "repeat":
        return "the one channel is repeated for red, green and blue"
    if model["weights"] == "random":
        return "the first layer is made for one channel"
    return "the first layer is adapted to one channel (its weights are summed over the colours)"
