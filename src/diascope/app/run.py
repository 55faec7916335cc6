"""Run a study: read the images, write down the plan, train what is missing, explain, probe, and report."""

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from joblib import cpu_count

from diascope.app.explain import explain_study
from diascope.app.probe import probe
from diascope.compare.looks import log_look
from diascope.compare.primary import primary_of
from diascope.compare.verdict import compare_arms
from diascope.config import SeedsUntilDecided
from diascope.core.errors import ConfigError
from diascope.core.events import Notice, Show, counter, silent
from diascope.core.findings import Finding
from diascope.core.text import listed
from diascope.engine import RunTask
from diascope.predict.device import pick_device
from diascope.predict.trust import networks_of, refuse_code
from diascope.report.page import write_report
from diascope.runs.record import StudyRecord
from diascope.study.auditing import FOLDER, audit_study, keep_pictures
from diascope.study.channels import following_images
from diascope.study.compatibility import other_sizes
from diascope.study.executors import Executor, Failed
from diascope.study.executors.processes import ProcessExecutor
from diascope.study.executors.ray import RayExecutor, Resources
from diascope.study.executors.serial import SerialExecutor
from diascope.study.extraction import EXTRACTING, prepare_features
from diascope.study.images import DECODING, Images, OnUnreadable, read_images
from diascope.study.output import STUDY, refuse_foreign
from diascope.study.plan import Cell, Planned, check_stale, plan, same_arms
from diascope.study.sharing import share
from diascope.study.writing import write_study
from diascope.studyfile import Study


@dataclass(frozen=True)
class Options:
    """How to run, as against what: none of this changes a result."""

    executor: str = "processes"
    jobs: int | None = None
    device: str = "auto"
    on_unreadable: OnUnreadable = "error"
    retrain: bool = False
    trust_code: bool = False
    ray: Resources = field(default_factory=Resources)


EXECUTORS: dict[str, Callable[[int, Options], Executor]] = {
    "processes": lambda jobs, options: ProcessExecutor(jobs, options.device),
    "serial": lambda jobs, options: SerialExecutor(options.device),
    "ray": lambda _, options: RayExecutor(options.jobs, options.device, options.ray),
}


@dataclass(frozen=True)
class Outcome:
    """What is there when a study has run: its runs, those that failed, what probes found by run name, and the report.

    `images` and `tasks` are what it was trained on, for those who look at its runs afterwards.
    """

    folder: Path
    runs: int
    failed: tuple[Failed, ...]
    images: Images = field(repr=False)
    tasks: tuple[RunTask, ...] = field(repr=False)
    probed: dict[str, dict[str, Any]] = field(default_factory=dict)
    report: Path | None = None


def run(study: Study, folder: Path, options: Options, show: Show = silent) -> Outcome:
    """Train what `folder` lacks of the study, explain, probe where the study says so, and write the report.

    Raises ConfigError, DataError or RunError before any training if something cannot work.
    """
    return finish(study, train(study, folder, options, show), options, show)


def finish(study: Study, trained: Outcome, options: Options, show: Show) -> Outcome:
    """Explanations, probes and the report of runs that are trained."""
    folder, device, trust_code = trained.folder, options.device, options.trust_code
    explain_study(folder, show, device, trust_code=trust_code, images=trained.images)
    probed = _probes(trained, options, show) if study.config.report.probes else {}
    return replace(trained, probed=probed, report=write_report(folder))


def _probes(trained: Outcome, options: Options, show: Show) -> dict[str, dict[str, Any]]:
    """What the shortcut probes found; a study is not lost where they fail."""
    folder = trained.folder
    try:
        return probe(folder, show, device=options.device, trust_code=options.trust_code, tasks=trained.tasks)
    except Exception as error:
        what = f"The shortcut probes failed: {error}. The runs are kept; `diascope probe {folder}` tries again."
        show(Notice(what, warning=True))
        return {}


def train(study: Study, folder: Path, options: Options, show: Show = silent) -> Outcome:
    """Train every run of the study that `folder` does not hold yet, look by look where it says so."""
    refuse_foreign(folder, STUDY)
    refuse_code(networks_of(study), trusted=options.trust_code)
    study = following_images(study, folder)
    executor = make_executor(study, options)
    images = read_images(study, folder, on_unreadable=options.on_unreadable, progress=counter(show, DECODING))
    images.findings.extend([*slow_precision(study, _device_type(options)), *other_sizes(study)])
    cells = plan(study, images, folder)
    images.findings.extend(same_arms({cell.task.arm: cell.task.run_id for cell in cells[: len(study.arms)]}))
    check_stale(cells, folder, retrain=options.retrain)
    pictures: dict[str, bytes] = {}
    images.findings.extend(audit_study(study, images, pictures, show))
    write_study(study, images, folder, cells)
    keep_pictures(pictures, folder / FOLDER, instead=folder / FOLDER)
    show(Planned(tuple(cells), tuple(images.findings)))
    failed = _train(cells, executor, options, show)
    while not failed and take_look(folder) > {cell.task.config.seed for cell in cells}:
        cells = plan(study, images, folder)
        check_stale(cells, folder, retrain=options.retrain)
        write_study(study, images, folder, cells)
        show(Planned(tuple(cells), ()))
        failed = _train(cells, executor, options, show)
    return Outcome(folder, len(cells), tuple(failed), images, tuple(cell.task for cell in cells))


def _train(cells: Sequence[Cell], executor: Executor, options: Options, show: Show) -> list[Failed]:
    """Take every cell that is not done to its end; those that failed."""
    tasks = [cell.task for cell in cells if cell.state != "done"]
    prepare_features(tasks, extraction_device(options), counter(show, EXTRACTING))
    failed = []
    with closing(share(executor, tasks)) as events:  # type: ignore[type-var]
        for event in events:
            show(event)
            if isinstance(event, Failed):
                failed.append(event)
    return failed


def take_look(folder: Path) -> set[int]:
    """Where seeds are added until a decision: look at the verdicts of the runs that are there, and log that.

    The seeds that are asked for after it: those of the next look, or no more where all pairs are decided.
    """
    record = StudyRecord(folder)
    if isinstance(record.study.seeds, SeedsUntilDecided):
        metric = primary_of(record).metric
        log_look(record, metric, [(found.p, found.verdict) for found in compare_arms(record, metric)])
    return set(StudyRecord(folder).seeds)


def slow_precision(study: Study, device: str, capability: str | None = None) -> list[Finding]:
    """A warning where bf16 is asked of a processor that has no instructions for it."""
    arms = [arm.name for arm in study.arms if arm.training.precision == "bf16"]
    capability = capability or torch.backends.cpu.get_cpu_capability()
    if not arms or device != "cpu" or "AVX2" not in capability:
        return []
    sentence = (
        f"precision bf16 (arms {', '.join(arms)}) on a processor without bf16 instructions: convolutions take about "
        "ten times as long as in fp32. Use fp32 here; a GPU or a processor with AVX-512 BF16 or AMX gains from bf16."
    )
    evidence = {"arms": arms, "processor": capability}
    return [Finding(code="slow-precision", severity="warning", outcome="issue", sentence=sentence, evidence=evidence)]


def make_executor(study: Study, options: Options) -> Executor:
    """The executor that the options name. Raises ConfigError or RunError for one that cannot work here."""
    if options.executor not in EXECUTORS:
        raise ConfigError("unknown executor", where=f"--executor {options.executor}", remedy=f"use {listed(EXECUTORS)}")
    if options.jobs is not None and options.jobs < 1:
        raise ConfigError("must be at least 1", where=f"--jobs {options.jobs}")
    if options.executor != "ray" and options.ray != Resources():
        what = f"is for --executor ray, not for {options.executor}"
        raise ConfigError(what, where="--address, --cpus-per-run or --gpus-per-run", remedy="add --executor ray")
    return EXECUTORS[options.executor](options.jobs or _default_jobs(study, _device_type(options)), options)


def _device_type(options: Options) -> str:
    """cpu or cuda: what runs train on here, or on a cluster, whose devices are not this machine's."""
    if options.executor == "ray":
        return "cuda" if options.ray.gpus else "cpu"
    return pick_device(options.device).type


def extraction_device(options: Options) -> torch.device:
    """Where features are computed: by this process, also where others train."""
    return pick_device(options.device)


def _default_jobs(study: Study, device: str) -> int:
    """As many runs at a time as the cores can feed; one on a GPU."""
    return max(1, cpu_count() // max(arm.training.threads for arm in study.arms)) if device == "cpu" else 1
