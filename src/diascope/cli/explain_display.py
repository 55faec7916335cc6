"""What `diascope explain` shows of its checks: tables and a sentence each."""

from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from diascope.app.explain import Explained
from diascope.cli.terminal import Terminal, say
from diascope.explain.methods import METHODS

PARTS = ("all", "right", "wrong")
SMALL = 0.1  # regions of less than this share of an image are told with one decimal


def say_explained(event: object) -> None:
    """The pictures that a method gave, and its checks."""
    if not isinstance(event, Explained):
        return
    for path in event.written:
        say(path)
    if event.regions is not None:
        _say_regions(event.method, event.regions)
    if event.sanity is not None:
        _say_sanity(event.method, event.sanity)


def _say_regions(method: str, found: dict[str, Any]) -> None:
    """Energy inside the regions and the pointing game, for all images, right and wrong ones."""
    console = Terminal()
    title = f"{METHODS[method].title}, maps for the predicted class, inside the known regions"
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="")
    table.add_column("")
    for part in PARTS:
        table.add_column(f"{part} ({found[part]['images']:,})", justify="right", no_wrap=True)
    table.add_row("empty maps", *[f"{found[part]['empty']:,}" for part in PARTS])
    digits = 1 if found["all"]["area"] < SMALL else 0
    table.add_row("area of the regions", *[percent(found[part]["area"], digits) for part in PARTS])
    table.add_row("inside others' regions", *[percent(found[part]["others"], digits) for part in PARTS])
    for name, key in (("energy inside", "energy"), ("energy − others", "beyond"), ("pointing game", "pointing")):
        table.add_row(name, *[_with_interval(found[part][key], digits) for part in PARTS])
    console.print(table)
    console.print(Text(found["sentence"]), soft_wrap=True)


def _say_sanity(method: str, found: dict[str, Any]) -> None:
    """How like the maps before are the maps after, as more and more layers have random weights."""
    console = Terminal()
    title = f"{METHODS[method].title}, {found['images']} images, weights drawn {found['draws']} times"
    table = Table(box=box.SIMPLE, title=title, title_justify="left", title_style="")
    for name in ("layers with random weights, from the top", "rank correlation", "correlation"):
        table.add_column(name, justify="right")
    for stage in found["stages"]:
        layers = f"{stage['layers']} of {found['layers']}"
        table.add_row(layers, f"{stage['spearman']:.2f}", f"{stage['pearson']:.2f}")
    console.print(table)
    console.print(Text(found["sentence"], style="yellow" if found["survives"] else ""), soft_wrap=True)


def percent(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}%".replace("-", "−")


def _with_interval(found: dict[str, float | None], digits: int) -> str:
    """30% (27 to 34), with the limits of the 95% interval in percent."""
    if found["low"] is None or found["high"] is None:
        return percent(found["value"], digits)
    limits = f"{100 * found['low']:.{digits}f} to {100 * found['high']:.{digits}f}".replace("-", "−")
    return f"{percent(found['value'], digits)} ({limits})"
