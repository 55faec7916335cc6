"""What a command says of long work where there is no terminal: how much is done, and how long the rest takes."""

from dataclasses import dataclass
from io import StringIO

import pytest
from rich.console import Console

from diascope.cli import display
from diascope.cli.display import Display, _Clock
from diascope.core.events import Progress


@dataclass
class Watch:
    now: float = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(display, "monotonic", watch)
    return watch


def test_preparation_counts_up_from_what_is_there_and_says_its_end(watch: Watch) -> None:
    said = StringIO()
    with Display(Console(file=said, force_terminal=False)) as shown:
        for done, now in ((10, 100.0), (40, 105.0), (70, 115.0), (100, 116.0)):
            watch.now = now
            shown(Progress("decoding images", done, 100))
    assert said.getvalue().splitlines() == [
        "decoding images: 10 of 100",
        "decoding images: 70 of 100, 8 s left",
        "decoding images: 100 of 100, 0 s left",
    ]


def test_what_is_left_of_a_study_goes_by_its_epochs_and_not_by_what_came_before(watch: Watch) -> None:
    clock = _Clock()
    clock.start(2, 20)
    assert clock.left() == "0 of 2 runs done"
    watch.now = 160.0  # a minute until the first epoch of 2 seconds is done
    clock.tick("a", 1, 2.0)
    assert clock.left() == "0 of 2 runs done, 38 s left"
    watch.now = 164.0
    clock.tick("a", 2, 2.0)
    clock.tick("b", 1, 2.0)
    assert clock.left() == "0 of 2 runs done, 34 s left"
