"""diascope report: the report of a study folder, anew."""

from pathlib import Path
from typing import Annotated

import typer


def report(folder: Annotated[Path, typer.Argument(metavar="DIR", help="A study folder.")]) -> None:
    """Rebuild summary.json, report.html, checklist.md and the charts of a study folder from its runs.

    Example: diascope report lab-1a
    """
    from diascope.cli.terminal import say
    from diascope.report.page import write_report

    say(write_report(folder))
