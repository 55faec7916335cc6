"""Energy and pointing by hand, against chance and planted maps; where the truth comes from; the scale."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diascope.config import DataConfig, PhantomConfig
from diascope.core.errors import DataError
from diascope.data import phantoms
from diascope.data.index import open_index
from diascope.explain.regions import energy_inside, measure_regions, pointing
from diascope.explain.scale import fixed_scale
from diascope.explain.study_images import StudyImages

CORNER = np.zeros((4, 4), dtype=bool)
CORNER[:2, :2] = True


def test_energy_and_pointing_by_hand() -> None:
    one = np.zeros((4, 4), dtype=np.float32)
    one[0, 0], one[3, 3], one[1, 3] = 3, 1, -5
    assert energy_inside(one, CORNER) == pytest.approx(0.75)
    assert pointing(one, CORNER) == 1
    one[2, 2] = 3  # two largest values: half of them inside
    assert pointing(one, CORNER) == 0.5
    assert energy_inside(np.zeros((4, 4), dtype=np.float32), CORNER) is None
    assert pointing(np.full((4, 4), -1, dtype=np.float32), CORNER) is None


def regions(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    found = np.zeros((count, 16, 16), dtype=bool)
    for mask in found:
        x, y = random.integers(0, 12, 2)
        mask[y : y + 4, x : x + 4] = True
    return found


def test_maps_of_chance_cover_chance_and_planted_ones_do_not() -> None:
    masks = regions(60)
    noise = np.random.default_rng(1).random(masks.shape).astype(np.float32)
    right = np.arange(60) % 3 > 0
    groups = [f"patient {number // 2}" for number in range(60)]
    found = measure_regions(noise, masks, right, groups)
    assert found["all"]["area"] == pytest.approx(1 / 16)
    assert found["all"]["excess"]["low"] < 0 < found["all"]["excess"]["high"]
    assert "not shown to differ from the regions of other images" in found["sentence"]
    planted = measure_regions(noise + 3 * masks, masks, right, groups)
    assert planted["all"]["excess"]["low"] > 0.05
    assert planted["all"]["pointing"]["value"] == 1
    assert "more than with the regions of other images" in planted["sentence"]
    assert planted["all"]["beyond"]["low"] > 0.05
    assert planted["all"]["p"] == 2 / 2000
    beside = measure_regions(noise * ~masks, masks, right, groups)
    assert beside["all"]["energy"]["value"] == 0
    assert beside["all"]["excess"]["high"] is None or beside["all"]["excess"]["high"] < 0


def test_right_wrong_and_empty_maps_are_counted_apart() -> None:
    masks = regions(40)
    maps = np.random.default_rng(0).random(masks.shape).astype(np.float32)
    right = np.arange(40) < 25
    maps[right] += 5 * masks[right]
    maps[:3] = 0
    found = measure_regions(maps, masks, right, None)
    assert [found[part]["images"] for part in ("all", "right", "wrong")] == [40, 25, 15]
    assert [found[part]["empty"] for part in ("all", "right", "wrong")] == [3, 3, 0]
    assert found["right"]["energy"]["value"] > 2 * found["wrong"]["energy"]["value"]
    expected = np.mean([maps[row][masks[row]].sum() / maps[row].sum() for row in range(3, 40)])
    assert found["all"]["energy"]["value"] == pytest.approx(expected)


def test_images_of_one_group_count_less() -> None:
    masks = regions(200)
    of_group = np.random.default_rng(2).random(20) * 4
    noise = np.random.default_rng(3).random(masks.shape).astype(np.float32)
    maps = noise + (of_group[np.arange(200) // 10, None, None] * masks).astype(np.float32)
    right = np.ones(200, dtype=bool)
    groups = [f"g{number // 10}" for number in range(200)]
    alone, together = (measure_regions(maps, masks, right, given)["all"]["energy"] for given in (None, groups))
    assert together["high"] - together["low"] > 1.5 * (alone["high"] - alone["low"])
    few = measure_regions(maps[:50], masks[:50], right[:50], groups[:50])
    assert few["all"]["energy"]["low"] is None
    assert "too few images" in few["sentence"]
    assert few["all"]["p"] is None


def test_energy_in_the_regions_of_other_groups_by_hand() -> None:
    masks, maps = regions(24), np.random.default_rng(0).random((24, 16, 16)).astype(np.float32)
    groups = [f"g{number // 2}" for number in range(24)]
    found = measure_regions(maps, masks, np.ones(24, dtype=bool), groups)["all"]
    crossed = [
        [maps[row][masks[other]].sum() / maps[row].sum() for other in range(24) if other // 2 != row // 2]
        for row in range(24)
    ]
    assert found["others"] == pytest.approx(np.mean(crossed), abs=1e-6)
    assert found["beyond"]["value"] == pytest.approx(found["energy"]["value"] - np.mean(crossed), abs=1e-6)
    assert found["beyond"]["low"] < found["beyond"]["value"] < found["beyond"]["high"]


def blob() -> np.ndarray:
    """One map in the middle of the image."""
    places = np.hypot(*(np.mgrid[:16, :16] - 7.5))
    return np.exp(-((places / 3) ** 2)).astype(np.float32)


def central_regions(count: int, seed: int) -> np.ndarray:
    """Squares about the middle, as lesions lie."""
    random = np.random.default_rng(seed)
    found = np.zeros((count, 16, 16), dtype=bool)
    for mask in found:
        y, x = random.integers(3, 8, 2)
        mask[y : y + 6, x : x + 6] = True
    return found


def test_a_blob_in_the_middle_of_every_image_is_no_sign_of_a_network_that_looks() -> None:
    masks = central_regions(60, 0)
    found = measure_regions(np.tile(blob(), (60, 1, 1)), masks, np.ones(60, dtype=bool), None)
    assert found["all"]["excess"]["low"] > 0.1  # far more than the area
    assert found["all"]["beyond"]["value"] == pytest.approx(0, abs=1e-6)
    assert found["all"]["p"] == 1
    assert "not shown to differ" in found["sentence"]


def test_maps_with_the_regions_of_other_images_are_called_significant_as_often_as_said() -> None:
    """Maps that lie about the middle, each elsewhere, and regions that do so too, of groups of unequal size."""
    called = 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        moved = np.stack([np.roll(blob(), tuple(random.integers(-3, 4, 2)), (0, 1)) for _ in range(30)])
        groups = [f"g{number}" for number in np.sort(random.integers(0, 16, 30))]
        found = measure_regions(moved, central_regions(30, 1000 + seed), np.ones(30, dtype=bool), groups)["all"]
        called += found["p"] is not None and found["p"] < 0.05
    assert called <= 6  # of 40 at 5%, exceeded by chance once in 140 such tests


def test_regions_that_barely_differ_cannot_tell() -> None:
    masks = np.zeros((40, 16, 16), dtype=bool)
    masks[:, 4:12, 4:12] = True
    masks[::2, 4, 4] = False
    found = measure_regions(
        np.random.default_rng(0).random((40, 16, 16), np.float32), masks, np.ones(40, dtype=bool), None
    )
    assert "cannot be told, since the regions of different images are nearly the same" in found["sentence"]


def test_nothing_but_empty_maps() -> None:
    found = measure_regions(np.zeros((3, 16, 16), dtype=np.float32), regions(3), np.ones(3, dtype=bool), None)
    assert found["all"]["energy"]["value"] is None
    assert "empty" in found["sentence"]


@pytest.mark.parametrize("shortcut", ["none", "size"])
@pytest.mark.parametrize("kind", ["skin", "bone"])
def test_the_truth_of_a_phantom_is_what_draw_gives(kind: phantoms.Kind, shortcut: str) -> None:
    config = PhantomConfig(images=8, size=48, shortcut=shortcut)
    for number in range(8):
        drawn = phantoms.draw(kind, config, number)
        mask, box = phantoms.truth(kind, config, number)
        assert box == drawn.box
        assert (mask is None) == (drawn.mask is None)
        assert mask is None or np.array_equal(mask, drawn.mask)


@pytest.mark.parametrize("kind", ["skin", "bone"])
def test_a_written_set_has_the_regions_of_the_drawn_one(kind: phantoms.Kind, tmp_path: Path) -> None:
    config = PhantomConfig(images=8, size=48)
    phantoms.write(kind, config, tmp_path)
    size = {"image_size": (32, 32), "group": "group"}
    drawn = StudyImages(DataConfig(source=f"phantom:{kind}", phantom=config, **size))
    written = StudyImages(DataConfig(source=str(tmp_path / "manifest.csv"), **size), whole=True)
    for path in drawn.index.paths:
        assert written.has_region(path) == drawn.has_region(path)
        one, other = drawn.region(path), written.region(path)
        assert (one is None) == (other is None)
        if one is not None and other is not None:
            assert one.any()
            assert (one != other).mean() < 0.03, "boxes are rounded to pixels of the file"


def boxed(folder: Path, size: tuple[int, int], lines: list[str], **config: object) -> StudyImages:
    for name in ("a", "b"):
        (folder / "images" / name).mkdir(parents=True)
        Image.new("L", size, 90).save(folder / "images" / name / "1.png")
    (folder / "boxes.csv").write_text("path,x_center,y_center,width,height\n" + "\n".join(lines) + "\n")
    return StudyImages(DataConfig(source=str(folder / "images"), **{"image_size": (40, 40), **config}))


def test_boxes_are_fitted_as_the_image_is(tmp_path: Path) -> None:
    lines = ["a/1.png,0.25,0.5,0.5,0.2", "a/1.png,0.9,0.9,0.1,0.1"]
    stretched = boxed(tmp_path / "1", (80, 20), lines).region("a/1.png")
    assert stretched is not None
    expected = np.zeros((40, 40), dtype=bool)
    expected[16:24, :20] = expected[34:38, 34:38] = True
    assert (stretched != expected).sum() <= 8
    padded = boxed(tmp_path / "2", (80, 20), lines, resize="pad").region("a/1.png")
    assert padded is not None
    assert not padded[:15].any()
    assert padded[19:21, :20].all()
    images = boxed(tmp_path / "3", (80, 20), ["a/1.png,0.05,0.5,0.1,0.2"], resize="crop")
    assert images.has_region("a/1.png")
    assert not images.has_region("b/1.png")
    assert images.region("a/1.png") is None, "the crop has cut it off"


def test_a_box_smaller_than_a_pixel_is_not_lost(tmp_path: Path) -> None:
    found = boxed(tmp_path, (400, 400), ["a/1.png,0.501,0.501,0.004,0.004"]).region("a/1.png")
    assert found is not None
    assert 1 <= found.sum() <= 4


@pytest.mark.parametrize(
    ("line", "message"),
    [("a/1.png,25,50,10,10", "does not lie in the image"), ("a/1.png,left,0.5,0.1,0.1", "four numbers")],
)
def test_a_box_that_is_none_is_an_error_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(DataError, match=rf"boxes.csv, line 2.*{message}"):
        boxed(tmp_path, (20, 20), [line]).has_region("a/1.png")


def test_a_header_without_a_column_is_an_error(tmp_path: Path) -> None:
    images = boxed(tmp_path, (20, 20), [])
    with (tmp_path / "boxes.csv").open("w", newline="") as file:
        csv.writer(file).writerow(["path", "x", "y"])
    with pytest.raises(DataError, match=r"no column x_center, y_center, width, height"):
        images.has_region("a/1.png")


def test_masks_lie_beside_the_source_under_the_same_path(tmp_path: Path) -> None:
    images = boxed(tmp_path, (20, 20), [])
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[:10] = 1  # not black is inside
    (tmp_path / "masks" / "b").mkdir(parents=True)
    Image.fromarray(mask).save(tmp_path / "masks" / "b" / "1.png")
    found = images.region("b/1.png")
    assert found is not None
    assert found[:19].all()
    assert not found[21:].any()
    assert len(open_index(images.config).classes) == 2


def listed(home: Path, paths: list[str]) -> StudyImages:
    """A manifest in `home`/audited that lists images of two classes, which are written."""
    (home / "audited").mkdir()
    for path in paths:
        (home / "audited" / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20), 90).save(home / "audited" / path)
    lines = [f"{path},{'ab'[number % 2]}" for number, path in enumerate(paths)]
    (home / "audited" / "manifest.csv").write_text("\n".join(["path,label", *lines]) + "\n")
    return StudyImages(DataConfig(source=str(home / "audited" / "manifest.csv"), image_size=(20, 20)))


def mark(file: Path) -> None:
    """Write a mask whose upper half is inside."""
    mask = np.zeros((20, 20), dtype=np.uint8)
    mask[:10] = 255
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(file)


def test_a_path_out_of_the_manifests_folder_is_looked_for_without_its_dots(tmp_path: Path) -> None:
    images = listed(tmp_path, ["../moles/a/1.png", "../moles/b/1.png", "../moles/b/2.png"])
    mark(tmp_path / "audited/masks/moles/a/1.png")
    boxes = ["path,x_center,y_center,width,height", "moles/b/1.png,0.5,0.25,1,0.5", "../moles/b/2.png,0.5,0.25,1,0.5"]
    (tmp_path / "audited/boxes.csv").write_text("\n".join(boxes) + "\n")
    for path in images.index.paths:
        found = images.region(path)
        assert found is not None, path
        assert found[:10].all()
        assert not found[10:].any()


def test_what_is_one_path_without_dots_takes_no_others_region(tmp_path: Path) -> None:
    images = listed(tmp_path, ["moles/1.png", "../moles/1.png", "../../moles/1.png", "../moles/2.png"])
    mark(tmp_path / "audited/masks/moles/1.png")
    mark(tmp_path / "audited/masks/moles/2.png")
    known = [path for path in images.index.paths if images.has_region(path)]
    assert sorted(known) == ["../moles/2.png", "moles/1.png"]


def test_nothing_beside_the_source_is_told_with_the_place_of_a_mask(tmp_path: Path) -> None:
    images = listed(tmp_path, ["../moles/a/1.png", "../moles/b/1.png"])
    assert str(images.why_unknown()) == (
        f"{tmp_path}/audited: no region is known: there is neither boxes.csv nor masks/ in it; "
        "put the mask of ../moles/a/1.png at masks/moles/a/1.png in it (docs/explain.md)"
    )


def test_masks_and_boxes_of_no_image_are_told_with_examples(tmp_path: Path) -> None:
    images = listed(tmp_path, ["../moles/a/1.png", "../moles/a/2.png", "../moles/b/2.png"])
    mark(tmp_path / "audited/masks/b/2.png")
    mark(tmp_path / "audited/masks/b/3.png")
    (tmp_path / "audited/boxes.csv").write_text("path,x_center,y_center,width,height\nb/7.png,0.5,0.5,0.1,0.1\n")
    assert str(images.why_unknown()) == (
        f"{tmp_path}/audited: boxes.csv has 1 row, none of an image of the study: such as b/7.png, not "
        "../moles/a/1.png, and masks/ has 2 files, none of an image of the study: such as masks/b/2.png, but that of "
        "../moles/b/2.png would be masks/moles/b/2.png; "
        "name them by the paths in index.csv, without leading ../ parts (docs/explain.md)"
    )


def test_an_empty_folder_and_an_empty_table_are_told(tmp_path: Path) -> None:
    images = listed(tmp_path, ["1.png", "2.png"])
    (tmp_path / "audited/masks").mkdir()
    (tmp_path / "audited/boxes.csv").write_text("path,x_center,y_center,width,height\n")
    assert "boxes.csv has no rows, and masks/ has no files" in str(images.why_unknown())


def test_regions_of_other_sides_are_told(tmp_path: Path) -> None:
    images = listed(tmp_path, ["1.png", "2.png"])
    mark(tmp_path / "audited/masks/1.png")
    assert "known of 1 of 2 images, but of none on the validation side" in str(images.why_unknown())


def test_the_scale_is_one_for_all_and_never_an_images_own() -> None:
    maps = np.zeros((100, 10, 10), dtype=np.float32)
    maps[0, :, :5], maps[1:3], maps[3:] = 7, 3, 1  # 0.5% and 2% of the values
    assert fixed_scale(maps).value == 3
    assert fixed_scale(-maps).value == fixed_scale(maps).value
    sparse = np.zeros((4, 50, 50), dtype=np.float32)
    assert fixed_scale(sparse).value == 0
    sparse[0, 0, 0] = 2
    assert fixed_scale(sparse).value == 2
    assert "largest" in fixed_scale(sparse).origin
