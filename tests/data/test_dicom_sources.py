"""DICOM files in folders, manifests and the cache, and groups that their own elements tell."""

import csv
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicom_files import dicom
from PIL import Image
from pydantic import ValidationError

from diascope.config import DataConfig
from diascope.config.data import DICOM_GROUPS
from diascope.core.errors import DataError
from diascope.data import cache as cache_module
from diascope.data import dicom_groups as dicom_groups_module
from diascope.data import prepare
from diascope.data.cache import UnreadableImagesError, load_images
from diascope.data.decoded import MissingCodecError
from diascope.data.dicom import COLOUR, GRAY, PALETTE
from diascope.data.index import open_index
from diascope.data.readers import SUFFIXES
from diascope.data.store import cache_root
from diascope.studyfile import parse_study

PATIENTS = {"a/3": "HOSP-1", "a/1": "HOSP-2", "b/2": "HOSP-1", "b/9": "HOSP-3", "b/4": "HOSP-2"}


def shade(level: int, **elements: Any) -> bytes:
    return dicom(np.full((8, 8), level, np.uint8), secrets={}, **elements)


def put(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


@pytest.fixture
def hospital(tmp_path: Path) -> Path:
    """Five images of three patients in a folder per class."""
    files = {f"{path}.dcm": shade(30 * k, PatientID=patient) for k, (path, patient) in enumerate(PATIENTS.items())}
    return put(tmp_path / "hospital", files)


@pytest.fixture
def manifest(hospital: Path) -> Callable[[list[str]], Path]:
    """Write a manifest that lists images of the hospital in this order."""

    def write(paths: list[str]) -> Path:
        with (hospital / "list.csv").open("w", newline="") as stream:
            csv.writer(stream).writerows([("path", "label"), *((path, path[0]) for path in paths)])
        return hospital / "list.csv"

    return write


def index_of(source: Path, **data: Any) -> Any:
    return open_index(DataConfig(source=str(source), **data))


def test_folders_with_dicom_files_of_any_name(tmp_path: Path) -> None:
    names = ["a/1.dcm", "a/2.DICOM", "a/IM-0001", "a/1.2.840.10008.5.1", "b/3.IMA", "b/4.dcm"]
    files = {name: shade(9) for name in names}
    files |= {
        "a/README": b"text",
        "a/DICOMDIR": shade(9),
        "b/short": b"DICM",
        "b/5.dcm.bak": shade(9),
        "b/7.5": b"text",
    }
    index = index_of(put(tmp_path, files))
    assert index.paths == sorted(names)
    assert index.findings[0].evidence["paths"] == ["a/DICOMDIR", "a/README", "b/5.dcm.bak", "b/7.5", "b/short"]


def test_images_are_cached_with_harmless_words(hospital: Path) -> None:
    index, cache, findings = load_images(index_of(hospital), DataConfig(source=str(hospital), image_size=8))
    levels = {path: 30 * k for k, path in enumerate(PATIENTS)}
    assert cache.pixels[:, 0, 0, 0].tolist() == [levels[path.removesuffix(".dcm")] for path in index.paths]
    assert cache.originals() == [(8, 8, "MONOCHROME2")] * 5
    assert findings == []


def test_a_frame_is_part_of_the_cache_only_where_one_is_chosen(tmp_path: Path) -> None:
    frames = np.stack([np.full((8, 8), level, np.uint8) for level in (10, 200)])
    root = put(tmp_path, {f"{name}/1.dcm": dicom(frames, NumberOfFrames=2) for name in "ab"})
    with pytest.raises(UnreadableImagesError, match=r"2 frames in one DICOM file; choose one as data\.frame"):
        load_images(index_of(root), DataConfig(source=str(root), image_size=8))
    found = {}
    for frame in (1, 2):
        config = DataConfig(source=str(root), image_size=8, frame=frame)
        found[frame] = load_images(open_index(config), config)[1]
    assert [int(found[frame].pixels.max()) for frame in (1, 2)] == [10, 200]
    assert found[1].content != found[2].content


@pytest.mark.parametrize("source", ["phantom:skin", "set.npz"])
def test_a_frame_of_what_has_none_is_refused(source: str) -> None:
    with pytest.raises(DataError, match=r"data\.frame is for files of several frames"):
        open_index(DataConfig(source=source, frame=1))


def test_what_an_earlier_version_could_not_read_is_tried_again(hospital: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what it read is kept."""
    config = DataConfig(source=str(hospital), image_size=24)

    def refusing(*arguments: object) -> None:
        raise DataError("a DICOM file, not a JPEG")

    with monkeypatch.context() as patched:
        patched.setattr(prepare, "decode", refusing)
        patched.setattr(cache_module, "READS", "1")
        with pytest.raises(UnreadableImagesError, match="a DICOM file, not a JPEG"):
            load_images(open_index(config), config)
    index, _, findings = load_images(open_index(config), config)
    assert len(index) == 5
    assert [finding.code for finding in findings] == ["cache-rebuilt"]
    monkeypatch.setattr(cache_module, "READS", "3")
    assert load_images(open_index(config), config)[2] == []


def test_a_missing_codec_ends_the_reading_and_is_not_remembered(
    hospital: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is installed, the very same images are read."""
    config = DataConfig(source=str(hospital), image_size=16)

    def without(*arguments: object) -> None:
        raise MissingCodecError("JPEG-LS Lossless Image Compression")

    with monkeypatch.context() as patched:
        patched.setattr(prepare, "decode", without)
        with pytest.raises(MissingCodecError, match=r"hospital/a/1\.dcm: compressed by JPEG-LS.*pip install"):
            load_images(open_index(config), config, on_unreadable="skip")
    assert len(load_images(open_index(config), config)[0]) == 5


# Groups


def test_patients_get_numbers_in_the_order_of_the_paths(hospital: Path) -> None:
    index = index_of(hospital, group="dicom:PatientID")
    assert index.paths == ["a/1.dcm", "a/3.dcm", "b/2.dcm", "b/4.dcm", "b/9.dcm"]
    assert index.groups == ["patient-0001", "patient-0002", "patient-0002", "patient-0001", "patient-0003"]


def test_the_order_of_a_manifest_changes_no_group(manifest: Callable[[list[str]], Path]) -> None:
    paths = ["a/1.dcm", "a/3.dcm", "b/2.dcm", "b/4.dcm", "b/9.dcm"]
    found = []
    for order in (paths, paths[::-1]):
        index = index_of(manifest(order), group="dicom:PatientID")
        found.append(dict(zip(index.paths, index.groups, strict=True)))
    assert found[0] == found[1]
    assert len(set(found[0].values())) == 3


def test_groups_are_remembered_until_a_file_changes(hospital: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIASCOPE_CACHE", str(hospital.parent / "cache"))
    monkeypatch.setattr(dicom_groups_module, "SETTLED", -1e6)  # as if the files had been there for long
    first = index_of(hospital, group="dicom:PatientID").groups
    with monkeypatch.context() as patched:
        patched.setattr(dicom_groups_module, "_value", lambda file, tag: pytest.fail("it was read again"))
        assert index_of(hospital, group="dicom:PatientID").groups == first
    put(hospital, {"b/2.dcm": shade(3, PatientID="HOSP-77")})
    assert index_of(hospital, group="dicom:PatientID").groups != first
    (hospital / "b/9.dcm").unlink()
    assert len(index_of(hospital, group="dicom:PatientID").groups) == 4
    (memory,) = (cache_root() / "digests").glob("groups-*")
    assert "HOSP" not in memory.read_text()
    memory.write_text("[")
    assert len(index_of(hospital, group="dicom:PatientID").groups) == 4


def test_studies_and_series_are_groups_too(tmp_path: Path) -> None:
    files = {
        f"{name}/{k}.dcm": shade(k, StudyInstanceUID=f"1.2.{k}", SeriesInstanceUID="1.2.9")
        for name in "ab"
        for k in (1, 2)
    }
    root = put(tmp_path, files)
    assert index_of(root, group="dicom:StudyInstanceUID").groups == ["study-0001", "study-0002"] * 2
    assert index_of(root, group="dicom:SeriesInstanceUID").groups == ["series-0001"] * 4
    assert index_of(root).groups is None


def test_groups_of_files_that_tell_none_are_refused(hospital: Path) -> None:
    put(hospital, {"a/anonymous.dcm": shade(1), "b/spaces.dcm": shade(2, PatientID="  ")})
    Image.new("L", (4, 4)).save(hospital / "b/5.png")
    with pytest.raises(DataError) as caught:
        index_of(hospital, group="dicom:PatientID")
    for part in ("3 of 8 files", "have no PatientID", "a/anonymous.dcm, b/5.png, b/spaces.dcm", "CSV manifest"):
        assert part in str(caught.value)
    assert "HOSP" not in str(caught.value)


def test_an_unreadable_file_has_a_group_of_its_own_until_it_is_skipped(hospital: Path) -> None:
    whole = (hospital / "a/3.dcm").read_bytes()
    put(hospital, {"a/2.dcm": whole[:200], "b/5.dcm": shade(1, PatientID="HOSP-9")[:-40]})
    config = DataConfig(source=str(hospital), image_size=8, group="dicom:PatientID")
    opened = open_index(config)
    index, _, findings = load_images(opened, config, on_unreadable="skip")
    assert [finding.evidence["path"] for finding in findings] == ["a/2.dcm", "b/5.dcm"]
    assert "a/2.dcm" not in index.paths
    assert len(set(index.groups or [])) == 3
    assert not set(index.groups or []) & {(opened.groups or [])[opened.paths.index("a/2.dcm")]}


def test_only_three_elements_make_groups(hospital: Path) -> None:
    with pytest.raises(ValidationError, match=r"dicom:PatientName is not one of dicom:PatientID"):
        DataConfig(source=str(hospital), group="dicom:PatientName")
    with pytest.raises(DataError, match="name dicom:PatientID if these are DICOM files"):
        index_of(hospital, group="patient")


# What is written about it


def test_the_documentation_names_what_there_is(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL):
        assert parse_study(block, [], where="data.md", folder=tmp_path).config.data.group in DICOM_GROUPS
    for word in (*DICOM_GROUPS, *DICOM_GROUPS.values(), *GRAY, *COLOUR, PALETTE, "data.frame"):
        assert word in text, word
    for suffix in SUFFIXES - {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp"}:
        assert f"`{suffix}`" in text


def test_runs_without_a_frame_keep_their_identity(make_task: Callable[..., Any]) -> None:
    plain, second = make_task("arm"), make_task("arm", "data.frame=2")
    assert "frame" not in plain.config.data.model_dump(exclude_defaults=True)
    assert plain.run_id != second.run_id


def test_groups_are_told_without_reading_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.zeros((2000, 3000), np.uint8)
    files = {f"{side}/{number}.dcm": dicom(pixels, PatientID=f"P{number}") for side in "ab" for number in range(2)}
    folder = put(tmp_path / "large", files)
    tracemalloc.start()
    groups = dicom_groups_module.dicom_groups(folder, [*files], "dicom:PatientID")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert groups == ["patient-0001", "patient-0002", "patient-0001", "patient-0002"]
    assert peak < pixels.nbytes / 4
