"""The files of a run survive a crash: the old content or the new, never half of it."""

import csv
from pathlib import Path

import pytest

from diascope.core.files import write_atomic, write_json
from diascope.runs.folder import HISTORY_COLUMNS, RunFolder


def row(epoch: int) -> dict[str, float]:
    return {name: float(epoch) for name in HISTORY_COLUMNS}


def test_write_atomic_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.txt"
    write_atomic(file, "one")
    write_atomic(file, b"two")
    assert file.read_text() == "two"
    assert [path.name for path in file.parent.iterdir()] == ["a.txt"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.txt"
    write_atomic(file, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_json_refuses_what_json_has_no_word_for(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"loss": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_history_grows_by_rows_and_is_written_anew_from_a_checkpoint(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_history([])
    for epoch in (1, 2, 3):
        folder.append_history(row(epoch))
    whole = folder.history.read_text()
    with folder.history.open("a") as file:
        file.write("4,0.1,0.")  # the torn line of a crash
    folder.write_history([row(1), row(2)])
    with folder.history.open() as file:
        rows = list(csv.DictReader(file))
    assert [float(line["epoch"]) for line in rows] == [1, 2]
    assert tuple(rows[0]) == HISTORY_COLUMNS
    folder.append_history(row(3))
    assert folder.history.read_text() == whole


def test_the_file_before_is_kept_where_that_is_asked(tmp_path: Path) -> None:
    file, before = tmp_path / "new.pt", tmp_path / "previous.pt"
    for content in (b"1", b"2", b"3"):
        write_atomic(file, content, keep=before)
    assert (file.read_bytes(), before.read_bytes()) == (b"3", b"2")


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"run_id": 3}'])
def test_a_folder_without_a_readable_configuration_has_no_identity(tmp_path: Path, content: str | None) -> None:
    folder = RunFolder(tmp_path)
    if content is not None:
        folder.config.write_text(content)
    assert folder.run_id() is None


def test_predictions_are_a_table_with_a_column_per_class(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    value = 0.1 + 0.2
    folder.write_predictions(["a", "b,c"], [["last", "validation", 'x"y.png', "", "a", value, 1 - value]])
    with folder.predictions.open(newline="") as file:
        (found,) = csv.DictReader(file)
    assert (found["path"], found["p_a"], found["p_b,c"]) == ('x"y.png', repr(value), repr(1 - value))
