"""What `diascope test` shows: how far it is, and then the scores on the test side."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from diascope.cli.terminal import Terminal
from diascope.metrics import REGISTRY
from diascope.report.formats import interval, spread
from diascope.study.judging import Judged


class JudgeDisplay:
    """A bar for decoding and one for the runs, on a terminal; plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Terminal(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[status]}"))
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        self._bars = Progress(*columns, *times, console=self._console, disable=not self._console.is_terminal)
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def decoded(self, done: int, total: int) -> None:
        """`done` of `total` images are in the cache."""
        self._show("decoding images", done, total, f"{done:,} of {total:,}")

    def extracted(self, done: int, total: int) -> None:
        """`done` of `total` images have gone through a frozen backbone."""
        self._show("computing features", done, total, f"{done:,} of {total:,}")

    def judged(self, done: int, total: int, name: str) -> None:
        """`done` of `total` runs are judged; `name` is next."""
        self._show("judging runs", done, total, f"{done} of {total} done{', now ' + name if name else ''}")

    def _show(self, what: str, done: int, total: int, status: str) -> None:
        if what not in self._rows:
            self._rows[what] = self._bars.add_task(what, total=total, status="")
            if not self._console.is_terminal:
                self._console.print(Text(f"{what}: {status}"), soft_wrap=True)
        self._bars.update(self._rows[what], completed=done, total=total, status=status)


def say_judged(folder: Path, judged: Judged, report: Path) -> None:
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
    console.print(Text(f"Report: {report}"), soft_wrap=True)


def _table(summary: dict[str, Any], judged: Judged) -> Table:
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
