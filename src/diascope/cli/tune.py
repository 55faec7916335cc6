"""diascope tune: search hyper-parameters, then compare what was found with the default."""

from pathlib import Path
from typing import Annotated

import typer

from diascope.cli.run import (
    AddressOption,
    CpusOption,
    DeviceOption,
    ExecutorOption,
    GpusOption,
    JobsOption,
    OnUnreadableOption,
    OutOption,
    Setting,
    StudyArgument,
    TrustOption,
)


def tune(
    study: StudyArgument,
    out: OutOption = None,
    settings: Setting = None,
    trials: Annotated[
        int | None, typer.Option("--trials", "-n", min=1, help="Configurations to try. Default: search.trials.")
    ] = None,
    jobs: JobsOption = None,
    executor: ExecutorOption = "processes",
    address: AddressOption = None,
    cpus_per_run: CpusOption = None,
    gpus_per_run: GpusOption = 0,
    device: DeviceOption = "auto",
    on_unreadable: OnUnreadableOption = "error",
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the found configuration anew where further trials changed it.")
    ] = False,
    trust_code: TrustOption = False,
) -> None:
    """Search the hyper-parameters of a STUDY, then compare the best ones with the default.

    The space stands in the study's section `search`. Trials are judged on folds of the training side alone; the best
    configuration is written to tuned.yaml, and trained beside the default on the study's own split.

    Ctrl-C stops; the same command goes on. Several commands, on machines that share the folder, share the trials.

    Example: diascope tune lab-bonus-search --out search --trials 20
    """
    from diascope.app.run import Options
    from diascope.app.tune import tune as search
    from diascope.cli.display import say_outcome, say_stopped
    from diascope.cli.search_display import SearchDisplay
    from diascope.recipes import find_study
    from diascope.study.executors.ray import Resources

    asked = [f"search.trials={trials}"] if trials else []
    found = find_study(study, [*(settings or []), *asked])
    resources = Resources(address, cpus_per_run, gpus_per_run)
    options = Options(executor, jobs, device, on_unreadable, retrain, trust_code, resources)
    try:
        with SearchDisplay() as display:
            tuned = search(found, out or Path(found.config.name), options, display)
    except KeyboardInterrupt:
        say_stopped()
        raise typer.Exit(130) from None
    say_outcome(tuned.outcome)
    if tuned.outcome.failed:
        raise typer.Exit(1)
