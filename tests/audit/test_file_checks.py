"""The checks on files, duplicates, labels and leaks: each finds what is planted, and nothing in clean images."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from planted_images import Planted, crop

from diascope.audit.checks import CHECKS, audit
from diascope.config import DataConfig
from diascope.core.errors import DataError
from diascope.data.index import open_index

SEVERE = ("warning", "error")


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    planted = Planted(tmp_path_factory.mktemp("clean"))
    planted.column("patient", lambda number: f"p{number // 2}")
    return planted.audited(group="patient")


@pytest.mark.parametrize("code", CHECKS)
def test_every_check_says_something_of_clean_images_and_finds_nothing(clean, code):
    found = CHECKS[code](clean)
    assert found
    assert [finding for finding in found if finding.outcome == "issue" and finding.severity in SEVERE] == []
    assert all(finding.sentence for finding in found)
    json.dumps([finding.model_dump(mode="json") for finding in found], allow_nan=False)


def test_unreadable_files_are_named_with_the_reason(tmp_path):
    planted = Planted(tmp_path)
    file = tmp_path / planted.rows[5]["path"]
    file.write_bytes(file.read_bytes()[:400])
    finding = planted.check("unreadable-files", split=False)
    assert (finding.outcome, finding.severity, finding.evidence["count"]) == ("issue", "warning", 1)
    assert "0005.png" in finding.sentence
    assert "truncated" in finding.evidence["reasons"]["0005.png"]


def test_an_image_of_too_many_pixels_is_to_be_shrunk(tmp_path, monkeypatch):
    planted = Planted(tmp_path)
    planted.add("huge.png", np.zeros((400, 400), np.uint8), "nevus")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 399 * 400)
    finding = planted.check("unreadable-files", split=False)
    reason = "too many pixels: 400 x 400 = 160,000, more than the limit of 159,600; shrink it"
    assert f"huge.png ({reason}). Shrink it," in finding.sentence
    assert finding.evidence["files"] == [{"path": "huge.png", "action": "shrink", "why": reason}]


def test_pictures_that_end_in_the_gray_of_a_decoder_are_incomplete(tmp_path):
    planted = Planted(tmp_path)
    cut = planted.pixels(3).copy()
    cut[-20:] = 128
    planted.add("cut.png", cut, "nevus")
    planted.add("gray.png", np.full((64, 64, 3), 128, np.uint8), "nevus")  # flat as a whole: nothing is missing
    finding = planted.check("incomplete-pictures")
    assert finding.outcome == "issue"
    assert finding.evidence["paths"] == ["cut.png"]


def test_equal_files_and_equal_pixels_are_told_apart(tmp_path):
    planted = Planted(tmp_path)
    (tmp_path / "copy.png").write_bytes((tmp_path / "0002.png").read_bytes())
    planted.rows.append({"path": "copy.png", "label": planted.rows[2]["label"]})
    planted.add("other.bmp", planted.pixels(4), planted.rows[4]["label"])
    drawn: dict[str, bytes] = {}
    finding = planted.check("exact-duplicates", drawn)
    assert finding.evidence["groups"] == [["0002.png", "copy.png"], ["0004.png", "other.bmp"]]
    assert (finding.evidence["count"], finding.evidence["equal_files"]) == (2, 1)
    assert [file["path"] for file in finding.evidence["files"]] == ["copy.png", "other.bmp"]
    shown = finding.evidence["pictures"][0]["images"]
    assert [image["path"] for image in shown] == ["0002.png", "copy.png"]
    assert all(max(Image.open(BytesIO(drawn[image["file"]])).size) <= 192 for image in shown)


def test_gray_that_is_stored_as_colour_is_the_same_picture(tmp_path):
    planted = Planted(tmp_path)
    gray = planted.pixels(1)[:, :, 0]
    planted.add("gray.png", gray, "nevus")
    planted.add("colour.png", np.repeat(gray[:, :, None], 3, axis=2), "nevus")
    assert planted.check("exact-duplicates").evidence["groups"] == [["gray.png", "colour.png"]]


def test_near_duplicates_are_named_in_pairs(tmp_path):
    planted = Planted(tmp_path)
    planted.change(7, crop, "cropped.png")
    finding = planted.check("near-duplicates")
    assert finding.evidence["pairs"] == [["0007.png", "cropped.png"]]
    assert finding.evidence["within_groups"] == 0


def test_near_duplicates_that_a_group_holds_together_are_a_note(tmp_path):
    planted = Planted(tmp_path)
    planted.change(7, crop, "cropped.png")
    planted.column("patient", lambda number: f"p{7 if number == 24 else number}")
    finding = planted.check("near-duplicates", group="patient")
    assert (finding.outcome, finding.severity, finding.evidence["within_groups"]) == ("issue", "info", 1)
    assert finding.evidence["files"] == []
    assert "must not" not in finding.sentence
    planted.change(3, crop, "another.png")
    planted.rows[-1]["patient"] = "another"
    finding = planted.check("near-duplicates", group="patient")
    assert (finding.severity, finding.evidence["count"], finding.evidence["within_groups"]) == ("warning", 2, 1)
    assert [file["path"] for file in finding.evidence["files"]] == ["another.png"]
    assert "0003.png and another.png" in finding.sentence


def test_one_picture_under_two_labels_is_a_conflict_and_under_one_is_none(tmp_path):
    planted = Planted(tmp_path)
    planted.change(0, crop, "same.png")
    other = {"nevus": "melanoma", "melanoma": "nevus"}
    planted.add("equal.png", planted.pixels(1), other[planted.rows[1]["label"]])
    planted.add("near.png", planted.pixels(2)[:, ::-1], other[planted.rows[2]["label"]])
    finding = planted.check("label-conflicts")
    assert (finding.evidence["count"], finding.evidence["equal_pixels"]) == (2, 1)
    named = [[image["path"] for image in pair] for pair in finding.evidence["pairs"]]
    assert named == [["0001.png", "equal.png"], ["0002.png", "near.png"]]


def test_of_copies_the_one_with_the_name_of_an_original_is_kept(tmp_path):
    planted = Planted(tmp_path)
    for number, name in enumerate(("0000 copy.png", "0001 (1).png", "0002_copy.png", "0.png")):
        planted.add(name, planted.pixels(number), planted.rows[number]["label"])
    finding = planted.check("exact-duplicates")
    assert [file["path"] for file in finding.evidence["files"]] == [
        *("0000 copy.png", "0001 (1).png", "0002_copy.png"),
        "0003.png",
    ]


@pytest.mark.parametrize("alike", [lambda pixels: pixels, lambda pixels: pixels[:, ::-1]])
def test_nothing_is_to_be_removed_of_a_picture_under_two_labels(tmp_path, alike):
    planted = Planted(tmp_path)
    other = {"nevus": "melanoma", "melanoma": "nevus"}
    planted.add("0000 copy.png", planted.pixels(0), planted.rows[0]["label"])
    planted.add("conflict.png", alike(planted.pixels(0)), other[planted.rows[0]["label"]])
    planted.add("0001 copy.png", planted.pixels(1), planted.rows[1]["label"])
    finding = planted.check("exact-duplicates")
    assert [file["path"] for file in finding.evidence["files"]] == ["0001 copy.png"]
    assert finding.evidence["count"] == 2
    assert "1 picture of these stands under two labels" in finding.sentence
    relabel = {file["path"] for file in planted.check("label-conflicts").evidence["files"]}
    assert {"0000.png", "conflict.png"} <= relabel


def leaky(folder, *, across: bool) -> Planted:
    """A near-duplicate on the other side of a given split, or on the same."""
    planted = Planted(folder)
    planted.change(0, crop, "copy.png")
    planted.column(
        "split", lambda number: "validation" if number // 2 % 4 == 3 or (number == 24 and across) else "training"
    )
    return planted


def test_a_duplicate_on_two_sides_is_an_error_with_a_remedy_unless_it_is_allowed(tmp_path):
    planted = leaky(tmp_path, across=True)
    finding = planted.check("leak-duplicates")
    assert (finding.severity, finding.outcome, finding.evidence["count"]) == ("error", "issue", 1)
    assert finding.evidence["groups"] == [["0000.png", "copy.png"]]
    assert finding.evidence["between"] == ["training and validation"]
    assert "data.allow=[leak-duplicates]" in finding.sentence
    assert "split: {kind: holdout}" in finding.sentence  # the given sides would divide the groups that it makes
    assert planted.check("leak-duplicates", allow=("leak-duplicates",)).severity == "warning"
    both = planted.check("leak-duplicates", allow=("leak-groups",)).sentence
    assert "--set 'data.allow=[leak-groups,leak-duplicates]'" in both


def test_a_duplicate_on_one_side_is_no_leak(tmp_path):
    assert leaky(tmp_path, across=False).check("leak-duplicates").outcome == "passed"


def test_a_column_of_groups_that_the_split_does_not_keep_is_named_with_their_number(tmp_path):
    planted = Planted(tmp_path)
    planted.column("split", lambda number: "validation" if number // 2 % 4 == 3 else "training")
    planted.column("lesion_id", lambda number: f"L{number % 12}")
    finding = planted.check("leak-groups")
    assert (finding.severity, finding.evidence["column"]) == ("error", "lesion_id")
    assert (finding.evidence["count"], finding.evidence["groups"], finding.evidence["images"]) == (6, 12, 12)
    assert "data.group: lesion_id" in finding.sentence


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("lesion_id", lambda number: f"L{number}"),  # every image its own
        ("patient", lambda number: f"p{number // 2 % 4}"),  # no value on two sides: the split goes by it
        ("sex", lambda number: "fm"[number % 2]),  # a kind of image
        ("group_of_age", lambda number: "young"),  # one value for all
    ],
)
def test_other_columns_are_no_leak(tmp_path, name, cell):
    planted = Planted(tmp_path)
    planted.column("split", lambda number: "validation" if number // 2 % 4 == 3 else "training")
    planted.column(name, cell)
    assert planted.check("leak-groups").outcome != "issue"


def test_near_duplicates_tell_a_column_of_groups_whatever_it_is_called(tmp_path):
    planted = Planted(tmp_path)
    for number in range(6):
        planted.change(number, lambda pixels: pixels[::-1], f"turned-{number}.png")
    planted.column("split", lambda number: "validation" if number >= 24 or number // 2 % 4 == 3 else "training")
    planted.column("serial", lambda number: f"s{number - 24 if number >= 24 else number}")
    finding = planted.check("leak-groups")
    assert finding.evidence["column"] == "serial"
    assert finding.evidence["count"] == 6


def test_a_source_whose_images_all_cannot_be_read_is_an_error(tmp_path):
    planted = Planted(tmp_path, 8)
    for row in planted.rows:
        (tmp_path / row["path"]).write_bytes(b"nothing")
    config = DataConfig(source=str(planted.manifest()))
    with pytest.raises(DataError, match="no image can be read"):
        audit(open_index(config), config)
