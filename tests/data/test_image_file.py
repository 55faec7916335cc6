"""Only regular files are images, after all links, in folders, manifests and commands; names that no file can have."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diascope.config import DataConfig
from diascope.core.errors import DataError
from diascope.data.annotations import Annotations
from diascope.data.cache import UnreadableImagesError, load_images
from diascope.data.gray_depth import gray_depth
from diascope.data.image_file import MOST_BYTES, beginning
from diascope.data.index import open_index
from diascope.data.readers import is_dicom, read_image
from diascope.data.strays import strays
from diascope.explain.named import find_images

LONG = "a" * 252  # 256 bytes with .png, of which a name has 255 at most


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two classes of three images each."""
    random = np.random.default_rng(0)
    for number in range(6):
        file = tmp_path / "images" / "ab"[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (16, 16), np.uint8)).save(file)
    return tmp_path / "images"


def endless(folder: Path) -> None:
    """A pipe, and links to it and to devices, under names of images."""
    os.mkfifo(folder / "pipe.png")
    (folder / "to_pipe.png").symlink_to("pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "random.dcm").symlink_to("/dev/urandom")
    (folder / "7").symlink_to("/dev/zero")  # as a DICOM file may be called


def broken(folder: Path) -> None:
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "through.png").symlink_to("0.png/inside.png")
    (folder / "gone.png").symlink_to("nowhere.png")


def reasons(source: Path) -> dict[str, str]:
    config = DataConfig(source=str(source), image_size=8)
    with pytest.raises(UnreadableImagesError) as caught:
        load_images(open_index(config), config)
    return {finding.evidence["path"]: finding.evidence["reason"] for finding in caught.value.findings}


def test_pipes_and_devices_in_a_folder_are_no_images(root: Path) -> None:
    endless(root / "a")
    index = open_index(DataConfig(source=str(root)))
    assert len(index) == 6
    (finding,) = index.findings
    assert finding.evidence["paths"] == ["a/7", "a/pipe.png", "a/random.dcm", "a/to_pipe.png", "a/zero.png"]


def test_links_that_lead_nowhere_are_unreadable_images(root: Path) -> None:
    broken(root / "a")
    found = reasons(root)
    assert found == {
        "a/gone.png": "no such file or directory",
        "a/loop.png": "too many levels of symbolic links",
        "a/through.png": "not a directory",
    }


def test_links_that_lead_nowhere_are_no_classes(root: Path) -> None:
    (root / "loop").symlink_to("loop")
    (root / "through").symlink_to("a/0.png/inside")
    assert open_index(DataConfig(source=str(root))).classes == ("a", "b")


def test_a_manifest_names_what_is_not_a_regular_file(root: Path) -> None:
    endless(root / "a")
    broken(root / "a")
    lines = ["path,label", "a/0.png,x", "b/1.png,y"]
    manifest = root / "images.csv"
    for name in ("a/pipe.png", "a/zero.png", "a/loop.png", "a/through.png", f"a/{LONG}.png", f"a\\{LONG}.png", "a"):
        manifest.write_text("\n".join([*lines, f"{name},x"]))
        with pytest.raises(DataError, match=r"1 of 3 files do not exist or are not regular files: .* \(line 4\)"):
            open_index(DataConfig(source=str(manifest)))


@pytest.mark.parametrize("name", ["pipe.png", "to_pipe.png", "zero.png", "7"])
def test_what_became_a_pipe_or_device_after_it_was_listed_is_refused(root: Path, name: str) -> None:
    endless(root / "a")
    with pytest.raises(DataError, match="a folder, pipe or device, not a regular file; replace or remove"):
        read_image(root / "a" / name, 1)
    assert beginning(root / "a" / name, 26) == b""
    index = open_index(DataConfig(source=str(root)))
    (root / "a" / "0.png").unlink()
    (root / "a" / "0.png").symlink_to(name)
    config = DataConfig(source=str(root), image_size=8)
    assert gray_depth(index, config).images == 0
    with pytest.raises(UnreadableImagesError, match=r"a/0\.png: a folder, pipe or device, not a regular file"):
        load_images(index, config)


def test_a_file_of_too_many_bytes_is_refused_before_it_is_read(root: Path) -> None:
    with (root / "a" / "0.png").open("r+b") as stream:
        stream.truncate(1 << 40)  # of holes
    reason = "1,099,511,627,776 bytes, more than the limit of 805,306,368"
    with pytest.raises(DataError, match=reason):
        read_image(root / "a" / "0.png", 1)
    assert reasons(root) == {"a/0.png": reason}


@pytest.mark.parametrize("name", ["pipe", "loop", LONG + ".png", "gone"])
def test_a_source_that_is_no_file_is_an_error(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    what = "no such file or folder" if name in (LONG + ".png", "gone") else "neither a regular file nor a folder"
    with pytest.raises(DataError, match=what):
        open_index(DataConfig(source=str(tmp_path / name)))


@pytest.mark.parametrize("name", ["pipe", LONG + ".png"])
def test_an_image_to_explain_is_a_file(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="neither an image of the study nor a file"):
        find_images([str(tmp_path / name)], {"a.png": "a"}, str(tmp_path))


def test_a_mask_for_the_longest_name_has_no_place(root: Path) -> None:
    longest = "a" * 251 + ".jpg"
    Image.new("L", (16, 16)).save(root / "a" / longest)
    (root.parent / "masks" / "a").mkdir(parents=True)
    (root / "a" / longest).rename(root / "a" / (name := longest.replace(".jpg", ".jpe")))
    config = DataConfig(source=str(root))
    index = open_index(config)
    row = index.paths.index(f"a/{name}")
    os.symlink("x" * 200, root.parent / "masks" / "a" / name)
    assert Annotations(index, config).mask_file(row) is None


def test_ignored_names_that_are_no_utf_8_are_written_out(root: Path) -> None:
    """As they are they could not be written to findings.json."""
    (root / "a" / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x")
    (root.parent / "masks" / "a").mkdir(parents=True)
    (root.parent / "masks" / "a" / os.fsdecode(b"\xff.png")).write_bytes(b"x")
    config = DataConfig(source=str(root))
    index = open_index(config)
    (ignored,) = index.findings
    assert ignored.evidence["paths"] == [r"a/caf\xe9.txt"]
    assert r"a/caf\xe9.txt" in ignored.sentence
    assert any(r"masks/a/\xff.png" in clause for clause in strays(Annotations(index, config), index))


def test_the_beginning_of_a_file_of_any_size_tells_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "IM-0001"
    file.write_bytes(bytes(128) + b"DICM")
    os.truncate(file, MOST_BYTES + 1)
    assert is_dicom(beginning(file, 132))
