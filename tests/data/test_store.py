"""The cache folder: what is damaged or in the way, a full disk, and builders that write what nobody can read."""

import os
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path

import numpy as np
import pytest
from fact_sets import measured
from planted_images import Planted

from diascope.audit import duplicates
from diascope.audit.duplicates import find_duplicates
from diascope.cli.cache import cache as cache_command
from diascope.core.errors import DataError
from diascope.data import store

KEY = "0123456789abcdef" * 2
KINDS = ("images", "features", "audit")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def is_whole(folder: Path) -> bool:
    return (folder / "text").read_text() == "whole"


def build(folder: Path) -> None:
    (folder / "text").write_text("whole")
    store.write_manifest(folder, {"source": "a test", "images": 3}, ["text"])


def make(kind: str = "features", how: Callable[[Path], None] = build) -> store.State:
    return store.obtain(kind, KEY, is_whole, how)[1]


def occupy(place: Path) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text("in the way")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [KEY, f"{KEY}.building"])
def test_a_file_or_a_link_under_a_name_of_ours_gives_way(root: Path, kind: str, name: str) -> None:
    occupy(root / kind / name)
    make(kind)
    assert make(kind) == "kept"
    store.clear()
    (root / kind / name).symlink_to(root / "gone")
    make(kind)
    assert (make(kind), [path.name for path in (root / kind).iterdir()]) == ("kept", [KEY])


@pytest.mark.parametrize("name", ["features", "locks", f"locks/features-{KEY}.lock", ""])
def test_whatever_else_is_in_the_way_is_named(root: Path, name: str) -> None:
    place = root / name
    if name.endswith(".lock"):
        place.mkdir(parents=True)
    else:
        occupy(place)
    with pytest.raises(
        DataError, match=r"a file occupies the cache's folder \(.*\); remove it, or set DIASCOPE_CACHE"
    ) as told:
        make()
    assert told.value.where == str(place)
    assert place.exists()  # it may be the user's


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_disk_is_told_with_the_folder_and_what_moves_it(root: Path, kind: str) -> None:
    def full(folder: Path) -> None:
        raise OSError(ENOSPC, os.strerror(ENOSPC))  # as a stream says it, without a name

    with pytest.raises(DataError, match=r"cannot be written: No space .*; free some space, .*DIASCOPE_CACHE") as told:
        make(kind, full)
    assert told.value.where == str(root / kind)


def test_a_file_elsewhere_that_cannot_be_read_is_no_fault_of_the_cache(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone\.txt"):
        make(how=lambda folder: (folder / "text").write_bytes((tmp_path / "gone.txt").read_bytes()) and None)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_builder_wrote_broken_is_told_and_not_kept(root: Path, kind: str) -> None:
    with pytest.raises(DataError, match="cannot be read back; run the same command again"):
        make(kind, lambda folder: (folder / "text").write_text("half") and None)
    assert list((root / kind).iterdir()) == []
    assert make(kind) == "built"


def test_what_is_asked_for_is_used(root: Path) -> None:
    assert not store.is_there("features", KEY, is_whole)
    make()
    os.utime(root / "features" / KEY / "manifest.json", (1000, 1000))
    assert store.entries()[0].used == 1000
    assert store.is_there("features", KEY, is_whole)
    assert store.entries()[0].used > 1000


@pytest.mark.parametrize("content", ['{"source": "a test", "images": "many"}', '{"source": "a test"}', "[3]"])
def test_a_manifest_that_says_nothing_of_use_is_as_good_as_none(root: Path, content: str) -> None:
    file = store.obtain("features", KEY, is_whole, build)[0] / "manifest.json"
    file.write_text(content)
    assert store.read_manifest(file.parent) is None
    assert [(entry.images, entry.whole) for entry in store.entries()] == [(0, False)]


def test_a_memory_that_cannot_be_replaced_leaves_nothing_behind(root: Path) -> None:
    (root / "text" / "a.json").mkdir(parents=True)
    assert store.remembered(root / "text" / "a.json") == {}
    assert not store.remember(root / "text" / "a.json", {"a": 1})
    assert [path.name for path in (root / "text").iterdir()] == ["a.json"]


def test_the_command_says_what_goes_on_where_it_was_cut_off(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    occupy(root / "features" / f"{KEY}.building" / "features.npy")
    cache_command()
    shown = capsys.readouterr().out
    (line,) = [line for line in shown.splitlines() if KEY[:8] in line]
    assert line.split("(")[0].split() == [KEY[:8], "features"]
    assert "(unfinished; run the same command again to resume)  " in line
    assert line.split(")")[1].split()[:2] == ["10", "bytes"]  # no number of images, which is not known


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_bytes(b""),
    "garbage": lambda file: file.write_bytes(b"\x93NUMPY\x01\x00\x10\x00" + b"{[(" * 40),
    "cut": lambda file: file.write_bytes(file.read_bytes()[:-30]),
    "folder": lambda file: (file.unlink(), file.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", ["columns.json", "numbers.npz", "thumbnails.npy", "corners.npy", "manifest.json"])
def test_damaged_measurements_are_made_again(root: Path, tmp_path: Path, name: str, damage: str) -> None:
    planted = Planted(tmp_path / "set", 8)
    first = planted.audited(split=False).facts
    (folder,) = (root / "audit").iterdir()
    expected = np.array(first.thumbnails)
    DAMAGES[damage](folder / name)
    assert np.array_equal(planted.audited(split=False).facts.thumbnails, expected)
    assert (folder / name).is_file()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_pairs_are_searched_again(root: Path, damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = measured(list(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 1), np.uint8)))
    find_duplicates(facts)
    (folder,) = (root / "audit").iterdir()
    DAMAGES[damage](folder / "pairs.npz")
    find_duplicates(facts)
    assert (folder / "pairs.npz").is_file()
    monkeypatch.setattr(duplicates, "_search", lambda *given: pytest.fail("searched again"))
    find_duplicates(facts)


def test_a_set_without_a_readable_image_is_told_as_such(tmp_path: Path) -> None:
    planted = Planted(tmp_path / "set", 8)
    for row in planted.rows:
        (planted.folder / row["path"]).write_bytes(b"")
    with pytest.raises(DataError, match="no image can be read"):
        planted.audited(split=False)


def write_numbers(folder: Path) -> None:
    np.save(folder / "numbers.npy", np.arange(6))
    store.write_manifest(folder, {"source": "a test", "images": 6}, ["numbers.npy"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_of_which_a_byte_has_changed_is_made_anew(kind: str) -> None:
    folder, _ = store.obtain(kind, KEY, Path.is_dir, write_numbers)
    whole = (folder / "numbers.npy").read_bytes()
    (folder / "numbers.npy").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert store.obtain(kind, KEY, Path.is_dir, write_numbers)[1] == "rebuilt"
    assert (folder / "numbers.npy").read_bytes() == whole


def test_an_array_that_has_changed_since_is_not_opened() -> None:
    folder, _ = store.obtain("images", KEY, Path.is_dir, write_numbers)
    assert store.open_array(folder / "numbers.npy").tolist() == [0, 1, 2, 3, 4, 5]
    np.save(folder / "numbers.npy", np.arange(6)[::-1])
    with pytest.raises(DataError, match="was changed in the cache; run the same command again: it makes the file anew"):
        store.open_array(folder / "numbers.npy")
