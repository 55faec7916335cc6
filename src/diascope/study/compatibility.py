"""Whether the arms of a study fit its images and their own sections, found out before anything is trained."""

from diascope.core.errors import ConfigError, DiascopeError
from diascope.core.findings import Finding
from diascope.data.index import ImageIndex
from diascope.data.split import Folds
from diascope.models import check_model
from diascope.models.pretrained import expected_size
from diascope.studyfile import Arm, Study
from diascope.training.class_weights import class_weights
from diascope.training.stopping import check_watchable


def check_arms(study: Study, index: ImageIndex) -> None:
    """Every arm's network must take the images, and its class weights name their classes. Raises ConfigError."""
    for arm in study.arms:
        try:
            size = (arm.data.height, arm.data.width)
            check_model(arm.model, channels=arm.data.channels, classes=len(index.classes), image_size=size)
            _check_pretrained(arm)
            class_weights(arm.training.class_weights, index.labels, index.classes)
        except DiascopeError as error:
            raise _of_arm(arm, error) from error


def _check_pretrained(arm: Arm) -> None:
    """What other sections may not ask of a pretrained network, since it would be ignored."""
    model, training = arm.model, arm.training
    if model.kind != "pretrained":
        return
    if model.preprocessing == "weights" and arm.data.normalize != "none":
        what = f"is {arm.data.normalize}, but model.preprocessing weights scales the pixels as the weights expect it"
        raise ConfigError(what, where="data.normalize", remedy="set it to none, or model.preprocessing to none")
    if model.gray == "adapt" and arm.data.channels == 3:
        what = "is adapt, which is for images of one channel, but data.channels is 3"
        raise ConfigError(what, where=f"arm {arm.name}: model.gray", remedy="leave it out, or set data.channels to 1")
    if model.unfreeze_every is not None and model.unfreeze_every >= training.epochs:
        what = f"is {model.unfreeze_every}, but there are only {training.epochs} epochs: no block would learn"
        raise ConfigError(what, where=f"arm {arm.name}: model.unfreeze_every", remedy="lower it, or train longer")
    if model.head == "logistic":
        idle = {
            "training.mixup": training.mixup,
            "training.label_smoothing": training.label_smoothing,
            "training.early_stopping": training.early_stopping,
            "training.sampler": training.sampler == "balanced",
            "training.start_from": training.start_from,
            "augmentation": arm.augmentation.changes,
        }
        for key in (key for key, used in idle.items() if used):
            what = "is not for model.head logistic, which is fitted to the plain features at once"
            raise ConfigError(what, where=f"arm {arm.name}: {key}", remedy="leave it out in this arm")


def other_sizes(study: Study) -> list[Finding]:
    """A note for arms whose images are of another size than those that their weights were trained with."""
    found: dict[str, list[str]] = {}
    for arm in study.arms:
        if arm.model.backbone is None or arm.model.weights == "random":
            continue
        height, width = expected_size(arm.model)
        if (height, width) != arm.data.image_size:
            said = (
                f"The weights of {arm.model.backbone} were trained with images of {height} x {width} pixels, and these "
                f"have {arm.data.height} x {arm.data.width}"
            )
            found.setdefault(said, []).append(arm.name)
    return [
        Finding(
            code="weights-size",
            severity="info",
            outcome="issue",
            sentence=f"{said} (arms {', '.join(arms)}); features are usually best at the size of the training.",
            evidence={"arms": arms},
        )
        for said, arms in found.items()
    ]


def check_sides(study: Study, index: ImageIndex, folds: Folds) -> None:
    """What early stopping watches must be defined on every fold's validation side. Raises ConfigError."""
    for arm in study.arms:
        for fold in folds.folds:
            try:
                check_watchable(arm.training.early_stopping, index.labels[fold.validation], index.classes)
            except DiascopeError as error:
                raise _of_arm(arm, error) from error


def _of_arm(arm: Arm, error: DiascopeError) -> ConfigError:
    named = f"arm {arm.name}"
    where = error.where if (error.where or "").startswith(named) else ": ".join(filter(None, [named, error.where]))
    return ConfigError(error.what, where=where, remedy=error.remedy)
