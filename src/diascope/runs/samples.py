"""Where the pictures of a study's augmented training images lie: one strip a class for arms that augment alike."""

from collections.abc import Sequence
from pathlib import Path

from diascope.config import canonical_json
from diascope.runs.record import sample_stem
from diascope.studyfile import Arm


def augmenting_arms(arms: Sequence[Arm]) -> list[list[Arm]]:
    """The arms that augment; those that do the same to the same pixels together, in the study's order."""
    alike: dict[str, list[Arm]] = {}
    for arm in arms:
        if arm.augmentation.changes:
            alike.setdefault(canonical_json(arm.augmentation) + canonical_json(arm.data), []).append(arm)
    return list(alike.values())


def strip_path(study: Path, arm: str, class_name: str) -> Path:
    """The strip of a class, under the name of the first arm that augments so: an image, then random changes of it."""
    return study / "samples" / "augmented" / arm / f"{sample_stem(class_name)}.png"
