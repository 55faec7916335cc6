"""What shortcut probes show: how far they are, and then the judgement on each run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from diascope.cli.judge_display import JudgeDisplay
from diascope.cli.terminal import Terminal

STYLES = {"shortcut found": "bold red", "shortcut possible": "yellow", "cannot tell": "yellow"}


class ProbeDisplay(JudgeDisplay):
    """A bar for each thing that takes its time, with the time left, on a terminal; plain lines elsewhere."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._name = ""

    def probing(self, name: str) -> None:
        """The run `name` is next."""
        self._name = name

    def step(self, what: str, done: int, total: int) -> None:
        """`done` of `total` steps of something that a probe does."""
        self._show(f"{self._name}: {what}", done, total, f"{done:,} of {total:,}")


def say_probed(found: Mapping[str, Mapping[str, Any]], *, brief: bool = False) -> None:
    """The judgement on each run, and unless `brief` a sentence a probe."""
    console = Terminal()
    for name, tree in found.items():
        style = STYLES.get(tree["verdict"], "")
        console.print(Text(f"{name}: {tree['verdict']}. {tree['sentence']}", style=style), soft_wrap=True)
        for probe in () if brief else tree["probes"]:
            console.print(Text(f"  {probe['sentence']}"), soft_wrap=True)


def say_failed(error: Exception, folder: Path) -> None:
    """Probes at the end of a study that could not be run: the study is whole without them."""
    what = f"The shortcut probes failed: {error}. The runs are kept; `diascope probe {folder}` tries again."
    Terminal(stderr=True).print(Text(what, style="yellow"), soft_wrap=True)
