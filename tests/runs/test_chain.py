"""Chained logs: an entry that was taken out or changed is missed; what is added at the end of a look is not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diascope.runs.chain import missing_before
from diascope.runs.judged_log import NAME, Look, LookedAt, begin_look, end_look, read_test_log

Change = Callable[[list[dict[str, Any]]], object]


def look_of(number: int) -> Look:
    ran = LookedAt(arm="a", fold=0, seed=0, run_id="0", trained="", weights="")
    return Look(begun=f"2026-01-0{number + 1}", diascope="0.1.0", command="diascope test", device="cpu",
                checkpoint="best", images=3, study_arms=("a",), arms=("a",), runs=(ran,))  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Four looks, of which the second ended when the third had begun."""
    looks = [look_of(number) for number in range(4)]
    for look in looks[:3]:
        begin_look(tmp_path, look)
    seen = looks[1].runs[0].model_copy(update={"predictions": "f00"})
    end_look(tmp_path, 1, looks[1].model_copy(update={"finished": "2026-02-01", "runs": (seen,)}))
    begin_look(tmp_path, looks[3])
    return tmp_path


def changed(folder: Path, change: Change) -> list[int]:
    tree = json.loads((folder / NAME).read_text())
    change(tree)
    (folder / NAME).write_text(json.dumps(tree))
    return missing_before(read_test_log(folder))


def test_a_log_as_it_was_written_misses_nothing(log: Path) -> None:
    assert changed(log, lambda tree: None) == []
    assert [look.finished for look in read_test_log(log)] == [None, "2026-02-01", None, None]


@pytest.mark.parametrize(
    ("change", "missed"),
    [
        (lambda tree: tree.pop(0), [0]),
        (lambda tree: tree.pop(1), [1]),
        (lambda tree: tree[1].update(checkpoint="last"), [2]),
        (lambda tree: tree[0].update(before="", begun="2026-01-02"), [1]),
        (lambda tree: tree.reverse(), [0, 1, 2]),
    ],
    ids=["first", "second", "changed", "renamed", "reversed"],
)
def test_what_was_taken_out_or_changed_is_missed(log: Path, change: Change, missed: list[int]) -> None:
    assert changed(log, change) == missed


def test_looks_of_earlier_versions_are_not_judged(log: Path) -> None:
    def as_before(tree: list[dict[str, Any]]) -> None:
        for look in tree:
            del look["before"]

    assert changed(log, as_before) == []
    begin_look(log, look_of(8))
    assert missing_before(read_test_log(log)) == []
    assert changed(log, lambda tree: tree.pop(3)) == [3]
