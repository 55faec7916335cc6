"""`diascope cache`: what is kept of decoded images and features, and clearing it."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Remove all of it; studies build again what they need.")
    ] = False,
) -> None:
    """Show what is kept of decoded images and features, or clear it; clearing costs time only.

    Example: diascope cache
    """
    from diascope.cli.terminal import Terminal
    from diascope.core.text import human_size
    from diascope.data.store import cache_root, entries
    from diascope.data.store import clear as clear_store

    console = Terminal()
    if not console.is_terminal:
        console.width = 160  # for a file: names whole
    if clear:
        freed, busy = clear_store()
        console.out(f"{human_size(freed)} freed in {cache_root()}", highlight=False)
        for key in busy:
            console.out(f"{key} is being built by another command and was left", highlight=False)
        return
    kept = entries()
    if kept:
        console.print(_table())
    total = human_size(sum(entry.size for entry in kept))
    console.out(f"{len(kept)} kept, {total}, in {cache_root()}", highlight=False)


def _table() -> "Table":
    from datetime import datetime

    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from diascope.core.text import human_size
    from diascope.data.store import entries

    table = Table(box=box.SIMPLE)
    for name in ("key", "kind"):
        table.add_column(name, no_wrap=True)
    table.add_column("source", overflow="fold")
    for name in ("images", "size", "last used"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries():
        used = datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")
        unfinished = "(unfinished; run the same command again to resume)" if entry.continues else "(unfinished)"
        source, images = (escape(entry.source), f"{entry.images:,}") if entry.whole else (unfinished, "")
        table.add_row(entry.key[:8], entry.kind, source, images, human_size(entry.size), used)
    return table
