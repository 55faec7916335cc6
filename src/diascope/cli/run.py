"""diascope run: every arm over folds and seeds, and the report."""

from pathlib import Path
from typing import Annotated

import typer

Setting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the study file. Can be given several times."),
]
StudyArgument = Annotated[str, typer.Argument(metavar="STUDY", help="A study file, or the name of a recipe.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", "-o", help="The study folder. Default: the study's name, in this folder.")
]


def run(
    study: StudyArgument,
    out: OutOption = None,
    settings: Setting = None,
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Runs at a time. Default: one a core.")] = None,
    executor: Annotated[str, typer.Option(help="processes: several runs at a time; serial: one by one.")] = "processes",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, or cuda:N.")] = "auto",
    on_unreadable: Annotated[
        str, typer.Option(help="What to do with images that cannot be read: error, or skip them and say so.")
    ] = "error",
    retrain: Annotated[bool, typer.Option("--retrain", help="Train runs anew whose configuration changed.")] = False,
) -> None:
    """Train every arm of a STUDY over folds and seeds, and write the report.

    Running it again trains only what is missing. Ctrl-C stops; the same command goes on.

    Example: diascope run lab-1a --set data.source=skin/lab.csv --set seeds=5 --out lab-1a
    """
    from diascope.cli.display import RunDisplay, say_outcome
    from diascope.recipes import find_study
    from diascope.report.page import write_report
    from diascope.study.run import Options, run_study

    found = find_study(study, settings)
    folder = out or Path(found.config.name)
    options = Options(executor, jobs, device, on_unreadable, retrain)
    with RunDisplay() as display:
        outcome = run_study(found, folder, options, display)
    say_outcome(outcome, write_report(outcome.folder))
    if outcome.failed:
        raise typer.Exit(1)
