"""The index of every kind of source, and the errors of sources that are not right."""

import csv
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from real_data import REAL, needs_real_data

from diascope.config import DataConfig
from diascope.core.errors import DataError
from diascope.data.index import ArrayRow, PhantomNumber, open_index


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def refused(source: Path | str, *parts: str, **data: Any) -> None:
    with pytest.raises(DataError) as caught:
        open_index(DataConfig(source=str(source), **data))
    for part in parts:
        assert part in str(caught.value)


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    """Write a manifest of these lines, or bytes, in a folder that has a.png, b.png, c d.png and sub/é.png."""
    touch(tmp_path, "a.png", "b.png", "c d.png", "sub/é.png")

    def write(*lines: str, data: bytes | None = None, name: str = "m.csv") -> Path:
        (tmp_path / name).write_bytes("\n".join(lines).encode() if data is None else data)
        return tmp_path / name

    return write


# Folders


def test_a_folder_per_class(tmp_path: Path) -> None:
    root = touch(tmp_path, "nevus/b.JPG", "nevus/a.png", "melanoma/x y/1.tif", "melanoma/ü.webp")
    index = open_index(DataConfig(source=str(root)))
    assert index.paths == ["melanoma/x y/1.tif", "melanoma/ü.webp", "nevus/a.png", "nevus/b.JPG"]
    assert index.classes == ("melanoma", "nevus")
    assert index.labels.tolist() == [0, 0, 1, 1]
    assert index.positive == "nevus"
    assert index.groups is index.splits is None
    assert index.locate(0) == root / "melanoma/x y/1.tif"
    assert index.findings == ()


def test_folders_of_sides_in_any_spelling(tmp_path: Path) -> None:
    root = touch(tmp_path, "Train/a/1.png", "Train/b/2.png", "VAL/a/1.png", "VAL/b/2.png", "testing/a/1.png")
    index = open_index(DataConfig(source=str(root)))
    assert index.classes == ("a", "b")
    assert index.splits == ["training", "training", "validation", "validation", "test"]


def test_what_is_no_image_is_ignored_and_said(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.png", "b/2.png", "a/notes.txt", "top.png", "lab.csv")
    touch(tmp_path, ".git/x.png", "a/.hidden.png", "a/Thumbs.db", "__MACOSX/a/1.png", "b/._2.png")
    index = open_index(DataConfig(source=str(root)))
    assert index.paths == ["a/1.png", "b/2.png"]
    (finding,) = index.findings
    assert finding.code == "ignored-files"
    assert finding.evidence == {"count": 2, "paths": ["a/notes.txt", "top.png"]}
    assert finding.sentence.startswith("2 files in the folder are not used: a/notes.txt, top.png.")
    (root / "top.png").unlink()
    (finding,) = open_index(DataConfig(source=str(root))).findings
    assert finding.sentence.startswith("1 file in the folder is not used: a/notes.txt.")
    touch(root, "a/x.txt", "a/y.txt", "a/z.txt")
    (finding,) = open_index(DataConfig(source=str(root))).findings
    assert "not used: a/notes.txt, a/x.txt, a/y.txt and 1 more." in finding.sentence


def test_links_that_go_in_circles_and_pipes_do_not_hang(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.png", "b/2.png", "b/deep/3.png")
    (root / "b/deep/up").symlink_to(root / "b")
    (root / "a/broken.png").symlink_to(root / "nowhere.png")
    os.mkfifo(root / "a/pipe.png")
    index = open_index(DataConfig(source=str(root)))
    assert index.paths == ["a/1.png", "a/broken.png", "b/2.png", "b/deep/3.png"]  # the broken link is unreadable later


def test_folders_that_cannot_be_a_data_set(tmp_path: Path) -> None:
    refused(touch(tmp_path / "flat", "1.png", "2.png"), "2 images lie directly", "1.png", "folder per class")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "no folders in it", "benign/")
    refused(touch(tmp_path / "single", "a/1.png"), "only one class, 'a'")
    refused(touch(tmp_path / "volumes", "a/1.png", "b/1.nii", "b/2.nii"), "volumes/b", "2 .nii", "convert")
    refused(touch(tmp_path / "mix", "train/a/1.png", "nevus/1.png"), "(train)", "(nevus)")
    refused(touch(tmp_path / "wrapped", "set/a/1.png", "set/b/1.png"), "one folder only, set", "set as data.source")
    masked = touch(tmp_path / "masked", "a/1.png", "b/1.png", "masks/a/1.png", "masks/b/1.png")
    refused(masked, "masks/ holds a, b", "not images of a class", f"move it beside this folder, to {tmp_path}/masks")
    refused(tmp_path / "singel", "looking for 'singel'", "did you mean 'single'?")
    refused(tmp_path / "mix" / "nevvs" / "deeper", "did you mean 'nevus'?")
    refused(tmp_path / "single/a/1.png", "not a folder, CSV manifest")
    refused(tmp_path / "single", "data.group is 'lesion'", "no columns", group="lesion")


@pytest.mark.skipif(os.name == "nt", reason="names are Unicode there")
def test_names_that_are_not_unicode_are_refused_before_training(tmp_path: Path) -> None:
    touch(tmp_path, "a/1.png", "b/2.png")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/caf\xe9.png")).touch()
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    refused(tmp_path, "not valid UTF-8", r"caf\udce9.png", "rename")


def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    root = touch(tmp_path, "a/1.png", "b/2.png")
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    (root / "b").chmod(0)
    refused(root, "b: cannot be listed", "permission")


# Manifests


def test_a_manifest(manifest: Callable[..., Path], tmp_path: Path) -> None:
    file = manifest("path,dx,split,lesion,age", "a.png,nv,train,L1,40", "b.png,mel,val,L2,", "sub/é.png,nv,test,L1,50")
    index = open_index(DataConfig(source=str(file), label="dx", group="lesion", positive="mel"))
    assert index.paths == ["a.png", "b.png", "sub/é.png"]
    assert index.classes == ("mel", "nv")
    assert index.positive == "mel"
    assert index.labels.tolist() == [1, 0, 1]
    assert index.groups == ["L1", "L2", "L1"]
    assert index.splits == ["training", "validation", "test"]
    assert index.columns == {"age": ["40", "", "50"]}
    assert index.locate(2) == tmp_path / "sub/é.png"


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbfpath,label\r\na.png,x\r\nsub\\\xc3\xa9.png,y\r\n",  # Excel: mark, CRLF; Windows: backslash
        b"path;label\na.png;x\n\n./sub/\xc3\xa9.png;y\n;\n",
        b"path\tlabel\na.png\tx\nsub/../sub/\xc3\xa9.png\ty",
        b'"path" , "label"\n"a.png", "x"\n"sub/\xc3\xa9.png", "y"\n',
        "path,label\na.png,x\nsub/é.png,y\n".encode("utf-16"),
    ],
)
def test_manifests_as_programs_write_them(manifest: Callable[..., Path], data: bytes) -> None:
    index = open_index(DataConfig(source=str(manifest(data=data))))
    assert index.paths == ["a.png", "sub/é.png"]
    assert index.classes == ("x", "y")


def test_a_path_may_begin_as_if_it_was_guarded(manifest: Callable[..., Path], tmp_path: Path) -> None:
    touch(tmp_path, "'-a.png", "-b.png")
    index = open_index(DataConfig(source=str(manifest("path,label", "'-a.png,x", "'-b.png,'-y"))))
    assert index.paths == ["'-a.png", "-b.png"]
    assert index.classes == ("-y", "x")


def test_a_path_may_be_absolute_and_hold_the_delimiter(manifest: Callable[..., Path], tmp_path: Path) -> None:
    touch(tmp_path, "one, two.png")
    index = open_index(DataConfig(source=str(manifest("path,label", f"{tmp_path}/a.png,x", '"one, two.png",y'))))
    assert index.locate(0) == tmp_path / "a.png"
    assert index.paths[1] == "one, two.png"


@pytest.mark.parametrize(
    ("lines", "parts"),
    [
        (["path,lable", "a.png,x"], ["no column 'label'", "did you mean 'lable'?"]),
        (["file,label", "a.png,x"], ["no column 'path'", "there is file, label"]),
        (["path,label,label", "a.png,x,y"], ["columns named twice: label"]),
        (["path,label", "a.png,x", "b.png,", "c d.png,"], ["column 'label' is empty in lines 3, 4"]),
        (["path,label", "a.png,x", "gone.png,y", "off.png,y"], ["2 of 3 files", "gone.png (line 3), off.png (line 4)"]),
        (["path,label", "a.png,x", "b.png,y", "./a.png,y"], ["1 paths", "a.png (lines 2, 4)"]),
        (["path,label,split", "a.png,x,train", "b.png,y,holdout"], [":3: unknown split 'holdout'", "validation"]),
        (["path,label", "a.png,x,z"], [":2: 3 cells, but the header has 2"]),
        (["path,label"], ["no images listed"]),
        ([], ["no images listed"]),
        (["path,label", "a.png,x", "b.png,x"], ["only one class, 'x'"]),
    ],
)
def test_manifests_with_errors(manifest: Callable[..., Path], lines: list[str], parts: list[str]) -> None:
    refused(manifest(*lines), "m.csv", *parts)


def test_manifests_that_do_not_fit_the_configuration(manifest: Callable[..., Path]) -> None:
    file = manifest("path,label,lesion_id", "a.png,nevus,1", "b.png,melanoma,")
    refused(file, "no column 'lesion'", "did you mean 'lesion_id'?", group="lesion")
    refused(file, "column 'lesion_id' is empty in line 3", group="lesion_id")
    refused(file, "1 images are labelled 'melanoma'", "did you mean 'melanom'?", classes=("nevus", "melanom"))
    refused(file, "no image of class 'other'", classes=("nevus", "melanoma", "other"))
    refused(file, "data.positive is 'Melanoma'", "did you mean 'melanoma'?", positive="Melanoma")
    refused(manifest(data=b"path,label\na.png,x\ncaf\xe9.png,y\n"), "m.csv:3: not UTF-8", "CSV UTF-8")


def test_classes_have_the_order_asked_for(manifest: Callable[..., Path]) -> None:
    file = manifest("path,label", "a.png,10", "b.png,9", "c d.png,x")
    assert open_index(DataConfig(source=str(file))).classes == ("10", "9", "x")
    index = open_index(DataConfig(source=str(file), classes=("x", "9", "10")))
    assert index.classes == ("x", "9", "10")
    assert index.labels.tolist() == [2, 1, 0]
    numbers = manifest("path,label", "a.png,10", "b.png,9", "c d.png,1")
    assert open_index(DataConfig(source=str(numbers))).classes == ("1", "9", "10")  # whole numbers by value


# Arrays and phantoms


def save_npz(file: Path, **arrays: Any) -> Path:
    usual = {
        "train_images": np.zeros((3, 4, 4), np.uint8),
        "train_labels": np.array([[0], [1], [0]], np.uint8),
        "val_images": np.zeros((1, 4, 4), np.uint8),
        "val_labels": np.array([[1]], np.uint8),
    }
    np.savez(file, **{name: array for name, array in (usual | arrays).items() if array is not None})
    return file


def test_an_npz(tmp_path: Path) -> None:
    file = save_npz(tmp_path / "a.npz")
    index = open_index(DataConfig(source=str(file)))
    assert index.paths == ["train/000000", "train/000001", "train/000002", "val/000000"]
    assert index.splits == ["training"] * 3 + ["validation"]
    assert index.classes == ("0", "1")
    assert index.locate(3) == ArrayRow(file, "val_images", 0)
    named = open_index(DataConfig(source=str(file), classes=("malignant", "benign")))
    assert named.classes == ("malignant", "benign")
    assert named.labels.tolist() == [0, 1, 0, 1]
    assert open_index(DataConfig(source=str(file), classes=("1", "0"))).labels.tolist() == [1, 0, 1, 0]


def test_npz_files_with_errors(tmp_path: Path) -> None:
    refused(save_npz(tmp_path / "a.npz", train_images=None), "no array train_images")
    refused(save_npz(tmp_path / "a.npz", train_labels=None), "no array train_labels")
    refused(save_npz(tmp_path / "a.npz", train_labels=np.zeros((3, 14), int)), "several labels")
    refused(save_npz(tmp_path / "a.npz", train_images=np.zeros((3, 4, 4, 4), np.uint8)), "volumes")
    refused(save_npz(tmp_path / "a.npz", train_images=np.zeros((3, 4, 4))), "float64")
    refused(save_npz(tmp_path / "a.npz", train_images=np.zeros((2, 4, 4), np.uint8)), "2 images but 3 labels")
    refused(save_npz(tmp_path / "a.npz"), "names 3 classes", "0, 1", classes=("a", "b", "c"))
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-40])
    refused(tmp_path / "b.npz", "not a complete npz")


def test_phantoms_put_the_positive_class_last() -> None:
    index = open_index(DataConfig.model_validate({"source": "phantom:skin", "phantom": {"images": 12}}))
    assert index.classes == ("nevus", "melanoma")
    assert index.positive == "melanoma"
    assert len(index) == 12
    assert index.groups is not None
    assert len(set(index.groups)) == 6
    location = index.subset([7, 3]).locate(1)
    assert isinstance(location, PhantomNumber)
    assert location.number == 7
    refused("phantom:skim", "did you mean 'phantom:skin'?")


# What an index can do


def test_a_subset_keeps_everything_aligned(manifest: Callable[..., Path]) -> None:
    file = manifest("path,label,split,g,age", "a.png,x,train,1,30", "b.png,y,val,2,40", "c d.png,x,train,3,50")
    part = open_index(DataConfig(source=str(file), group="g")).subset([2, 0])
    assert part.paths == ["a.png", "c d.png"]  # in the order of the index
    assert part.labels.tolist() == [0, 0]
    assert part.groups == ["1", "3"]
    assert part.splits == ["training", "training"]
    assert part.columns == {"age": ["30", "50"]}
    assert part.locate(1).name == "c d.png"  # type: ignore[union-attr]


def test_an_index_is_saved_with_its_class_order(manifest: Callable[..., Path], tmp_path: Path) -> None:
    file = manifest("path,dx,label,split", "a.png,x,1,train", '"c d.png",y,2,val')
    open_index(DataConfig(source=str(file), label="dx", classes=("y", "x"))).save(tmp_path / "index.csv")
    with (tmp_path / "index.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert rows == [
        {"path": "a.png", "label": "x", "class_number": "1", "split": "training", "source_label": "1"},
        {"path": "c d.png", "label": "y", "class_number": "0", "split": "validation", "source_label": "2"},
    ]


@needs_real_data
def test_real_sources() -> None:
    breast = open_index(DataConfig(source=f"{REAL}/breastmnist.npz"))
    assert breast.splits is not None
    assert [breast.splits.count(side) for side in ("training", "validation", "test")] == [546, 78, 156]
    lab = open_index(DataConfig(source=f"{REAL}/skin/lab.csv", group="lesion_id"))
    assert lab.classes == ("melanoma", "nevus")
    assert lab.splits is not None
    assert (lab.splits.count("training"), lab.splits.count("validation")) == (1000, 200)
    bone = open_index(DataConfig(source=f"{REAL}/bone"))
    assert np.bincount(bone.labels).tolist() == [574, 2692]
    with Image.open(str(bone.locate(0))) as image:
        assert image.format == "JPEG"


def test_where_chooses_images_by_their_columns(manifest: Callable[..., Path], tmp_path: Path) -> None:
    lines = ("path,label,site,kept", "a.png,x,leg,1", "b.png,y,leg,0", "c d.png,y,arm,1", "sub/é.png,z,hip,1")
    file = manifest(*lines)
    index = open_index(DataConfig(source=str(file), where={"kept": 1, "site": ["leg", "arm"]}))
    assert index.paths == ["a.png", "c d.png"]
    assert index.classes == ("x", "y")  # no class of which nothing is left
    assert index.columns == {"site": ["leg", "arm"], "kept": ["1", "1"]}
    assert index.locate(1) == tmp_path / "c d.png"
    refused(file, "data.where: there is no column 'sit'", "did you mean 'site'?", where={"sit": "leg"})
    refused(file, "no image has 'foot' in column 'site'", "arm, hip, leg", where={"site": "foot"})
    refused(file, "data.where leaves no image", where={"site": "hip", "kept": 0})
    refused("phantom:skin", "data.where: there is no column 'site'", "only a CSV manifest", where={"site": "leg"})
    by_label = DataConfig(source=str(file), where={"kept": 1.0, "label": ["x", "y"]})
    assert open_index(by_label).paths == ["a.png", "c d.png"]
