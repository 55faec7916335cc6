"""Names in what commands print cannot steer the terminal, wherever they are printed."""

import re
import sys
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.progress import Progress, TextColumn
from rich.table import Table
from rich.text import Text

import diascope.cli
from diascope.cli import main
from diascope.cli.terminal import Terminal, visible

EVIL = "a\x1b]0;owned\x07\x1b[2J\r\x9b1mb\u202e\udc80\u2028\nc\té"
SHOWN = "a\\x1b]0;owned\\x07\\x1b[2J\\r\\x9b1mb\\u202e\\udc80\\u2028"


def test_what_would_steer_a_terminal_is_spelled_out() -> None:
    assert visible(EVIL) == f"{SHOWN}\nc\té"
    assert visible(visible(EVIL)) == visible(EVIL)


@pytest.mark.parametrize("terminal", [True, False])
def test_it_cannot_be_steered_by_text_tables_or_bars(terminal: bool) -> None:
    for shown in (EVIL, Text(EVIL, style="red"), _table()):
        out = StringIO()
        Terminal(file=out, force_terminal=terminal, width=200, color_system="standard").print(shown, soft_wrap=True)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())  # colours that were asked for
        assert plain.isascii() or "é" in plain
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]", plain)
        assert "a\\x1b]0;owned" in plain
    out = StringIO()
    with Progress(
        TextColumn("{task.description}"), console=Terminal(file=out, force_terminal=terminal, width=200)
    ) as bar:
        bar.add_task(EVIL.partition("\n")[0])
    assert "\x1b]0;owned" not in out.getvalue()
    assert "a\\x1b]0;owned" in out.getvalue()


def _table() -> Table:
    table = Table(title=Text(EVIL))
    table.add_column(EVIL)
    table.add_row(EVIL)
    return table


def test_class_names_and_paths_reach_no_terminal_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("\x1b[31mred", "plain"):
        (tmp_path / "moles" / name).mkdir(parents=True)
        for number in range(2):  # too few of one class, and an image that is none
            Image.fromarray(np.full((16, 16), 60 * number, np.uint8)).save(tmp_path / "moles" / name / f"{number}.png")
    (tmp_path / "moles" / "\x1b[31mred" / "\x1b[2J.png").write_text("none")
    monkeypatch.chdir(tmp_path)
    for command in ("audit moles --out out", "plan x.yaml", "plan y.yaml", "report \x1b[5m"):
        (tmp_path / "x.yaml").write_text(
            'name: "[red]"\ndata: {source: moles, image_size: 16, channels: 1}\nseeds: 1\n'
        )
        (tmp_path / "y.yaml").write_text('name: y\ndata: {source: moles}\nmodel: {name: "\\x1b[5m"}\n')
        monkeypatch.setattr(sys, "argv", ["diascope", *command.split(" ")])
        with pytest.raises(SystemExit):
            main()
        said = "".join(capsys.readouterr())
        assert "\\x1b[" in said, command
        assert "\x1b" not in said, command


def test_commands_print_by_no_other_way() -> None:
    for file in Path(diascope.cli.__file__).parent.glob("*.py"):
        if file.name not in ("terminal.py", "schema.py", "recipes.py"):
            text = file.read_text().replace('print(f"diascope {VERSION}")', "")
            assert not re.search(r"(?<![\w.])(print|Console|typer\.echo)\(", text), file.name
