"""diascope demo: the built-in study on drawn images."""

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="The study folder.")] = Path("demo-study"),
    jobs: Annotated[int | None, typer.Option("--jobs", "-j", help="Parallel runs (default: one per core).")] = None,
) -> None:
    """Run a small study on drawn skin lesions, in one to two minutes: the better of two networks cheats.

    Example: diascope demo --out demo-study
    """
    from diascope.cli.run import run

    run("demo", out=out, jobs=jobs)
