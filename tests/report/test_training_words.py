"""Training in words for the checklist: every option is said where it is used, and where it is not, it is not."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest

from diascope.config import TrainingConfig
from diascope.models import MODELS
from diascope.report.checklist import checklist_section
from diascope.report.checklist.training_words import INITIAL_WEIGHTS, initial_weights, training_words
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]


def _section(**options: Any) -> dict[str, Any]:
    return TrainingConfig.model_validate(options).model_dump(mode="json")


def _words(classes: int = 2, **options: Any) -> str:
    return "; ".join(training_words(_section(**options), classes))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"optimizer": "adamw", "weight_decay": 0.01}, "weight decay 0.01 (decoupled), not on"),
        ({"weight_decay": 0.01}, "weight decay 0.01 (L2), not on normalization and biases"),
        ({"optimizer": "sgd", "momentum": 0.9, "nesterov": True}, "gradient descent with Nesterov momentum 0.9;"),
        ({"optimizer": "sgd"}, "stochastic gradient descent;"),
        ({"optimizer": "rmsprop", "momentum": 0.5}, "RMSprop (rho 0.9 and epsilon 1e-7 as in Keras, momentum 0.5)"),
        ({"schedule": {"kind": "step", "every": 5}}, "learning rate 0.0001, times 0.1 every 5 epochs"),
        ({"schedule": {"kind": "cosine", "warmup": 1}}, "rising over 1 epoch, then falling along half a cosine to 0%"),
        ({"schedule": "plateau"}, "times 0.1 when validation loss has not improved for more than 10 epochs"),
        ({"schedule": "exponential"}, "times 0.95 every epoch"),
        ({"schedule": "one_cycle"}, "reached over the first 30% of the training"),
        ({"gradient_clipping": 1}, "gradients clipped to a norm of 1"),
        ({"label_smoothing": 0.1}, "label smoothing 0.1"),
        ({"mixup": 0.2}, "mixup of images and classes (alpha 0.2"),
        ({"class_weights": "balanced"}, "weighted by class"),
        ({"sampler": "balanced"}, "classes drawn equally often, images of rare ones several times"),
        ({"precision": "bf16"}, "bfloat16"),
        ({"early_stopping": 4}, "ended when the lowest validation loss so far had not been improved for 4 epochs"),
        ({"early_stopping": {"metric": "auroc", "min_delta": 0.01, "restore_best": True}},
         "highest validation AUROC so far had not been improved by more than 0.01 for 10 epochs; the weights of"),
    ],
)  # fmt: skip
def test_every_option_is_said_where_it_is_used(options: dict[str, Any], words: str) -> None:
    assert words in f"{_words(**options)};"
    assert words not in f"{_words()};"


def test_every_kind_of_optimizer_and_schedule_has_words() -> None:
    for optimizer in get_args(TrainingConfig.model_fields["optimizer"].annotation):
        assert _words(optimizer=optimizer, weight_decay=0.1)
    for kind in ("constant", "step", "exponential", "cosine", "plateau", "one_cycle"):
        assert _words(schedule=kind)


def test_the_loss_goes_by_the_number_of_classes() -> None:
    assert "binary cross-entropy of one logistic output" in _words()
    assert "cross-entropy of 7 classes" in _words(7)
    assert "binary" not in _words(7)


def test_every_registered_network_has_its_initial_weights() -> None:
    assert set(INITIAL_WEIGHTS) == set(MODELS)
    assert "zeros in the last normalization" in initial_weights({"name": "resnet"}, _section())
    assert "function small" in initial_weights({"name": "net.py:small"}, _section())
    assert "earlier run (../a)" in initial_weights({"name": "vgg"}, _section(start_from="../a"))
    assert initial_weights({"name": "unheard-of"}, _section()) == ""


def test_arms_that_are_trained_differently_are_told_apart(make_study: MakeStudy) -> None:
    arms = {
        "plain": {},
        "resnet": {"model.name": "resnet"},
        "decayed": {"training.weight_decay": 0.1, "augmentation.rotation": 10, "data.normalize": "standard"},
    }
    summary = summarize(StudyRecord(make_study(arms=arms, seeds=1, folds=2, epochs=2)))
    rows = {row["key"]: row["text"] for row in checklist_section(summary)["rows"]}
    assert "Plain and decayed: Glorot-uniform weights" in rows["initialization"]
    assert "Resnet: normal weights of variance 2 / fan-out" in rows["initialization"]
    assert "is drawn from each run's own seed and its fold. No pretrained weights." in rows["initialization"]
    assert rows["training"].startswith("In all arms: 2 epochs of batches of 8; Adam")
    assert "Plain: nothing else. Resnet: batch normalization evaluates with" in rows["training"]
    assert "Decayed: weight decay 0.1 (L2)" in rows["training"]
    assert "In decayed, rotation by −10 to 10 degrees" in rows["training"]
    assert "the mean of the training side of each fold is taken" in rows["preprocessing"]
    assert "depth null" not in rows["model"]


def test_a_watched_validation_side_and_restored_weights_are_told(make_study: MakeStudy) -> None:
    folder = make_study(arms={"kept": {"training.early_stopping": {"restore_best": True}}, "plain": {}}, seeds=1)
    done = folder / "runs/kept/fold0-seed0/done.json"
    done.write_text(done.read_text().replace("{", '{"stopped_early": false, "restored_best": true,', 1))
    rows = {row["key"]: row["text"] for row in checklist_section(summarize(StudyRecord(folder)))["rows"]}
    assert "In kept, training looked at it to stop or to lower the learning rate." in rows["internal"]
    assert (
        "The trainings of kept ended with the weights of their epoch with the lowest validation loss"
        in rows["selection"]
    )
    assert rows["selection"].startswith("The arms are judged at their last epoch")
