"""Which arms a study compares with which."""

from diascope.config import StudyConfig


def pairs_of(study: StudyConfig) -> tuple[tuple[str, str], ...]:
    """(arm, against) in the study's order: its own `compare.pairs`, else every arm against the first."""
    if study.compare.pairs is not None:
        return tuple((arm, against) for arm, against in study.compare.pairs)
    first, *others = study.arms
    return tuple((arm, first) for arm in others)
