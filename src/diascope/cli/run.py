"""diascope run: every arm over folds and seeds, and the report."""

from pathlib import Path
from typing import Annotated, Literal

import typer

Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the study file; a section is merged. Can be given several times.",
    ),
]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a recipe.")]
OutOption = Annotated[
    Path | None,
    typer.Option(
        "--out", "-o", help="The study folder, new or of this study. Default: the study's name, in this folder."
    ),
]

OnUnreadableOption = Annotated[
    Literal["error", "skip"], typer.Option(help="Images that cannot be read: list them and stop, or leave them out.")
]
JobsOption = Annotated[int | None, typer.Option("--jobs", "-j", help="Parallel runs (default: one per core).")]
ExecutorOption = Annotated[
    str,
    typer.Option(metavar="NAME", help="processes: parallel runs; serial: one by one; ray: on a Ray cluster."),
]
AddressOption = Annotated[
    str | None,
    typer.Option(help="Ray cluster that this machine is part of: auto, HOST:PORT. Default: one on it alone."),
]
CpusOption = Annotated[
    float | None, typer.Option(help="Ray: processors that a run gets. Default: its training.threads.", min=0.01)
]
GpusOption = Annotated[float, typer.Option(help="Ray: GPUs that a run gets; 0.25 lets four runs share one.", min=0)]
TrustOption = Annotated[
    bool,
    typer.Option("--trust-code", help="Run networks whose program lies in a study folder: it can do what you can."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu, cuda, or cuda:N.")]


def run(
    study: StudyArgument,
    out: OutOption = None,
    settings: Setting = None,
    jobs: JobsOption = None,
    executor: ExecutorOption = "processes",
    address: AddressOption = None,
    cpus_per_run: CpusOption = None,
    gpus_per_run: GpusOption = 0,
    device: DeviceOption = "auto",
    on_unreadable: OnUnreadableOption = "error",
    retrain: Annotated[bool, typer.Option("--retrain", help="Train runs anew whose configuration changed.")] = False,
    trust_code: TrustOption = False,
) -> None:
    """Train every arm of a STUDY over folds and seeds, and write the report.

    Running it again trains only what is missing. Ctrl-C stops; the same command goes on.
    Several commands, on several machines that share the folder, share the runs.

    Example: diascope run lab-1a --set data.source=skin/lab.csv --set seeds=5 --out lab-1a

    Example: diascope run study.yaml --executor ray --address 10.0.0.1:6379 --gpus-per-run 0.5
    """
    from diascope.recipes import find_study

    found = find_study(study, settings)

    from diascope.app.run import Options
    from diascope.app.run import run as run_study
    from diascope.cli.display import Display, say_outcome, say_stopped
    from diascope.study.executors.ray import Resources

    resources = Resources(address, cpus_per_run, gpus_per_run)
    options = Options(executor, jobs, device, on_unreadable, retrain, trust_code, resources)
    try:
        with Display() as display:
            outcome = run_study(found, out or Path(found.config.name), options, display)
    except KeyboardInterrupt:
        say_stopped()
        raise typer.Exit(130) from None
    say_outcome(outcome)
    if outcome.failed:
        raise typer.Exit(1)
