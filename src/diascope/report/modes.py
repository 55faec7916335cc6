"""Networks that score far worse in evaluation mode than in training mode on the same training images; in words."""

from collections.abc import Mapping
from typing import Any

from diascope.report.formats import score

TOLERATED = 0.1  # of accuracy, or of balanced accuracy: what evaluation mode may lose

Modes = Mapping[str, Mapping[str, float | None]]  # scores by mode, as a run's done.json holds them


def fails_in_evaluation(arm: Mapping[str, Any]) -> bool:
    """Whether a finished run of the arm, as in a summary, loses more than is tolerated."""
    return bool(_failing(arm))


def mode_warnings(arms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """One sentence for each such arm, with the run that loses most."""
    return [_warning(name, arm, failing) for name, arm in arms.items() if (failing := _failing(arm))]


def _warning(name: str, arm: Mapping[str, Any], failing: list[Modes]) -> str:
    known = sum(run["training_images"] is not None for run in arm["runs"])
    worst = max(failing, key=lambda modes: max(_losses(modes).values()))
    metric = max(losses := _losses(worst), key=losses.__getitem__)
    trained, evaluated = (score(worst[mode][metric]) for mode in ("training", "evaluation"))
    if arm["config"]["training"]["evaluation_statistics"] == "moving":
        remedy = (
            "The moving averages of batch normalization do not describe the trained weights: leave "
            "training.evaluation_statistics at recomputed, or train for more epochs."
        )
    else:
        remedy = "Its batches are too different from one another: use larger batches or a lower learning rate."
    return (
        f"Evaluation mode fails: in {len(failing)} of {known} runs {name} classifies its own training images far worse "
        f"in evaluation mode than in training mode ({metric.replace('_', ' ')} {evaluated} against {trained}"
        f"{' in the worst run' if len(failing) > 1 else ''}). Its scores are about this fault, not about the method. "
        f"{remedy}"
    )


def _failing(arm: Mapping[str, Any]) -> list[Modes]:
    found = [run["training_images"] for run in arm["runs"] if run["training_images"] is not None]
    return [modes for modes in found if max(_losses(modes).values(), default=0.0) > TOLERATED]


def _losses(modes: Modes) -> dict[str, float]:
    """What evaluation mode loses of each score; scores that are undefined in a mode are left out."""
    both = {name: (modes["training"][name], modes["evaluation"][name]) for name in ("accuracy", "balanced_accuracy")}
    return {name: one - other for name, (one, other) in both.items() if one is not None and other is not None}
