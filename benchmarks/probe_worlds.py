"""Images for benchmarks/probes.py, of which it is known whether there is a shortcut: not drawn by Diascope's phantoms.

Textures (as in histology: the classes differ everywhere), close-ups (a lesion that fills the image and leaves the
rim), both from two sites whose cases differ and whose images do not, and real images with and without letters; beside
them phantoms with planted marks.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

SIZE, IMAGES, REAL_SIZE, REAL_IMAGES = 48, 260, 48, 400
Pixels = NDArray[np.uint8]  # (N, H, W, C)


@dataclass(frozen=True)
class World:
    """Images with their classes (0 or 1), their groups, and columns of a manifest.

    `marked`: the same images with the mark of class 0, and with that of class 1, where marks are planted.
    """

    pixels: Pixels
    labels: NDArray[np.int64]
    groups: list[str]
    columns: dict[str, list[str]] = field(default_factory=dict)
    marked: tuple[Pixels, Pixels] | None = None


@dataclass(frozen=True)
class Cases:
    """Two images a case. At site A most cases are positive and easy, at site B most are negative and hard.

    `signs` (cases,) says how much of class 1 a case shows: around 0 or 1, nearer to one another where it is hard.
    """

    labels: NDArray[np.int64]
    sites: NDArray[np.str_]
    signs: NDArray[np.float64]


def draw_cases(random: Generator, *, severe: bool = False) -> Cases:
    """Half of each class; with `severe`, only the positive cases of the sites differ: those of A are advanced."""
    count = IMAGES // 2
    labels = np.arange(count) % 2
    sites = np.where(random.random(count) < np.where(labels == 1, 0.7, 0.3), "A", "B")
    hard = (sites == "B") & ((labels == 1) | (not severe))
    signs = np.abs(labels - np.where(hard, 0.25, 0.0)) + random.normal(0, 0.22, count)
    return Cases(labels, sites, signs)


def of_cases(random: Generator, cases: Cases, drawn: Callable[[Generator, float], NDArray[np.float64]]) -> World:
    """Two images of every case, exposed as it happens, whatever the class and the site."""
    pixels = []
    for signs in np.repeat(cases.signs, 2).tolist():
        plane = drawn(random, signs) * random.uniform(0.85, 1.15) + random.normal(0, 0.04)
        plane += random.normal(0, 0.015, plane.shape)
        pixels.append(np.rint(255 * np.clip(plane, 0, 1)).astype(np.uint8))
    names = [f"case-{number}" for number in np.repeat(np.arange(len(cases.labels)), 2)]
    columns = {"site": np.repeat(cases.sites, 2).tolist()}
    return World(np.stack(pixels)[..., None], np.repeat(cases.labels, 2).astype(np.int64), names, columns)


def texture(random: Generator, signs: float) -> NDArray[np.float64]:
    """A stationary Gaussian field whose spectrum falls more steeply the more signs there are."""
    plane = power_law(random, 1.0 + 0.9 * signs)
    return np.asarray(0.5 + 0.15 * plane)


def close_up(random: Generator, signs: float) -> NDArray[np.float64]:
    """A dark lesion from the middle to beyond the rim; signs make its border ragged and its pigment blotchy."""
    across = (np.arange(SIZE) + 0.5) / SIZE - 0.5
    x, y = across[None, :] - random.normal(0, 0.05), across[:, None] - random.normal(0, 0.05)
    angle, away = np.arctan2(y, x), np.hypot(x, y)
    outline = sum(random.normal() * np.cos(k * angle + random.uniform(0, 6.3)) / k**0.7 for k in range(3, 12))
    radius = random.uniform(0.42, 0.6) * (1 + (0.02 + 0.14 * max(signs, 0)) * outline)
    inside = 1 / (1 + np.exp((away - radius) / random.uniform(0.015, 0.03)))
    blotches = np.tanh(power_law(random, 1.6))
    pigment = random.uniform(0.3, 0.45) * (1 + (0.06 + 0.40 * max(signs, 0)) * blotches)
    return np.asarray(random.uniform(0.65, 0.8) - pigment * inside + 0.02 * power_law(random, 1.0))


def power_law(random: Generator, slope: float) -> NDArray[np.float64]:
    """A field (SIZE, SIZE) of mean 0 and variance 1 whose amplitudes fall as frequency ** -slope."""
    across, down = np.fft.rfftfreq(SIZE)[None, :], np.fft.fftfreq(SIZE)[:, None]
    frequency = np.hypot(across, down)
    frequency[0, 0] = np.inf
    plane = np.fft.irfft2(np.fft.rfft2(random.normal(size=(SIZE, SIZE))) * frequency**-slope, (SIZE, SIZE))
    return np.asarray(plane / plane.std())


def textures(seed: int, *, severe: bool = False) -> World:
    random = np.random.default_rng([seed, 1, severe])
    return of_cases(random, draw_cases(random, severe=severe), texture)


def close_ups(seed: int, *, severe: bool = False) -> World:
    random = np.random.default_rng([seed, 2, severe])
    return of_cases(random, draw_cases(random, severe=severe), close_up)


def phantoms(seed: int, shortcut: str, rate: float) -> World:
    """Diascope's own, gray; the column says which mark was planted, as a site would whose images have that mark."""
    from diascope.config import PhantomConfig
    from diascope.data.phantoms import draw, phantom_table

    config = PhantomConfig(
        images=IMAGES, size=SIZE, difficulty=0.3, shortcut=shortcut, rate=rate, seed=seed, images_per_group=2
    )
    rows = phantom_table("skin", config)
    labels, groups = np.array([int(row["label"] == "melanoma") for row in rows]), [row["group"] for row in rows]

    def drawn(agreeing: float) -> Pixels:
        of_rate = config.model_copy(update={"rate": agreeing})
        images = np.stack([draw("skin", of_rate, number).pixels for number in range(IMAGES)])
        return np.rint(images.mean(axis=3, keepdims=True)).astype(np.uint8)

    if shortcut == "none":
        return World(drawn(rate), labels, groups)
    marks = [row["mark"] for row in rows]
    against, agreeing = drawn(0.0), drawn(1.0)
    of_mark = [np.where((labels == mark)[:, None, None, None], agreeing, against) for mark in (0, 1)]
    pixels = np.where(np.array(marks)[:, None, None, None] == "melanoma", of_mark[1], of_mark[0])
    return World(pixels, labels, groups, {"mark": marks}, (of_mark[0], of_mark[1]))


def text_phantoms(seed: int, rate: float) -> World:
    """Phantoms of 96 pixels with a word below the lesion: which one agrees with the class at this rate."""
    from diascope.config import PhantomConfig
    from diascope.data.phantoms import draw, phantom_table

    random, config = np.random.default_rng([seed, 4]), PhantomConfig(images=260, size=96, difficulty=0.3, seed=seed)
    rows = phantom_table("skin", config)
    labels = np.array([int(row["label"] == "melanoma") for row in rows])
    marked, marks = [], []
    for number, label in enumerate(labels.tolist()):
        gray = np.rint(draw("skin", config, number).pixels.mean(axis=2, keepdims=True)).astype(np.uint8)
        marks.append(label if random.random() < rate else 1 - label)
        place = random.uniform(0.47, 0.53) * 96, random.uniform(0.84, 0.88) * 96
        marked.append([written(gray, word, 10, place) for word in ("WARD", "CLINIC 12")])
    return of_marks(np.array(marked), np.array(marks), labels, [row["group"] for row in rows])


def of_marks(marked: Pixels, marks: NDArray[np.int64], labels: NDArray[np.int64], groups: list[str]) -> World:
    """Of images (N, 2, H, W, C) with the mark of either class, those with the marks (N,) that they have."""
    return World(marked[np.arange(len(marks)), marks], labels, groups, {}, (marked[:, 0], marked[:, 1]))


def written(pixels: Pixels, text: str, tall: float, place: tuple[float, float]) -> Pixels:
    """An image (H, W, C) with white text whose capitals are `tall` pixels high and whose middle is at (x, y)."""
    ink = Image.new("L", pixels.shape[1::-1])
    ImageDraw.Draw(ink).text(place, text, fill=255, font=ImageFont.load_default(tall / 0.72), anchor="mm")
    cover = np.asarray(ink)[..., None] / 255
    return np.rint(pixels + (250 - pixels) * cover).astype(np.uint8)


def real(seed: int, kind: str, rate: float | None, *, gray: bool = False) -> World:
    """400 images of the skin or bone set, in colour or gray; with a rate, R or L is written into a corner of each."""
    random = np.random.default_rng([seed, 3])
    paths, all_labels, all_groups = _listed(kind)
    chosen = np.concatenate(
        [random.permutation(np.flatnonzero(all_labels == label))[: REAL_IMAGES // 2] for label in (0, 1)]
    )
    labels = all_labels[chosen]
    groups = [all_groups[number] for number in chosen.tolist()]
    pixels = np.stack([_decoded(paths[number], kind == "skin" and not gray) for number in chosen.tolist()])
    if rate is None:
        return World(pixels, labels, groups)
    marks = np.where(random.random(len(labels)) < rate, labels, 1 - labels)
    marked = []
    for image in pixels:
        place = REAL_SIZE * random.uniform(0.86, 0.90), REAL_SIZE * random.uniform(0.10, 0.14)
        marked.append([written(image, letter, 0.13 * REAL_SIZE, place) for letter in "LR"])
    return of_marks(np.array(marked), marks, labels, groups)


@cache
def _listed(kind: str) -> tuple[list[Path], NDArray[np.int64], list[str]]:
    """Files, classes and groups of skin/lab.csv, or of the matched subset of bone/metadata.csv."""
    import pandas as pd

    folder = Path(os.environ["DIASCOPE_REAL_DATA"]) / kind
    if kind == "skin":
        table = pd.read_csv(folder / "lab.csv")
        positive, groups = table["label"] == "melanoma", table["lesion_id"]
    else:
        table = pd.read_csv(folder / "metadata.csv")
        table = table[table["matched_subset"] == 1]
        positive, groups = table["label"] == "fractured", table["dup_group"]
    return [folder / path for path in table["path"]], positive.to_numpy(dtype=np.int64), groups.astype(str).tolist()


@cache
def _decoded(path: Path, colour: bool) -> Pixels:
    image = Image.open(path).convert("RGB" if colour else "L")
    pixels = np.asarray(image.resize((REAL_SIZE, REAL_SIZE), Image.Resampling.BILINEAR))
    return pixels if pixels.ndim == 3 else pixels[..., None]


WORLDS: dict[str, Callable[[int], World]] = {
    "textures": textures,
    "close-ups": close_ups,
    "textures, advanced cases at A": lambda seed: textures(seed, severe=True),
    "clean": lambda seed: phantoms(seed, "none", 0.9),
    "letters 1.0": lambda seed: phantoms(seed, "letters", 1.0),
    "letters 0.9": lambda seed: phantoms(seed, "letters", 0.9),
    "letters 0.7": lambda seed: phantoms(seed, "letters", 0.7),
    "border 0.9": lambda seed: phantoms(seed, "border", 0.9),
    "brightness 0.9": lambda seed: phantoms(seed, "brightness", 0.9),
    "size 0.9": lambda seed: phantoms(seed, "size", 0.9),
    "words 0.9": lambda seed: text_phantoms(seed, 0.9),
    "words 0.5": lambda seed: text_phantoms(seed, 0.5),
    "skin": lambda seed: real(seed, "skin", None),
    "skin, letters 0.9": lambda seed: real(seed, "skin", 0.9),
    "gray skin, letters 0.9": lambda seed: real(seed, "skin", 0.9, gray=True),
    "bone": lambda seed: real(seed, "bone", None),
    "bone, letters 0.9": lambda seed: real(seed, "bone", 0.9),
}
