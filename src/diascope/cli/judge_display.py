"""What `diascope test` shows at its end: the scores on the test side."""

import json
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from diascope.app.judge import Judgement
from diascope.cli.terminal import Terminal
from diascope.metrics import REGISTRY
from diascope.report.formats import interval, spread


def say_judged(folder: Path, judged: Judgement, page: Path) -> None:
    """The scores of the arms that were judged, what was not, the warnings, and where the report is."""
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    console = Terminal()
    if judged.missing:
        names = ", ".join(judged.missing)
        console.print(Text(f"Not judged, because they are not finished: {names}", style="yellow"), soft_wrap=True)
    console.print(_table(summary, judged))
    for found in summary["test"]["comparisons"]:
        if found["difference"] is not None:
            console.print(Text(found["sentence"]), soft_wrap=True)
    for warning in summary["test"]["warnings"]:
        console.print(Text(f"warning: {warning}", style="yellow"), soft_wrap=True)
    console.print(Text(f"Report: {page}"), soft_wrap=True)


def _table(summary: dict[str, Any], judged: Judgement) -> Table:
    images, checkpoint = judged.look.images, judged.look.checkpoint
    title = f"Test side, {images:,} images, weights of the {checkpoint} epoch"
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="")
    for name in ("metric", "arm"):
        table.add_column(name)
    for name in ("mean ± SD", "95% interval", "runs"):
        table.add_column(name, justify="right", no_wrap=True)
    for metric in summary["test"]["metrics"]:
        for place, arm in enumerate(judged.look.arms):
            found = (summary["arms"][arm]["test_metrics"] or {}).get(metric, {"mean": None, "sd": None, "n": 0})
            name = "" if place else REGISTRY[metric].label
            table.add_row(name, Text(arm), spread(found), interval(found), str(found["n"]))
    return table
