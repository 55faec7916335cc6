"""Explanations at the end of a study: of the first finished run of each arm, for its report."""

from collections.abc import Callable
from pathlib import Path

from diascope.config import canonical_json
from diascope.engine import load_model, pick_device
from diascope.errors import DiascopeError
from diascope.explain.cases import explain_cases, explained_already
from diascope.explain.images import StudyImages
from diascope.runs.record import StudyRecord
from diascope.training.process import cores, prepare_process


def explain_study(folder: Path, warn: Callable[[str], None], device: str = "auto") -> None:
    """Write explain/ for fold 0 and the first seed of each arm, where it is not there already.

    Explanations are an extra: what goes wrong with one is told to `warn`, and the study stands without it.
    """
    record = StudyRecord(folder)
    count, seen = record.study.report.explain, dict[str, StudyImages]()
    first = [run for run in (record.runs_of(arm)[0] for arm in record.arms) if run.state == "done"]
    wanted = [run for run in first if count and not explained_already(run, count)]
    if wanted:
        prepare_process(cores())
    for run in wanted:
        assert run.planned is not None
        images = seen.setdefault(canonical_json(run.planned.data), StudyImages(run.planned.data))
        try:
            model = load_model(run.folder, "last").to(pick_device(device))
            explain_cases(model, run, images, record.classes, record.positive, count=count)
        except Exception as error:  # a network of the user's own may raise anything; no study is lost for its pictures
            what = str(error) if isinstance(error, DiascopeError) else f"{type(error).__name__}: {error}"
            warn(f"{run.arm}/{run.name} could not be explained: {what}")
