"""Phantoms: a pure function of their settings, with their truth, and no way to the label but the lesion or the line."""

import csv
from functools import cache

import numpy as np
import pytest
from PIL import Image
from scipy.stats import ks_2samp
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diascope.config import PhantomConfig
from diascope.data import phantoms
from diascope.data.phantoms import CENTRE, CLASSES, Phantom, bone, skin

KINDS: tuple[phantoms.Kind, ...] = ("skin", "bone")
JUDGED = 300
CHANCE = 3 * 0.5 / np.sqrt(JUDGED)  # three standard deviations of a coin's accuracy: 0.087


def settings(**changes: object) -> PhantomConfig:
    return PhantomConfig.model_validate({"images": 12, "size": 48, **changes})


def positive(kind: phantoms.Kind, phantom: Phantom) -> bool:
    return phantom.label == CLASSES[kind][1]


def outside_centre(size: int) -> np.ndarray:
    q = (np.arange(size) + 0.5) / size - 0.5
    return np.hypot(q[:, None], q) >= CENTRE


@cache
def sample(kind: phantoms.Kind) -> list[Phantom]:
    """Images of plainly different classes, one per group: the first half to learn from, the second to be judged on."""
    config = settings(size=32, images_per_group=1, difficulty=0, seed=11)
    return [phantoms.draw(kind, config, i) for i in range(2 * JUDGED)]


def pixels(drawn: list[Phantom]) -> np.ndarray:
    """Gray images (n, size, size), 0 to 1."""
    return np.stack([p.pixels.mean(axis=2) / 255 for p in drawn])


def accuracy(features: np.ndarray, drawn: list[Phantom]) -> float:
    """Of a linear reader, learned on the first half and judged on the second."""
    features, half = features.reshape(len(features), -1), len(features) // 2
    labels = np.array([p.label in ("melanoma", "fractured") for p in drawn])
    reader = make_pipeline(StandardScaler(), LogisticRegression(C=1e-2)).fit(features[:half], labels[:half])
    return float(reader.score(features[half:], labels[half:]))


@pytest.mark.parametrize("kind", KINDS)
def test_image_depends_on_kind_settings_and_number_alone(kind):
    first = phantoms.draw(kind, settings(), 5)
    phantoms.draw(kind, settings(), 4)
    again = phantoms.draw(kind, settings(images=1000), 5)
    assert np.array_equal(first.pixels, again.pixels)
    assert first.box == again.box
    assert not np.array_equal(first.pixels, phantoms.draw(kind, settings(seed=1), 5).pixels)
    assert not np.array_equal(first.pixels, phantoms.draw(kind, settings(), 4).pixels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shortcut", ["none", "letters"])
def test_table_says_what_is_drawn(kind, shortcut):
    config = settings(shortcut=shortcut)
    for i, row in enumerate(phantoms.phantom_table(kind, config)):
        drawn = phantoms.draw(kind, config, i)
        assert (row["label"], row["group"], row.get("mark")) == (drawn.label, drawn.group, drawn.mark)


@pytest.mark.parametrize("kind", KINDS)
def test_table_is_balanced_and_a_larger_one_extends_it(kind):
    rows = phantoms.phantom_table(kind, settings(images=40, images_per_group=2))
    assert phantoms.phantom_table(kind, settings(images=400, images_per_group=2))[:40] == rows
    assert sum(row["label"] == CLASSES[kind][1] for row in rows) == 20
    assert len({row["path"] for row in rows}) == 40
    assert len({row["group"] for row in rows}) == len({(row["group"], row["label"]) for row in rows}) == 20


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [28, 64, 512])
def test_any_size_is_drawn_and_shows_the_same_scene(kind, size):
    drawn = phantoms.draw(kind, settings(size=size), 3).pixels
    assert drawn.shape == (size, size, 3 if kind == "skin" else 1)
    assert drawn.dtype == np.uint8
    assert drawn.std() > 12
    reference = Image.fromarray(phantoms.draw(kind, settings(size=128), 3).pixels.mean(axis=2).astype(np.uint8))
    here = Image.fromarray(drawn.mean(axis=2).astype(np.uint8))
    small = [np.asarray(image.resize((28, 28), Image.Resampling.BOX), float).ravel() for image in (reference, here)]
    assert np.corrcoef(*small)[0, 1] > 0.97


def test_lesion_mask_lies_in_the_centre_and_on_the_dark_spot():
    for i in range(12):
        drawn = phantoms.draw("skin", settings(size=96), i)
        assert drawn.mask is not None
        assert drawn.box is None
        assert not drawn.mask[outside_centre(96)].any()
        ring = ~drawn.mask & ~outside_centre(96)
        assert drawn.pixels[drawn.mask].mean() < drawn.pixels[ring].mean() - 15


def test_lesions_of_both_classes_are_equally_large():
    areas: dict[str, list[float]] = {"nevus": [], "melanoma": []}
    for drawn in sample("skin"):
        assert drawn.mask is not None
        areas[drawn.label].append(drawn.mask.mean())
    assert ks_2samp(areas["nevus"], areas["melanoma"]).pvalue > 0.05


def test_only_fractured_bones_have_a_box_and_it_lies_in_the_centre():
    for i in range(12):
        drawn = phantoms.draw("bone", settings(size=100), i)
        assert drawn.mask is None
        assert (drawn.box is not None) == positive("bone", drawn)
        if drawn.box is not None:
            assert np.hypot(*(np.array([drawn.box[0], drawn.box[1]]) - 50)) < 100 * CENTRE
            assert np.hypot(*(np.array([drawn.box[2], drawn.box[3]]) - 50)) < 100 * CENTRE


@pytest.mark.parametrize("number", range(6))
def test_whole_and_broken_bones_differ_in_the_line_alone(number):
    def draw(visibility: float | None) -> tuple[np.ndarray, bone.Box | None]:
        patient, shot = np.random.default_rng(number), np.random.default_rng(number + 100)
        return bone.draw_bone(128, visibility, bone.draw_femur(patient), shot)

    whole, (broken, box) = draw(None)[0][..., 0], draw(1.0)
    assert box is not None
    difference = whole - broken[..., 0]
    left, top, right, bottom = (round(edge) for edge in box)
    inside = np.zeros_like(whole, dtype=bool)
    inside[top - 3 : bottom + 4, left - 3 : right + 4] = True
    assert np.abs(difference[~inside]).max() < 0.02
    assert difference[inside].max() > 0.15
    assert np.array_equal(whole, draw(0.0)[0][..., 0])


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("magnification", [1.0, 1.24])
def test_nevus_and_melanoma_differ_in_the_centre_alone(number, magnification):
    def draw(signs: skin.Signs) -> tuple[np.ndarray, np.ndarray]:
        patient, shot = np.random.default_rng(number), np.random.default_rng(number + 100)
        return skin.draw_skin(96, signs, skin.draw_lesion(patient), shot, magnification)

    nevus, nevus_mask = draw(skin.Signs(0, 0, 0))
    melanoma, melanoma_mask = draw(skin.Signs(1, 1, 1))
    rim = outside_centre(96)
    assert np.array_equal(nevus[rim], melanoma[rim])
    assert np.abs(nevus[~rim] - melanoma[~rim]).max() > 0.1
    assert melanoma_mask.sum() == pytest.approx(nevus_mask.sum(), rel=0.02)
    assert np.abs(nevus.mean(axis=(0, 1)) - melanoma.mean(axis=(0, 1))).max() < 0.005


@pytest.mark.parametrize("kind", KINDS)
def test_images_of_a_group_are_alike_but_not_the_same(kind):
    config = settings(images_per_group=2, size=64)
    images = np.stack([phantoms.draw(kind, config, i).pixels.astype(float) for i in range(24)])
    tone = images[:, 16:48, 16:48].mean(axis=(1, 2))  # the group's skin and lesion, or thigh and bone
    within = np.abs(tone[0::2] - tone[1::2]).mean()
    between = np.abs(tone[0:-2:2] - tone[3::2]).mean()
    assert 0 < within < 0.8 * between


@pytest.mark.parametrize("kind", KINDS)
def test_rim_says_nothing_about_the_class(kind):
    drawn = sample(kind)
    assert abs(accuracy(pixels(drawn)[:, outside_centre(32)], drawn) - 0.5) < CHANCE


@pytest.mark.parametrize("kind", KINDS)
def test_mean_brightness_and_colour_say_nothing_about_the_class(kind):
    drawn = sample(kind)
    brightness = pixels(drawn).mean(axis=(1, 2))
    assert abs(accuracy(brightness, drawn) - 0.5) < CHANCE
    assert abs(accuracy(np.stack([p.pixels.mean(axis=(0, 1)) for p in drawn]), drawn) - 0.5) < CHANCE


@pytest.mark.parametrize("kind", KINDS)
def test_centre_tells_the_classes_apart(kind):
    drawn = sample(kind)
    assert accuracy(pixels(drawn)[:, ~outside_centre(32)], drawn) > 0.75


def test_difficulty_blends_the_classes_until_nothing_is_left():
    def signs(melanoma: bool, difficulty: float) -> list[skin.Signs]:
        return [skin.draw_signs(melanoma, difficulty, np.random.default_rng(seed)) for seed in range(400)]

    assert set(signs(True, 0)) == {skin.Signs(1, 1, 1)}
    assert set(signs(False, 0)) == {skin.Signs(0, 0, 0)}
    assert signs(True, 1) == signs(False, 1)
    gaps = [
        np.mean([s.border for s in signs(True, d)]) - np.mean([s.border for s in signs(False, d)])
        for d in (0, 0.25, 0.5, 0.75, 1)
    ]
    assert gaps == sorted(gaps, reverse=True)


def test_difficulty_hides_fractures_until_none_is_left():
    def visible(difficulty: float) -> float:
        drawn = [bone.draw_visibility(difficulty, np.random.default_rng(seed)) for seed in range(400)]
        return float(np.mean(drawn))

    means = [visible(d) for d in (0, 0.25, 0.5, 0.75, 1)]
    assert means[0] == 1
    assert means[-1] == 0
    assert means == sorted(means, reverse=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shortcut", ["letters", "border"])
@pytest.mark.parametrize("size", [28, 96])
def test_marks_are_planted_outside_the_centre(kind, shortcut, size):
    rim = outside_centre(size)
    for i in range(8):
        clean = phantoms.draw(kind, settings(size=size), i)
        planted = phantoms.draw(kind, settings(size=size, shortcut=shortcut), i)
        assert clean.mark is None
        assert not clean.marked
        assert np.array_equal(clean.pixels[~rim], planted.pixels[~rim])
        assert not np.array_equal(clean.pixels[rim], planted.pixels[rim])


@pytest.mark.parametrize("kind", KINDS)
def test_brightness_follows_the_mark(kind):
    for i in range(8):
        clean = phantoms.draw(kind, settings(), i).pixels.mean()
        planted = phantoms.draw(kind, settings(shortcut="brightness"), i)
        assert (planted.pixels.mean() > clean) == (planted.mark == CLASSES[kind][1])


def test_size_follows_the_mark():
    for i in range(8):
        clean = phantoms.draw("skin", settings(), i).mask
        planted = phantoms.draw("skin", settings(shortcut="size"), i)
        assert clean is not None
        assert planted.mask is not None
        assert (planted.mask.sum() > clean.sum()) == (planted.mark == "melanoma")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shortcut", ["letters", "brightness", "border"])
def test_a_planted_shortcut_can_be_learned(kind, shortcut):
    config = settings(size=32, images_per_group=1, difficulty=1, shortcut=shortcut, rate=1)
    drawn = [phantoms.draw(kind, config, i) for i in range(160)]
    images = pixels(drawn)
    corner = images[:, :8, -8:] if shortcut == "letters" else images
    assert accuracy(corner, drawn) > 0.8


def test_rate_is_the_share_of_marks_that_agree_with_the_class():
    def agreeing(rate: float) -> float:
        rows = phantoms.phantom_table("skin", settings(images=2000, shortcut="letters", rate=rate))
        return float(np.mean([row["mark"] == row["label"] for row in rows]))

    assert agreeing(1) == 1
    assert agreeing(0) == 0
    assert agreeing(0.9) == pytest.approx(0.9, abs=0.02)
    assert "mark" not in phantoms.phantom_table("skin", settings())[0]


@pytest.mark.parametrize("kind", KINDS)
def test_written_set_holds_images_and_truth(kind, tmp_path):
    config = settings(images=8, size=64)
    seen: list[tuple[int, int]] = []
    phantoms.write(kind, config, tmp_path, progress=lambda done, total: seen.append((done, total)))
    with (tmp_path / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert seen == [(i + 1, 8) for i in range(8)]
    assert rows == phantoms.phantom_table(kind, config)
    for i, row in enumerate(rows):
        drawn = phantoms.draw(kind, config, i)
        stored = np.asarray(Image.open(tmp_path / row["path"])).reshape(drawn.pixels.shape)
        assert np.array_equal(stored, drawn.pixels)
        if drawn.mask is not None:
            assert np.array_equal(np.asarray(Image.open(tmp_path / "masks" / row["path"])) > 0, drawn.mask)
    assert (tmp_path / "masks").exists() == (kind == "skin")
    assert (tmp_path / "boxes.csv").exists() == (kind == "bone")


def test_written_boxes_are_fractions_of_the_image(tmp_path):
    config = settings(images=8, size=64)
    phantoms.write("bone", config, tmp_path)
    with (tmp_path / "boxes.csv").open(newline="") as file:
        boxes = {row["path"]: row for row in csv.DictReader(file)}
    for i, row in enumerate(phantoms.phantom_table("bone", config)):
        box = phantoms.draw("bone", config, i).box
        assert (row["path"] in boxes) == (box is not None)
        if box is not None:
            written = boxes[row["path"]]
            assert float(written["x_center"]) * 64 == pytest.approx((box[0] + box[2]) / 2)
            assert float(written["height"]) * 64 == pytest.approx(box[3] - box[1])


@pytest.mark.parametrize(("prevalence", "positive"), [(0.5, 100), (0.05, 10), (0.9, 180)])
def test_the_positive_class_is_as_frequent_as_asked_for(prevalence: float, positive: int) -> None:
    config = PhantomConfig(images=400, prevalence=prevalence, images_per_group=2)
    labels = [row["label"] for row in phantoms.phantom_table("skin", config)]
    assert labels.count("melanoma") == 2 * positive
    first = labels[: len(labels) // 2].count("melanoma")
    assert abs(first - positive) <= 2, "spread evenly"
    assert all(a == b for a, b in zip(labels[::2], labels[1::2], strict=True)), "a group is of one class"
