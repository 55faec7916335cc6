"""What makes scores on the test side less than they seem: several looks, changes after a look; from its log."""

from datetime import datetime

from diascope.compare.scoring import tested
from diascope.core.text import shorten
from diascope.runs.chain import missing_before
from diascope.runs.folder import RunFolder
from diascope.runs.judged_log import Look
from diascope.runs.judged_rows import digest_of_test_rows
from diascope.runs.record import RunRecord, StudyRecord

_NAMED = 5


def look_warnings(record: StudyRecord) -> list[str]:
    """Sentences, none where the test side was judged once, to its end, after all training, or not at all."""
    log = record.test_log
    found = [_unlogged(record, log)]
    if log:
        found += [_taken_out(log), _several(log), _unfinished(log), _new_arms(record, log), _removed_arms(record, log),
                  _trained_later(record, log), _checkpoints(log)]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _taken_out(log: tuple[Look, ...]) -> str:
    places = missing_before(log)
    if not places:
        return ""
    named = shorten([log[place].begun for place in places], _NAMED)
    return (
        f"test_log.json was changed by hand: what it says before the judgement of {named} is not what was written. The "
        "test side may have been judged more often than it says."
    )


def _several(log: tuple[Look, ...]) -> str:
    if len(log) == 1:
        return ""
    return (
        f"The test side was judged {len(log)} times. Choosing among several looks, or changing something after one, "
        "makes the result optimistic: only the first look was at images by which nothing had been chosen."
    )


def _unfinished(log: tuple[Look, ...]) -> str:
    count = sum(look.finished is None for look in log)
    if not count:
        return ""
    return (
        f"{count} of {len(log)} judgements on the test side {'was' if count == 1 else 'were'} begun and not finished."
    )


def _new_arms(record: StudyRecord, log: tuple[Look, ...]) -> str:
    new = [arm for arm in record.arms if arm not in log[0].study_arms]
    if not new:
        return ""
    names = shorten(new, _NAMED)
    return f"Added after the test side was first judged: {names}. What it showed may have led to {_them(new)}."


def _removed_arms(record: StudyRecord, log: tuple[Look, ...]) -> str:
    gone = dict.fromkeys(arm for look in log for arm in look.arms if arm not in record.arms)
    if not gone:
        return ""
    return f"Judged on the test side and no longer in the study: {shorten(list(gone), _NAMED)}."


def _trained_later(record: StudyRecord, log: tuple[Look, ...]) -> str:
    """Runs of arms that were there at the first look; those of new arms are named already."""
    first = datetime.fromisoformat(log[0].begun)
    later = [
        f"{run.arm} {run.name}"
        for run in record.runs
        if run.state == "done" and run.arm in log[0].study_arms and _finished(run) > first
    ]
    if not later:
        return ""
    return f"Trained, or trained anew, after the test side was first judged: {shorten(later, _NAMED)}."


def _finished(run: RunRecord) -> datetime:
    return datetime.fromisoformat(str(run.done["finished"]))


def _checkpoints(log: tuple[Look, ...]) -> str:
    if len({look.checkpoint for look in log}) == 1:
        return ""
    return (
        "It was judged with the weights of both the best and the last epoch. Shown are those of the latest judgement."
    )


def _unlogged(record: StudyRecord, log: tuple[Look, ...]) -> str:
    """Predictions that no look of the log has made: the log or the predictions were changed by hand."""
    known = {run.predictions for look in log for run in look.runs}
    begun = {(run.arm, run.fold, run.seed) for look in log if look.finished is None for run in look.runs}
    strange = [
        f"{run.arm} {run.name}"
        for run in record.runs
        if run.state == "done" and (run.arm, run.fold, run.seed) not in begun
        for checkpoint in sorted(tested(run))
        if digest_of_test_rows(RunFolder(run.folder).predictions, checkpoint) not in known
    ]
    if not strange:
        return ""
    names = shorten(dict.fromkeys(strange), _NAMED)
    return f"Predictions of the test side that test_log.json knows nothing of: {names}."


def _them(names: list[str]) -> str:
    return "it" if len(names) == 1 else "them"
