"""What the curves say, word for word, on planted studies of 1, 2 and 5 arms with 1 to 10 runs."""

from pathlib import Path

import numpy as np
import pytest
from planted_curves import Curve, history, plant
from study_folders import MakeStudy

from diascope.compare.curve_sentences import UNCORRECTED, curve_sentences, keyed_sentences
from diascope.compare.curves import study_readings
from diascope.runs.record import StudyRecord

EPOCHS = 50
TIME = np.arange(1, EPOCHS + 1)
ONE_ARM: dict[str, dict[str, object]] = {"plain": {}}
TWO_ARMS: dict[str, dict[str, object]] = {"plain": {}, "dropout": {"model.dropout": 0.4}}
FIVE_ARMS: dict[str, dict[str, object]] = {f"rate-{k}": {"model.dropout": k / 10} for k in range(5)}
LEARNING = np.linspace(0.7, 0.1, EPOCHS)  # training loss


def line(end: int, lowest: float = 0.4) -> Curve:
    """A loss that falls to `lowest` at epoch `end`, and stays there."""
    return np.interp(TIME, [1, end], [0.7, lowest])


def vee(end: int, last: float = 0.9) -> Curve:
    return np.interp(TIME, [1, end, EPOCHS], [0.7, 0.4, last])


def reaching(epoch: int | None) -> Curve:
    """Training accuracy: 0.9 from `epoch` on, or 0.8 for ever."""
    return np.full(EPOCHS, 0.8) if epoch is None else np.where(epoch <= TIME, 0.9, 0.5)


def said(folder: Path) -> list[str]:
    return curve_sentences(study_readings(StudyRecord(folder)))


def test_one_run_of_one_arm(make_study: MakeStudy) -> None:
    folder = make_study(arms=ONE_ARM, seeds=1)
    plant(folder, "plain", history(line(21), LEARNING))
    assert said(folder) == [
        "Validation loss of plain had made 90% of its fall by epoch 19 (one run).",
        "Validation loss of plain did not surely turn up within 50 epochs (one run).",
    ]


def test_one_run_that_still_falls(make_study: MakeStudy) -> None:
    folder = make_study(arms=ONE_ARM, seeds=1)
    plant(folder, "plain", history(line(50), LEARNING))
    assert said(folder)[0] == (
        "Validation loss of plain was still falling at the last epoch in the one run, "
        "so 50 epochs do not show where it would end."
    )


def test_ten_runs_that_level_off_at_different_epochs(make_study: MakeStudy) -> None:
    folder = make_study(arms=ONE_ARM, seeds=10)
    plant(folder, "plain", *(history(line(end), LEARNING) for end in [11] * 5 + [21] * 5))
    assert said(folder)[0] == (
        "Validation loss of plain had made 90% of its fall by epoch 14 (mean of 10 runs, SD 4.7; range 10 to 19)."
    )


def test_censored_runs_are_counted_not_averaged(make_study: MakeStudy) -> None:
    folder = make_study(arms=ONE_ARM, seeds=5)
    plant(folder, "plain", *(history(line(end), LEARNING) for end in (11, 11, 21, 40, 40)))
    assert said(folder)[0] == (
        "Validation loss of plain had made 90% of its fall in 3 of 5 runs, by epochs 10 to 19 (median of all 5: 19)."
    )


def test_two_arms_of_one_run_have_no_interval(make_study: MakeStudy) -> None:
    folder = make_study(arms=TWO_ARMS, seeds=1)
    plant(folder, "plain", history(line(11), LEARNING, training_accuracy=reaching(9)))
    plant(folder, "dropout", history(line(21), LEARNING, training_accuracy=reaching(12)))
    assert said(folder)[:2] == [
        "dropout reached plain's final training accuracy of 0.900 at epoch 12 (one run); "
        "plain itself did at epoch 9 (one run).",
        "Whether dropout or plain converges faster cannot be judged: in dropout, 90% of the fall of validation loss "
        "came 9 epochs later (one pair of runs).",
    ]
    assert "95% CI" not in " ".join(said(folder))
    assert UNCORRECTED not in said(folder)


def test_a_difference_that_is_shown_carries_its_interval_n_and_that_it_is_not_corrected(make_study: MakeStudy) -> None:
    folder = make_study(arms=TWO_ARMS, seeds=4)
    ours, theirs = (9, 10, 10, 11), (20, 21, 22, 25)
    plant(folder, "plain", *(history(line(end), LEARNING, training_accuracy=reaching(end)) for end in theirs))
    plant(folder, "dropout", *(history(line(end), LEARNING, training_accuracy=reaching(end)) for end in ours))
    sentences = said(folder)
    assert sentences[0] == (
        "dropout reached plain's mean final training accuracy of 0.900 at epoch 10 (mean of 4 runs, SD 0.8; range 9 to "
        "11); plain itself did at epoch 22 (mean of 4 runs, SD 2.2; range 20 to 25); dropout came there 12 epochs "
        "earlier (95% CI 10 to 14; 4 paired runs)."
    )
    assert sentences[1].startswith("dropout converged faster than plain: 90% of the fall of validation loss came 1")
    assert sentences[-1] == UNCORRECTED
    assert sentences.count(UNCORRECTED) == 1


TUNED: dict[str, dict[str, object]] = {
    "features": {},
    "fine-tuned": {"training.start_from": "arm:features"},
    "longer": {"training.start_from": "arm:features"},
}


def test_epochs_of_an_arm_with_a_head_start_are_not_compared(make_study: MakeStudy) -> None:
    pairs = {"compare": {"pairs": [["fine-tuned", "features"], ["longer", "fine-tuned"]]}}
    folder = make_study(arms=TUNED, seeds=2, more=pairs)
    for arm, end in (("features", 20), ("fine-tuned", 9), ("longer", 15)):
        plant(folder, arm, *(history(line(end), LEARNING, training_accuracy=reaching(end)) for _ in range(2)))
    found = keyed_sentences(study_readings(StudyRecord(folder)))
    assert {key for key, _ in found if " against " in key} == {"longer against fine-tuned"}  # both have the same start
    assert [(key, sentence) for key, sentence in found if "began with" in sentence] == [
        (
            "fine-tuned",
            "fine-tuned began with the trained weights of features: its epochs are not compared with those of arms "
            "that did not.",
        )
    ]


@pytest.mark.parametrize(
    ("options", "is_goal"),
    [
        ({"per_class": [40, 40]}, True),  # half of the images are of one class, and 0.9 is better than that
        ({"per_class": [114, 6]}, False),  # 0.95 are
        ({"per_class": [114, 6], "more": {"training": {"epochs": EPOCHS, "sampler": "balanced"}}}, True),
    ],
)
def test_an_accuracy_that_one_answer_reaches_is_no_goal(
    make_study: MakeStudy, options: dict[str, object], is_goal: bool
) -> None:
    folder = make_study(arms=TWO_ARMS, seeds=2, **options)
    for arm in TWO_ARMS:
        plant(folder, arm, *(history(line(20), LEARNING, training_accuracy=reaching(20)) for _ in range(2)))
    assert any("final training accuracy" in sentence for sentence in said(folder)) is is_goal


def test_an_arm_that_never_gets_there_is_said_not_to(make_study: MakeStudy) -> None:
    folder = make_study(arms=TWO_ARMS, seeds=2)
    plant(folder, "plain", *(history(line(11), LEARNING, training_accuracy=reaching(end)) for end in (20, 20)))
    plant(folder, "dropout", *(history(line(50), LEARNING, training_accuracy=reaching(None)) for _ in range(2)))
    assert said(folder)[:2] == [
        "dropout did not reach plain's mean final training accuracy of 0.900 within 50 epochs (2 runs); "
        "plain itself did at epoch 20 (all 2 runs).",
        "dropout converged later than plain in 2 of 2 paired runs.",
    ]


def test_overfitting_is_compared_where_an_arm_s_loss_never_fell(make_study: MakeStudy) -> None:
    folder = make_study(arms=TWO_ARMS, seeds=3)
    rising = np.interp(TIME, [1, 5, EPOCHS], [0.5, 0.5, 0.9])
    plant(folder, "plain", *(history(vee(end), LEARNING) for end in (18, 20, 24)))
    plant(folder, "dropout", *(history(rising, LEARNING) for _ in range(3)))
    sentences = said(folder)
    assert any(
        s.startswith("Overfitting of dropout set in 1") and "earlier than in plain (95% CI" in s for s in sentences
    )
    assert "Validation loss of dropout did not fall by more than its noise (3 runs)." in sentences


def test_overfitting_is_placed(make_study: MakeStudy) -> None:
    folder = make_study(arms=ONE_ARM, seeds=2)
    plant(folder, "plain", *(history(vee(20), LEARNING) for _ in range(2)))
    assert said(folder)[1].startswith("Validation loss of plain turned up at epoch 2")
    assert said(folder)[1].endswith("while training loss went on falling: it overfits from there on.")


@pytest.mark.parametrize("seeds", [1, 3])
def test_five_arms_say_at_most_three_sentences_a_pair_and_two_an_arm(make_study: MakeStudy, seeds: int) -> None:
    folder = make_study(arms=FIVE_ARMS, seeds=seeds, epochs=30)
    readings = study_readings(StudyRecord(folder))
    found = keyed_sentences(readings)
    keys = [key for key, _ in found]
    assert [sentence for _, sentence in found] == curve_sentences(readings)
    assert all(keys.count(key) <= (3 if " against " in key else 2) for key in set(keys) - {""})
    assert {key for key in keys if " against " in key} == {f"rate-{k} against rate-0" for k in range(1, 5)}
    assert keys.index("rate-0") > max(k for k, key in enumerate(keys) if " against " in key)  # pairs come first
    assert not any("no difference is shown" in sentence for _, sentence in found)  # brief


def test_twelve_epochs_are_too_few(make_study: MakeStudy) -> None:
    sentences = said(make_study(arms=ONE_ARM, seeds=2))
    assert sentences == [
        "With 12 epochs, the curves are too short to show where they level off, turn up or would end; "
        "that takes 21 epochs."
    ]


def test_nothing_is_said_before_a_run_has_ended(make_study: MakeStudy) -> None:
    folder = make_study(arms=ONE_ARM, seeds=1)
    next(folder.glob("runs/*/*/done.json")).unlink()
    assert said(folder) == []
