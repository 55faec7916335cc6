"""Judge the finished runs of a study on its test side: predictions by a checkpoint that was chosen on validation.

Training never sees or writes the test side. Every call is written into test_log.json before there is a result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from diascope.core.errors import RunError
from diascope.core.events import Progress, Show, counter, silent
from diascope.core.files import file_digest
from diascope.core.text import did_you_mean, shorten
from diascope.core.version import VERSION
from diascope.engine import predict_rows
from diascope.predict.device import pick_device
from diascope.predict.trust import networks_of_runs, refuse_code
from diascope.report.page import write_report
from diascope.runs.claim import Claim, Taken, is_claimed
from diascope.runs.folder import RunFolder
from diascope.runs.judged_log import Look, LookedAt, begin_look, end_look
from diascope.runs.judged_rows import write_test_rows
from diascope.runs.provenance import command_line, now
from diascope.runs.record import RunRecord, StudyRecord
from diascope.runs.seal import refuse_changed
from diascope.study.extraction import EXTRACTING, prepare_features
from diascope.study.images import DECODING
from diascope.study.same_images import Judgeable, read_test_side

Checkpoint = Literal["best", "last"]
_NO_TEST_SIDE = (
    "set split.test to a share, or mark images of the source as test (a folder test/, a column split), "
    "and run the study in another folder"
)
_NAMED = 5


@dataclass(frozen=True)
class Judgement:
    """What a look was at: the runs that it judged, and those of its arms that were not finished."""

    look: Look
    missing: tuple[str, ...]


def judge_and_report(
    folder: Path,
    show: Show = silent,
    *,
    arms: Sequence[str] = (),
    checkpoint: Checkpoint = "best",
    device: str = "auto",
    trust_code: bool = False,
) -> tuple[Judgement, Path]:
    """Judge as `judge` does, and write the report anew: what was judged, and the report."""
    judged = judge(folder, show, arms=arms, checkpoint=checkpoint, device=device, trust_code=trust_code)
    return judged, write_report(folder)


def judge(
    folder: Path,
    show: Show = silent,
    *,
    arms: Sequence[str] = (),
    checkpoint: Checkpoint = "best",
    device: str = "auto",
    trust_code: bool = False,
) -> Judgement:
    """Predict the test side with every finished run of these arms (default: all), and log that it was done.

    Raises RunError or DataError before anything is written where the study keeps no test side, has no finished run, is
    in training, or the images are no longer those that its networks learned from.
    """
    record, place = StudyRecord(folder), pick_device(device)
    chosen = _chosen_arms(record, arms)
    if not record.folds.get("test"):
        raise RunError("this study keeps no test side", where=str(folder), remedy=_NO_TEST_SIDE)
    runs = _finished_runs(record, chosen)
    _refuse_training(record)
    refuse_code([*(arm.model.name for arm in record.arm_configs), *networks_of_runs(runs)], trusted=trust_code)
    side = read_test_side(record, chosen, runs, counter(show, DECODING))
    prepare_features([found.task for found in side.values()], place, counter(show, EXTRACTING))
    look = _new_look(record, chosen, runs, checkpoint, place)
    number = begin_look(folder, look)
    seen: list[LookedAt] = []
    for place_in_list, (run, of_run) in enumerate(zip(runs, look.runs, strict=True)):
        show(Progress("judging runs", place_in_list, len(runs), _name(run)))
        rows = _judge_run(run, side[run.arm, run.fold, run.seed], checkpoint, place)
        seen.append(of_run.model_copy(update={"predictions": rows}))
    look = look.model_copy(update={"finished": now(), "runs": tuple(seen)})
    end_look(folder, number, look)
    show(Progress("judging runs", len(runs), len(runs)))
    missing = [_name(run) for arm in chosen for run in record.runs_of(arm) if run not in runs]
    return Judgement(look, tuple(missing))


def _chosen_arms(record: StudyRecord, arms: Sequence[str]) -> tuple[str, ...]:
    for arm in arms:
        if arm not in record.arms:
            remedy = did_you_mean(arm, record.arms)
            raise RunError(f"the study has no arm {arm!r}", where=str(record.folder), remedy=remedy)
    return tuple(arm for arm in record.arms if not arms or arm in arms)


def _finished_runs(record: StudyRecord, arms: Sequence[str]) -> list[RunRecord]:
    runs = [run for arm in arms for run in record.runs_of(arm) if run.state == "done"]
    if not runs:
        what = f"no run of {shorten(arms, _NAMED)} is finished as study.yaml asks for it"
        raise RunError(what, where=str(record.folder), remedy="run the study first: `diascope run`")
    return runs


def _refuse_training(record: StudyRecord) -> None:
    busy = [_name(run) for run in record.runs if is_claimed(run.folder)]
    if busy:
        what = f"another command is at work on {shorten(busy, _NAMED)}"
        raise RunError(what, where=str(record.folder), remedy="wait for it: the test side is for when all is trained")


def _new_look(
    record: StudyRecord, arms: tuple[str, ...], runs: Sequence[RunRecord], checkpoint: Checkpoint, device: torch.device
) -> Look:
    return Look(
        begun=now(),
        diascope=VERSION,
        command=command_line(),
        device=str(device),
        checkpoint=checkpoint,
        images=len(record.folds["test"]),
        study_arms=record.arms,
        arms=arms,
        runs=tuple(
            LookedAt(
                arm=run.arm,
                fold=run.fold,
                seed=run.seed,
                run_id=run.run_id,
                trained=str(run.done.get("finished", "")),
                weights=_weights_digest(run, checkpoint),
            )
            for run in runs
        ),
    )


def _weights_digest(run: RunRecord, checkpoint: Checkpoint) -> str:
    folder = RunFolder(run.folder)
    file = folder.best if checkpoint == "best" else folder.last
    refuse_changed(folder, folder.config, file)
    try:
        return file_digest(file)
    except OSError as error:
        remedy = f"delete the folder {run.folder} and run the study again: it trains what is missing"
        raise RunError(f"cannot be read ({error.strerror})", where=str(file), remedy=remedy) from error


def _judge_run(run: RunRecord, found: Judgeable, checkpoint: Checkpoint, device: torch.device) -> str:
    """Write a run's predictions of the test side; their digest."""
    try:
        with Claim(run.folder):
            probabilities = predict_rows(found.task, found.rows, checkpoint, device)
            data = found.task.data
            groups = data.groups or [""] * len(data.paths)
            rows = (
                [data.paths[row], groups[row], data.classes[data.labels[row]], *of_image]
                for row, of_image in zip(found.rows, probabilities.tolist(), strict=True)
            )
            return write_test_rows(RunFolder(run.folder).predictions, checkpoint, data.classes, rows)
    except Taken as taken:
        raise RunError("another command is at work on it", where=str(run.folder), remedy="wait for it") from taken
    except OSError as error:
        what = f"the predictions cannot be written ({error.strerror})"
        raise RunError(what, where=str(run.folder), remedy="make room, and judge again") from error


def _name(run: RunRecord) -> str:
    return f"{run.arm}/{run.name}"
