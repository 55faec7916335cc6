"""How a network begins and how it learns, in words: from the sections model, training and data of a configuration."""

import json
from collections.abc import Mapping
from typing import Any

from diascope.config import ModelConfig, own_model
from diascope.config.model import KEYS
from diascope.config.training import STATISTICS_IMAGES
from diascope.report.checklist.pretrained_words import weights_words
from diascope.report.starts import first_arm
from diascope.report.stopping import chosen_by

Section = Mapping[str, Any]

GLOROT = "Glorot-uniform weights and zero biases (Glorot and Bengio 2010)"
HE = (
    "normal weights of variance 2 / fan-out in the convolutions (He et al. 2015), Glorot-uniform ones in the dense "
    "layer and zero biases, and zeros in the last normalization (without normalization, in the last convolution) of "
    "every block, so that it begins as its shortcut"
)
INITIAL_WEIGHTS = {"alexnet": GLOROT, "vgg": GLOROT, "resnet": HE}


def initial_weights(model: Section, training: Section) -> str:
    """The rule by which the weights begin; empty where it is not known."""
    begun = _begun_with(training)
    if model["name"] == "pretrained":
        return f"{weights_words(model)}{_of_head(model, begun)}"
    own = own_model(model["name"])
    rule = f"what the author's function {own[1]} gives them" if own else INITIAL_WEIGHTS.get(model["name"], "")
    return begun or rule


def _begun_with(training: Section) -> str:
    """The weights of another run; empty for a training that begins anew."""
    first = first_arm(training)
    if first is not None:
        return f"the weights that arm {first} had learned by the best epoch of its run of the same fold and seed"
    return f"the best weights of an earlier run ({training['start_from']})" if training.get("start_from") else ""


def _of_head(model: Section, begun: str) -> str:
    """Of a pretrained network, what is not its backbone's own; a logistic regression begins with nothing."""
    if begun:
        return f"; over them, {begun}"
    return "" if model["head"] == "logistic" else f"; in the head {GLOROT}"


def begins_at_random(model: Section, training: Section) -> bool:
    """Whether something is drawn before the training begins."""
    if model["name"] == "pretrained":
        return model["weights"] == "random" or not (training.get("start_from") or model["head"] == "logistic")
    return not training.get("start_from")


def training_words(training: Section, classes: int) -> list[str]:
    """Clauses without a full stop: length, optimizer, schedule, loss and all that is switched on besides."""
    epochs = training["epochs"]
    parts = [
        f"{'up to ' if training['early_stopping'] else ''}{epochs} epoch{'s' * (epochs != 1)} of batches of "
        f"{training['batch_size']}",
        _optimizer(training),
        f"learning rate {training['learning_rate']:g}, {_schedule(training['schedule'])}",
        _loss(training, classes),
        _weight_decay(training),
        f"gradients clipped to a norm of {training['gradient_clipping']:g}" if training["gradient_clipping"] else "",
        f"mixup of images and classes (alpha {training['mixup']:g}; Zhang et al. 2018)" if training["mixup"] else "",
        _sampling(training),
        _stopping(training),
        "matrix products in bfloat16" if training["precision"] == "bf16" else "",
    ]
    return [part for part in parts if part]


def _optimizer(training: Section) -> str:
    momentum = f"momentum {training['momentum']:g}"
    with_momentum = f", {momentum}" if training["momentum"] else ""
    nesterov = "Nesterov " if training["nesterov"] else ""
    return {
        "adam": "Adam (Kingma and Ba 2015; epsilon 1e-7 as in Keras)",
        "adamw": "AdamW (Loshchilov and Hutter 2019; epsilon 1e-7 as in Keras)",
        "sgd": "stochastic gradient descent" + (f" with {nesterov}{momentum}" if training["momentum"] else ""),
        "rmsprop": f"RMSprop (rho 0.9 and epsilon 1e-7 as in Keras{with_momentum})",
    }[training["optimizer"]]


def _schedule(found: Section) -> str:
    kind = found["kind"]
    if kind == "constant":
        return "constant"
    if kind == "step":
        return f"times {found['factor']:g} every {_epochs(found['every'])}"
    if kind == "exponential":
        return f"times {found['factor']:g} every epoch"
    if kind == "cosine":
        rise = f"rising over {_epochs(found['warmup'])}, then " if found["warmup"] else ""
        return f"{rise}falling along half a cosine to {100 * found['minimum']:g}% of it (Loshchilov and Hutter 2017)"
    if kind == "plateau":
        wait, least = _epochs(found["patience"]), f", at least {100 * found['minimum']:g}% of it"
        lowered = f"times {found['factor']:g} when validation loss has not improved for more than {wait}"
        return lowered + (least if found["minimum"] else "")
    return f"reached over the first {100 * found['rise']:g}% of the training and left again (one cycle, Smith 2018)"


def _loss(training: Section, classes: int) -> str:
    kind = "binary cross-entropy of one logistic output" if classes == 2 else f"cross-entropy of {classes} classes"
    if training["label_smoothing"]:
        kind += f" with label smoothing {training['label_smoothing']:g}"
    return kind + (", weighted by class" if training["class_weights"] != "none" else "")


def _weight_decay(training: Section) -> str:
    if not training["weight_decay"]:
        return ""
    way = "decoupled" if training["optimizer"] == "adamw" else "L2"
    return f"weight decay {training['weight_decay']:g} ({way}), not on normalization and biases"


def _sampling(training: Section) -> str:
    if training["sampler"] == "balanced":
        return "classes drawn equally often, images of rare ones several times"
    return "every image of the training side once an epoch, in random order"


def _stopping(training: Section) -> str:
    rule = training["early_stopping"]
    if not rule:
        return ""
    least = f" by more than {rule['min_delta']:g}" if rule["min_delta"] else ""
    end = f"ended when the {chosen_by(training)} so far had not been improved{least} for {_epochs(rule['patience'])}"
    return end + ("; the weights of the best epoch are restored" if rule["restore_best"] else "")


def statistics_words(model: Section, training: Section) -> list[str]:
    """Where batch normalization has its means and variances from when it evaluates; nothing where none learns."""
    if model["name"] not in KEYS or not ModelConfig.model_validate_json(json.dumps(model)).normalizes_by_batch:
        return []
    if training["evaluation_statistics"] == "moving":
        return ["batch normalization evaluates with moving averages over the steps of the training"]
    images = f"up to {STATISTICS_IMAGES} training images"
    return [f"batch normalization evaluates with statistics of {images}, recomputed after every epoch"]


def _epochs(count: float) -> str:
    return f"{count:g} epoch{'s' * (count != 1)}"


def normalization_words(normalize: str) -> str:
    """What is done to the pixels of 0 to 1 before the network gets them; empty for nothing."""
    return {
        "none": "",
        "standard": "from which the mean of the training side of each fold is taken, divided by its SD, channel by "
        "channel",
        "imagenet": "from which ImageNet's mean is taken, divided by its SD, channel by channel",
    }[normalize]
