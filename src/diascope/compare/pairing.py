"""Which arms a study compares with which."""

from diascope.config import StudyConfig


def pairs_of(study: StudyConfig) -> tuple[tuple[str, str], ...]:
    """(arm, against) in the study's order: its own `compare.pairs`, else every arm against the first."""
    return study.pairs
