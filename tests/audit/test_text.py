"""Burned-in text: what is read, what is kept of it, and whether it goes with the label."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fact_sets import audited, index_of, measured, of_phantoms
from PIL import Image, ImageDraw, ImageFont

from diascope.audit import burned_in
from diascope.audit.burned_in import burned_in_text, chosen_rows, reading_cost, remembered_text
from diascope.audit.facts import Audited
from diascope.audit.originals import originals
from diascope.audit.text_memory import Mark, TextMemory, mark_of
from diascope.audit.text_reader import TextBox, TextReader, reading_time

NAME = "MILLER 1957"


@pytest.fixture(autouse=True)
def _forgetful(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test remembers what another has read."""
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "cache"))


def picture(text: str, size: int = 160, seed: int = 0) -> np.ndarray:
    """Noise, perhaps with white text at the upper left."""
    noise = np.random.default_rng(seed).integers(40, 70, (size, size), dtype=np.uint8)
    image = Image.fromarray(noise)
    if text:
        font = ImageFont.load_default(max(8, size * 0.09))
        ImageDraw.Draw(image).text((size * 0.05, size * 0.05), text, fill=255, font=font)
    return np.array(image)[..., None]


@pytest.fixture(scope="module")
def reader() -> TextReader:
    if TextReader.missing() is not None:
        pytest.skip(str(TextReader.missing()))
    return TextReader()


@pytest.mark.parametrize("size", [64, 1200])
def test_text_is_read_where_it_stands(reader: TextReader, size: int) -> None:
    (box,) = reader.boxes(picture("AP 12", size))
    assert box.text.replace(" ", "") == "AP12"
    assert box.confidence > 0.6
    assert 0 <= box.left < 0.12 * size < box.right < 0.6 * size
    assert 0 <= box.top < 0.1 * size < box.bottom < 0.25 * size


def test_pictures_without_text_have_none(reader: TextReader) -> None:
    assert reader.boxes(picture("")) == []
    assert reader.boxes(np.zeros((40, 200, 3), np.uint8)) == []


def test_a_missing_package_is_a_reason_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    TextReader.missing.cache_clear()
    monkeypatch.setitem(sys.modules, "rapidocr", None)
    try:
        assert "pip install 'diascope[text]'" in str(TextReader.missing())
        (found,) = burned_in_text(of_phantoms("skin", images=8))
        assert found.outcome == "skipped"
        assert "diascope[text]" in found.sentence
        assert reading_cost(of_phantoms("skin", images=8)).images == 0
    finally:
        TextReader.missing.cache_clear()


def test_reading_time_grows_with_the_picture_up_to_a_point() -> None:
    assert reading_time(64, 64) == pytest.approx(0.3)
    assert 0.6 < reading_time(1000, 700) < 1.5
    assert reading_time(4000, 3000) < 1.5


def test_what_text_says_is_not_kept() -> None:
    mark = mark_of(TextBox(10, 80, 60, 95, NAME, 0.98765), height=100, width=200)
    assert mark == Mark(0.05, 0.8, 0.3, 0.95, length=10, kind="mixed", confidence=0.988)
    assert mark.place == "lower left"
    assert mark_of(TextBox(90, 40, 110, 60, "12", 1), 100, 200).place == "centre"
    assert mark_of(TextBox(0, 0, 1, 1, "R", 1), 9, 9).kind == "letters"


class Seen:
    """Reads in no time: white pixels are a name."""

    count = 0

    @staticmethod
    def missing() -> None:
        return None

    def boxes(self, pixels: np.ndarray) -> list[TextBox]:
        Seen.count += 1
        rows, columns = np.nonzero(pixels[..., 0] == 255)
        return [TextBox(columns.min(), rows.min(), columns.max(), rows.max(), NAME, 0.9)] if len(rows) else []


def written(folder: Path, texts: list[str], **more: Any) -> Audited:
    """Images with these texts as files, of classes a and b in turn."""
    pictures = [picture("", 48, seed) for seed in range(len(texts))]
    for pixels, text in zip(pictures, texts, strict=True):
        pixels[2:6, 2:20] = 255 if text else 60
    index = index_of(np.arange(len(texts)) % 2, root=str(folder))
    for path, pixels in zip(index.paths, pictures, strict=True):
        Image.fromarray(pixels[..., 0]).save(folder / path)
    return audited(index, measured(pictures), **more)


def test_text_that_goes_with_the_label_is_an_alarm_and_names_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(burned_in, "TextReader", Seen)
    planted = written(tmp_path, [NAME if i % 2 and i > 3 else "" for i in range(60)])
    assert reading_cost(planted).images == 60
    (found,) = burned_in_text(planted)
    assert (found.outcome, found.severity) == ("issue", "warning")
    assert found.evidence["per_class"] == {"a": {"read": 30, "with_text": 0}, "b": {"read": 30, "with_text": 28}}
    assert found.evidence["label"]["auroc"] > 0.9
    assert found.evidence["images"][0]["boxes"][0]["length"] == 10
    assert len(found.evidence["files"]) == 28
    assert "upper left" in found.sentence
    said = json.dumps(found.model_dump()) + "".join(file.read_text() for file in (tmp_path / "cache").rglob("*.json"))
    assert "MILLER" not in said


def test_text_in_both_classes_is_information(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burned_in, "TextReader", Seen)
    (found,) = burned_in_text(written(tmp_path, [NAME if i % 5 < 2 else "" for i in range(60)]))
    assert (found.outcome, found.severity) == ("issue", "info")
    (clean,) = burned_in_text(written(tmp_path, [""] * 24))
    assert clean.outcome == "passed"


def test_what_was_read_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burned_in, "TextReader", Seen)
    planted = written(tmp_path, [NAME, ""] * 6)
    (before,) = remembered_text(planted)
    assert before.outcome == "skipped"
    assert "diascope audit" in before.sentence
    Seen.count = 0
    first = burned_in_text(planted)
    assert Seen.count == 12
    assert burned_in_text(planted) == first == remembered_text(planted)
    assert Seen.count == 12
    assert reading_cost(planted).images == 0
    for file in (tmp_path / "cache" / "text").iterdir():
        file.write_text("damaged")
    assert TextMemory().get(planted.facts.pixel_digests[0]) is None
    assert reading_cost(planted).images == 12


def test_drawn_images_are_read_only_when_all_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(burned_in, "TextReader", Seen)
    assert burned_in_text(of_phantoms("skin", images=8))[0].outcome == "skipped"
    assert burned_in_text(replace(of_phantoms("skin", images=8), all_text=True))[0].outcome != "skipped"


def test_sixty_of_a_class_are_read_spread_over_groups() -> None:
    labels = np.repeat([0, 1], 200)
    groups = np.r_[np.arange(200) // 4, 50 + np.arange(200) // 2]  # 50 groups of four, 100 of two
    index = index_of(labels, groups=groups)
    found = audited(index, measured([picture("", 16)]))
    rows = np.array(chosen_rows(found))
    assert np.bincount(labels[rows]).tolist() == [60, 60]
    assert len(set(groups[rows[labels[rows] == 0]])) == 50
    assert len(set(groups[rows[labels[rows] == 1]])) == 60
    assert len(chosen_rows(audited(index, measured([picture("", 16)]), all_text=True))) == 400


def test_originals_of_every_kind_of_source(tmp_path: Path) -> None:
    drawn = of_phantoms("bone", images=8)
    assert [image.shape for image in originals(drawn.index, [1, 5])] == [(64, 64, 1)] * 2
    deep = np.arange(64, dtype=np.uint16).reshape(8, 8) * 100
    Image.fromarray(deep).save(tmp_path / "00000.png")
    (image,) = originals(index_of(np.array([0, 1]), root=str(tmp_path)), [0])
    assert (image.min(), image.max(), image.shape) == (0, 255, (8, 8, 3))


def test_originals_of_an_npz(tmp_path: Path) -> None:
    from diascope.config import DataConfig
    from diascope.data.index import open_index

    pixels = np.random.default_rng(0).integers(0, 255, (10, 9, 9), dtype=np.uint8)
    labels = np.arange(10)[:, None] % 2
    np.savez(
        tmp_path / "a.npz",
        train_images=pixels[:6],
        train_labels=labels[:6],
        val_images=pixels[6:],
        val_labels=labels[6:],
    )
    index = open_index(DataConfig(source=str(tmp_path / "a.npz")))
    found = list(originals(index, [0, 5, 6, 9]))
    assert [image[..., 0].tolist() for image in found] == pixels[[0, 5, 6, 9]].tolist()
