"""How often the verdicts of a study were seen, and what was done about it: the key `looks` of summary.json."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from diascope.compare.estimate import LEVEL
from diascope.compare.looks import KEPT, Looking, looking_at
from diascope.compare.verdict import Comparison
from diascope.metrics import REGISTRY
from diascope.runs.chain import missing_before
from diascope.runs.look_log import Settings, VerdictLook
from diascope.runs.record import StudyRecord


def summarize_looks(record: StudyRecord, metric: str, comparisons: Sequence[Comparison]) -> dict[str, Any]:
    """Number of this look, its boundary, what was planned, the log up to it, and in words what that means."""
    tests = sum(found.p is not None for found in comparisons)
    looking = looking_at(record, metric, tests)
    decided = bool(comparisons) and all(found.verdict != "not shown" for found in comparisons)
    seen = [*looking.earlier, *([looking.look] if tests else [])]
    return {
        "number": looking.number if tests else None,
        "planned": list(looking.planned) or None,
        "boundary": looking.level if tests else None,
        "decided": decided,
        "log": [_logged(look) for look in seen],
        "sentence": (_of_plan if looking.planned else _of_number)(looking, tests, decided=decided),
        "warnings": [
            *_taken_out(record.looks),
            *_changes(seen),
            *_seen_since(looking, record.looks[looking.number :] if tests else ()),
        ],
    }


def _logged(look: VerdictLook) -> dict[str, Any]:
    """A look with its runs counted; which they were, and when, stays in look_log.json."""
    runs = sum(len(names) for names in look.runs.values())
    return {**look.settings.model_dump(mode="json"), "seeds": look.seeds, "runs": runs, "spent": look.spent}


def _of_plan(looking: Looking, tests: int, *, decided: bool) -> str:
    most, planned, seeds = looking.planned[-1], looking.planned, looking.look.seeds
    listed = f"{', '.join(map(str, planned[:-1]))} and {planned[-1]} seeds"
    plan = (
        f"Seeds are added at planned looks ({listed}) until every verdict is decided, with boundaries (alpha spending) "
        f"that hold the error over all looks at {100 * LEVEL:g}% or less."
    )
    if not seeds:
        return f"{plan} The first look is not complete yet."
    if not tests:
        return f"No pair could be tested with {seeds} of at most {most} seeds: see why in each sentence. {plan}"
    if decided:
        return f"Decided after {seeds} of at most {most} seeds, {looking.where}. {plan}"
    if seeds >= most:
        return f"Not decided with {most} seeds, the limit ({looking.where}). {plan}"
    following = next(count for count in planned if count > seeds)
    after = f"Not decided after {seeds} of at most {most} seeds, {looking.where}"
    return f"{after}; the next look has {following} seeds. {plan}"


def _of_number(looking: Looking, tests: int, *, decided: bool) -> str:
    if not tests or looking.number == 1:
        return ""
    needed = f"p ≤ {looking.level:.2g} here" if looking.level else "more than any p could show"
    return (
        f"This is look {looking.number} at the verdicts of this study, with other runs or settings each time. So that "
        f"all looks together err in at most {100 * LEVEL:g}%, a verdict takes {needed}; at the one look of a finished "
        f"study it takes p ≤ {KEPT * LEVEL:.2g}. To add seeds until a decision without this loss, plan it: "
        "seeds: {from: 3, until: decided, at_most: 20}."
    )


def _taken_out(log: Sequence[VerdictLook]) -> list[str]:
    """Looks that were removed would make the boundary of p too kind."""
    if not missing_before(log):
        return []
    return [
        "look_log.json was changed by hand: some of the looks that it held are gone or not what was written. The "
        "verdicts may have been seen more often than it says, and p may have to be smaller than the boundary says."
    ]


def _changes(looks: Sequence[VerdictLook]) -> list[str]:
    """Sentences on settings of the comparison that were changed when results had been seen."""
    found = []
    for number, (before, after) in enumerate(pairwise(looks), start=2):
        words = _changed(before.settings, after.settings)
        if words:
            found.append(
                f"Changed after results were seen (look {number} of {len(looks)}): {'; '.join(words)}. Choosing how to "
                "compare by what was seen makes results optimistic; the boundary of p counts the look, not the choice."
            )
    return found


def _seen_since(looking: Looking, later: Sequence[VerdictLook]) -> list[str]:
    """Whoever goes back to settings of before has seen what others say: a sentence on them."""
    others = [
        f"look {number}: {'; '.join(words)}"
        for number, look in enumerate(later, start=looking.number + 1)
        if (words := _changed(looking.look.settings, look.settings, "{0} was {2}"))
    ]
    if not others:
        return []
    return [
        f"Verdicts under other settings were seen after those of this look ({', '.join(others)}). Choosing how to "
        "compare by what was seen makes results optimistic; the boundary of p counts the look, not the choice."
    ]


def _changed(before: Settings, after: Settings, form: str = "{0} was {1} and is {2}") -> list[str]:
    pairs = [", ".join(f"{arm} with {against}" for arm, against in settings.pairs) for settings in (before, after)]
    changes = {
        "compare.metric": (REGISTRY[before.metric].label, REGISTRY[after.metric].label),
        "compare.at": (before.at, after.at),
        "compare.margin": tuple("none" if m is None else f"{m:g}" for m in (before.margin, after.margin)),
        "the pairs compared": (pairs[0] or "none", pairs[1] or "none"),
    }
    return [form.format(key, old, new) for key, (old, new) in changes.items() if old != new]
