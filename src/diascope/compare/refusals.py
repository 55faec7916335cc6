"""Why a pair of arms is not judged, in words that end a sentence; empty where it is."""

from diascope.compare.pairs import ScoredRuns
from diascope.compare.scoring import Place
from diascope.metrics import REGISTRY
from diascope.runs.record import StudyRecord


def nothing_to_compare(metric: str, arm: ScoredRuns, against: ScoredRuns, names: tuple[str, str]) -> str:
    """Why there is no difference at all: the metric is undefined, or no pair of runs is there."""
    for name, found in zip(names, (arm, against), strict=True):
        if found.undefined and not found.runs:
            runs = "its only run" if len(found.undefined) == 1 else f"all {len(found.undefined)} runs"
            return f"it is undefined in {runs} of {name} (it needs {REGISTRY[metric].needs})"
    if arm.undefined or against.undefined:
        return "no fold-seed pair is finished in both with the metric defined"
    return f"no fold-seed pair is {'judged on the test side' if arm.shared else 'finished'} in both"


def one_chose_its_weights(record: StudyRecord, pair: tuple[str, str], place: Place) -> str:
    """Where one arm is judged by weights that were chosen on these very images, and the other is not."""
    if place.side != "validation":
        return ""
    chose = {arm.name: arm.training.restores_best for arm in record.arm_configs}
    if chose[pair[0]] == chose[pair[1]]:
        return ""
    one, other = pair if chose[pair[0]] else (pair[1], pair[0])
    return (
        f"the weights of {one} were chosen on these validation images (training.early_stopping.restore_best) and those "
        f"of {other} were not. Judge both on a test side, or set restore_best alike in both"
    )
