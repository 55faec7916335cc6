"""Looks at the verdicts of a study: which one this is, and how small p must be at it so that all of them err in 5%.

One rule for all studies. What is planned (the seeds of a fixed study; the looks of `seeds: {until: decided}`) spends
KEPT of the error: by the power family of Kim and DeMets (1987), KEPT x t^POWER after the share t of the runs that are
planned at the most. Every further look, at runs or settings that no plan foresaw, spends half of what is left. So there
may be any number of looks. docs/verdicts.md, "Looking again", has the measured rates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from diascope.compare.boundaries import levels
from diascope.compare.estimate import LEVEL
from diascope.config import SeedsUntilDecided
from diascope.core.version import VERSION
from diascope.runs.look_log import Settings, VerdictLook, add_look
from diascope.runs.provenance import now
from diascope.runs.record import RunRecord, StudyRecord

KEPT = 0.9
POWER = 2.0


@dataclass(frozen=True)
class Looking:
    """This look. p after Holm shows a difference at `level` or below; equivalence, at half of `level_equivalent`.

    `planned`: of seeds that are added until a decision, the seeds at each look.
    """

    number: int
    look: VerdictLook
    earlier: tuple[VerdictLook, ...]
    level: float = LEVEL
    level_equivalent: float = LEVEL
    planned: tuple[int, ...] = ()

    @property
    def where(self) -> str:
        """`look 3 of 5`, as long as all looks are those that were planned."""
        seeds = tuple(look.seeds for look in (*self.earlier, self.look))
        as_planned = seeds == self.planned[: len(seeds)] and _are_alike(self.earlier, self.look)
        return f"look {self.number} of {len(self.planned)}" if as_planned else f"look {self.number}"


def compared_runs(record: StudyRecord, arm: str) -> list[RunRecord]:
    """The finished runs of an arm that verdicts are of: where seeds are added in looks, those of complete looks."""
    done = [run for run in record.runs_of(arm) if run.state == "done"]
    seeds = complete_seeds(record)
    return done if seeds is None else [run for run in done if run.seed < seeds]


def complete_seeds(record: StudyRecord) -> int | None:
    """Of seeds that are added until a decision, those of the last planned look whose runs are all finished."""
    if not isinstance(record.study.seeds, SeedsUntilDecided):
        return None
    compared = {arm for pair in record.study.pairs for arm in pair}
    open_seeds = [run.seed for run in record.runs if run.arm in compared and run.state != "done"]
    reached = min(open_seeds, default=len({run.seed for run in record.runs}))
    return max((seeds for seeds in record.study.planned_looks if seeds <= reached), default=0)


def looking_at(record: StudyRecord, metric: str, tests: int) -> Looking:
    """The look that the study's folder offers now. `tests`: pairs that Holm adjusts for."""
    study, folds = record.study, len(record.folds["folds"])
    settings = Settings(
        metric=metric,
        at=study.compare.at,
        margin=study.compare.margin,
        pairs=study.pairs,
        most_runs=folds * study.most_seeds,
    )
    compared = dict.fromkeys(arm for pair in study.pairs for arm in pair)
    runs = {arm: {run.name: run.run_id for run in compared_runs(record, arm)} for arm in compared}
    log = record.looks
    number = next((place for place, look in enumerate(log) if look.is_of(settings, runs)), len(log))
    earlier = log[:number]
    draft = VerdictLook(
        seen=now(),
        diascope=VERSION,
        settings=settings,
        seeds=min((len(names) // folds for names in runs.values()), default=0),
        runs=runs,
        spent=0.0,
        decided=False,
    )
    look = log[number] if number < len(log) else draft.model_copy(update={"spent": _spent(draft, earlier)})
    return Looking(
        number=number + 1,
        look=look,
        earlier=earlier,
        level=_level([*earlier, look], tests, of_margin=False),
        level_equivalent=_level([*earlier, look], tests, of_margin=True),
        planned=study.planned_looks if isinstance(study.seeds, SeedsUntilDecided) else (),
    )


def log_look(record: StudyRecord, metric: str, outcomes: Sequence[tuple[float | None, str]]) -> None:
    """Write down that comparisons are about to be seen: p, None where nothing could be tested, and verdict of each.

    Where nothing was tested nothing was seen; a planned look is logged all the same, so that the next one can follow.
    """
    tests = sum(p is not None for p, _ in outcomes)
    looking = looking_at(record, metric, tests)
    if tests or (looking.planned and looking.look.seeds):
        decided = all(verdict != "not shown" for _, verdict in outcomes)
        add_look(record.folder, looking.look.model_copy(update={"decided": decided}))


def _spent(look: VerdictLook, earlier: Sequence[VerdictLook]) -> float:
    """Share of the error that may have been spent after this look."""
    pairs = look.settings.pairs
    share = sum(len(look.paired(pair)) for pair in pairs) / (len(pairs) * look.settings.most_runs) if pairs else 0.0
    by_plan = KEPT * float(min(1.0, share) ** POWER)
    before = earlier[-1].spent if earlier else 0.0
    return by_plan if by_plan > before and _are_alike(earlier, look) else before + (1 - before) / 2


def _are_alike(earlier: Sequence[VerdictLook], look: VerdictLook) -> bool:
    return all(other.settings == look.settings for other in earlier)


def _level(looks: Sequence[VerdictLook], tests: int, *, of_margin: bool) -> float:
    """Of the last look: `tests` times the level at which one of so many pairs is tested, as Holm does at first.

    Each pair has the share LEVEL / tests of the error for all looks (Maurer and Bretz 2013); Holm's later steps, with
    more, would allow a little more than this.
    """
    share = LEVEL / max(1, tests)
    spent = tuple(share * look.spent for look in looks)
    ratios = (0.0, *(_ratio(*both, of_margin=of_margin) for both in pairwise(looks)))
    return max(1, tests) * levels(spent, ratios)[-1]


def _ratio(before: VerdictLook, look: VerdictLook, *, of_margin: bool) -> float:
    """A lower bound of the information before by that of now, over the pairs; 0 where the looks are not nested."""
    one, other = before.settings, look.settings
    if (one.metric, one.at) != (other.metric, other.at) or (of_margin and one.margin != other.margin):
        return 0.0
    found = [
        len(before.paired(pair)) / len(now) if before.paired(pair) <= now else 0.0
        for pair in other.pairs
        if (now := look.paired(pair))
    ]
    return min(found, default=0.0)
