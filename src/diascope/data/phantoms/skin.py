"""Dermatoscopic images: a nevus or a melanoma on skin, with hairs, gel, vignette and ruler.

A nevus is symmetric, of one colour, with a smooth border; a melanoma is lopsided, of several colours, with a ragged
border (the A, B and C of the clinical rule). Area, mean colour and spread of the pigment are drawn without regard to
the class and then enforced, so that only form and arrangement tell the classes apart.
"""

from dataclasses import dataclass
from math import cos, hypot, pi, sin, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from diascope.data.phantoms.fields import (
    STILL,
    Plane,
    Points,
    Pose,
    Strokes,
    Waves,
    curve,
    draw_waves,
    length,
    smoothstep,
)

Colours = NDArray[np.float32]  # (3, size, size): red, green and blue planes

CENTRE = 0.4  # everything that tells the classes apart lies within this distance of the middle, in sides

_TONES = np.array(  # skin under the dermatoscope, RGB
    [
        [0.90, 0.60, 0.62],
        [0.88, 0.55, 0.45],
        [0.80, 0.67, 0.74],
        [0.76, 0.69, 0.70],
        [0.93, 0.78, 0.71],
        [0.86, 0.63, 0.69],
        [0.82, 0.66, 0.56],
    ]
)
_BROWN, _RED, _GRAY = np.array([0.62, 0.80, 0.86]), np.array([0.42, 0.74, 0.68]), np.array([0.72, 0.72, 0.62])
_BLUE = np.array(
    [0.10, -0.02, -0.16], np.float32
)  # added to what the pigment absorbs, at the same luminance: blue-gray
_ROSE = np.array([-0.075, 0.04, -0.01])  # the same: red


@dataclass(frozen=True)
class Signs:
    """How much of a melanoma a lesion shows, each from 0 (nevus) to 1."""

    asymmetry: float
    border: float
    colours: float


def draw_signs(melanoma: bool, difficulty: float, rng: Generator) -> Signs:
    """Signs of one lesion. With difficulty more of them are atypical: anything between nevus and melanoma.

    Half of the atypical ones look like the other class, so that no reader of the signs is right about more than
    1 - difficulty ** 3 / 2 of the lesions; the typical ones move together, too.
    """
    typical = 1 - 0.15 * difficulty if melanoma else 0.15 * difficulty
    atypical, anywhere = rng.random() < difficulty**3, rng.random()
    own = (anywhere if atypical else typical) + 0.15 * difficulty * rng.standard_normal(3)
    return Signs(*np.clip(own, 0, 1).tolist())


@dataclass(frozen=True)
class Lesion:
    """What the images of one lesion share; nothing here depends on the class."""

    tone: NDArray[np.float64]  # (3,) skin
    absorbed: NDArray[np.float64]  # (3,) share of the light that the lesion takes, on average
    spread: float  # standard deviation of the pigment, relative to its mean
    radius: float  # of the circle of the same area, in sides
    aspect: float
    softness: float  # width of the border, relative to the radius
    lean: float  # direction (radians) to which an asymmetric lesion leans
    warp: Waves  # form of the outline, coarse
    fringe: Waves  # form of the outline, fine
    blotches: Waves
    network: Waves
    blue: Waves
    rose: Waves
    creases: Waves
    mottle: Waves
    freckles: Points
    hairiness: int


def draw_lesion(rng: Generator) -> Lesion:
    """One lesion on one patient's skin."""
    tone = _TONES[rng.integers(len(_TONES))] * rng.uniform(0.93, 1.05) + rng.normal(0, 0.015, 3)
    mix = rng.dirichlet([2.0, 1.2, 0.5])
    size = rng.uniform(0.17, 0.25)
    return Lesion(
        tone=np.clip(tone, 0.3, 0.97),
        absorbed=(mix @ np.stack([_BROWN, _RED, _GRAY])) * rng.uniform(0.42, 0.74),
        spread=rng.uniform(0.28, 0.50),
        radius=size,
        aspect=float(np.exp(rng.uniform(-0.32, 0.32))),
        softness=rng.uniform(0.12, 0.40),
        lean=rng.uniform(-pi, pi),
        warp=draw_waves(rng, 0.35 / size, 0.9 / size, count=14),
        fringe=draw_waves(rng, 0.7 / size, 5.0 / size, count=56, fall=0.9),
        blotches=draw_waves(rng, 0.25 / size, 2.4 / size, count=32, fall=0.9),
        network=draw_waves(rng, 8, 60, count=64, fall=0.5),
        blue=draw_waves(rng, 0.3 / size, 0.8 / size, count=14),
        rose=draw_waves(rng, 0.3 / size, 1.0 / size, count=14),
        creases=draw_waves(rng, 9, 34, count=64, stretch=(1.0, rng.uniform(0.35, 1.0))),
        mottle=draw_waves(rng, 0.8, 14, count=40),
        freckles=rng.uniform(-0.55, 0.55, (rng.poisson(1.2), 2)),
        hairiness=int(rng.choice([0, 0, 2, 5, 14])),
    )


def draw_skin(
    size: int, signs: Signs, lesion: Lesion, shot: Generator, magnification: float = 1.0
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """One photograph of a lesion.

    Returns the image (size, size, 3), 0 to 1 but not clipped, and the lesion's mask (size, size).
    """
    pose = _draw_pose(shot, magnification)
    image = _skin(size, lesion, pose)
    absorbed, mask = _pigment(size, signs, lesion, pose)
    image *= 1 - absorbed
    _add_hairs(image, lesion.hairiness, shot)
    _add_gel(image, shot)
    image *= _light(size, shot)
    _add_ruler(image, shot)
    image += shot.uniform(0.006, 0.016) * shot.standard_normal((size, size), np.float32)
    return np.moveaxis(image, 0, 2), mask


def draw_mask(
    size: int, signs: Signs, lesion: Lesion, shot: Generator, magnification: float = 1.0
) -> NDArray[np.bool_]:
    """The mask (size, size) that draw_skin returns for the same arguments, without the photograph."""
    pose = _draw_pose(shot, magnification)
    return _outline(size, _area(size, lesion, pose), signs, lesion, pose)[2]


def _draw_pose(shot: Generator, magnification: float) -> Pose:
    return Pose(
        angle=shot.uniform(-0.6, 0.6),
        scale=magnification * shot.uniform(0.92, 1.08),
        shift=(shot.uniform(-0.035, 0.035), shot.uniform(-0.035, 0.035)),
    )


def _area(size: int, lesion: Lesion, pose: Pose) -> int:
    """Pixels that the lesion covers."""
    return round(pi * (lesion.radius * pose.scale * size) ** 2)


def _skin(size: int, lesion: Lesion, pose: Pose) -> Colours:
    """Bare skin: mottled, with the fine furrows between its ridges and a few freckles."""
    furrows = np.exp(-4 * np.abs(lesion.creases.field(pose, size)))
    mottle = lesion.mottle.field(pose, size)
    absorbed = 0.05 * furrows + 0.022 * mottle
    x, y = pose.grid(size)
    for fx, fy in lesion.freckles.tolist():
        if hypot(fx, fy) > 1.5 * lesion.radius:
            distance: Plane = length(x - fx, y - fy) + 0.006 * mottle
            absorbed += 0.16 * smoothstep(1.5 - distance / 0.022)
    skin: Colours = _per_colour(lesion.tone) * (1 - absorbed * _per_colour([0.7, 1.15, 1.1]))
    return skin


def _pigment(size: int, signs: Signs, lesion: Lesion, pose: Pose) -> tuple[Colours, NDArray[np.bool_]]:
    """Share of the light that the lesion takes, and its mask (size, size)."""
    area = _area(size, lesion, pose)
    cover, depth, mask = _outline(size, area, signs, lesion, pose)
    weight = cover / cover.sum()
    shade = _shade(size, signs, lesion, pose, depth, weight)
    blue = smoothstep(0.6 * _standardize(lesion.blue.field(pose, size), weight))
    rose = smoothstep(0.6 * _standardize(lesion.rose.field(pose, size), weight))
    absorbed = _per_colour(lesion.absorbed)
    pigment: Colours = absorbed * (1 + lesion.spread * shade)
    pigment += (signs.colours * blue) * _per_colour(_BLUE)
    pigment += (signs.colours * rose) * _per_colour(_ROSE)
    np.clip(pigment, 0.04, 0.96, out=pigment)
    pigment *= cover
    # The same total for every class: neither colours nor border may leave a trace in the mean brightness.
    pigment *= absorbed * (area / pigment.sum(axis=(1, 2), keepdims=True))
    return np.minimum(pigment, 0.98), mask


def _outline(size: int, area: int, signs: Signs, lesion: Lesion, pose: Pose) -> tuple[Plane, Plane, NDArray[np.bool_]]:
    """How much of each pixel is lesion, the distance from the middle (1 at the border), and the mask.

    The border is the level of a distance that asymmetry and raggedness distort; the level is the one that
    encloses `area` pixels.
    """
    x, y = pose.grid(size)
    form = sqrt(lesion.aspect)
    distance = length(x / (form * lesion.radius), y * (form / lesion.radius))
    lean = x * (cos(lesion.lean) / lesion.radius) + y * (sin(lesion.lean) / lesion.radius)
    warp, fringe = lesion.warp.field(pose, size), lesion.fringe.field(pose, size)
    away = length(*STILL.grid(size))
    level = distance + (0.03 + 0.14 * signs.asymmetry) * warp + (0.18 * signs.asymmetry) * lean
    level += (0.02 + 0.13 * signs.border) * fringe
    level += 80 * np.maximum(away - 0.33, 0) ** 2  # a lesion stays in the centre
    border = np.partition(level.ravel(), area)[area]
    cover = 1 - smoothstep((level - border) / lesion.softness + 0.5)
    cover *= 1 - smoothstep((away - (CENTRE - 0.03)) / 0.025)
    return cover, distance, (level < border) & (away < CENTRE)


def _shade(size: int, signs: Signs, lesion: Lesion, pose: Pose, depth: Plane, weight: Plane) -> Plane:
    """The pigment's pattern, of mean 0 and variance 1: rings and a net in a nevus, blotches in a melanoma."""
    network = lesion.network.field(pose, size)
    rings = _standardize(-(np.minimum(depth, 1.3) ** 2), weight)
    blotches = _standardize(np.tanh(1.3 * lesion.blotches.field(pose, size)), weight)
    mixed = sqrt(1 - signs.asymmetry) * rings + sqrt(signs.asymmetry) * blotches + 0.35 * network
    return _standardize(mixed, weight)


def _standardize(plane: Plane, weight: Plane) -> Plane:
    """Mean 0 and variance 1 over the lesion."""
    centred = plane - np.vdot(plane, weight)
    result: Plane = np.clip(centred / np.sqrt(np.vdot(centred**2, weight) + 1e-6), -3, 3)
    return result


def _add_hairs(image: Colours, hairiness: int, shot: Generator) -> None:
    """Dark hairs over everything."""
    strokes = Strokes(image.shape[1])
    course = shot.uniform(-pi, pi)
    for _ in range(shot.poisson(hairiness)):
        start = shot.uniform(-0.6, 0.6, 2)
        angle = course + shot.normal(0, 0.7)
        line = curve(start, angle, shot.uniform(0.15, 0.9), shot.normal(0, 0.9))
        strokes.line(line, shot.uniform(0.003, 0.007), shot.uniform(0.45, 0.9))
    if strokes.any:
        image *= 1 - strokes.plane() * _per_colour([0.72, 0.8, 0.82])


def _add_gel(image: Colours, shot: Generator) -> None:
    """Air bubbles and glints of the contact fluid."""
    strokes = Strokes(image.shape[1])
    if shot.random() < 0.2:
        for _ in range(shot.integers(1, 6)):
            strokes.circle(shot.uniform(-0.48, 0.48, 2), shot.uniform(0.008, 0.028), 0.004, shot.uniform(0.3, 0.8))
    if shot.random() < 0.25:
        for _ in range(shot.integers(4, 24)):
            glint = curve(shot.uniform(-0.5, 0.5, 2), shot.uniform(-pi, pi), 0.02, 0.5, points=3)
            strokes.line(glint, 0.003, shot.uniform(0.2, 0.6))
    if strokes.any:
        image += (1 - image) * strokes.plane()


def _light(size: int, shot: Generator) -> Plane:
    """Exposure, light from one side, and the dark edge of the lens."""
    x, y = Pose(angle=shot.uniform(-pi, pi), shift=(shot.uniform(-0.03, 0.03), shot.uniform(-0.03, 0.03))).grid(size)
    away = length(x, y)
    light: Plane = shot.uniform(0.9, 1.05) * (1 + shot.uniform(0, 0.16) * x)
    light *= 1 - shot.uniform(0.1, 0.9) * np.maximum(away - 0.2, 0) ** 2
    if shot.random() < 0.25:
        light *= 1 - 0.97 * smoothstep((away - shot.uniform(0.46, 0.60)) / shot.uniform(0.03, 0.12))
    return light


def _add_ruler(image: Colours, shot: Generator) -> None:
    """A scale in a third of the images, along any edge: a full ruler, or slanted ticks in a corner."""
    if shot.random() > 0.3:
        return
    strokes = Strokes(image.shape[1])
    turn = Pose(angle=int(shot.integers(4)) * pi / 2 + shot.normal(0, 0.03)).inverse()[0].T
    corner = shot.random() < 0.6
    spacing, slant = shot.uniform(0.035, 0.06), 0.02 if corner else 0.0
    for k in range(15):
        at = (0.12 if corner else -0.42) + k * spacing
        length = 0.035 if k % 5 else 0.055
        if at < 0.42:
            strokes.line(np.array([[at, -0.45 - length], [at + slant, -0.45]]) @ turn, 0.006, 0.85)
    if not corner:
        strokes.line(np.array([[-0.42, -0.45], [-0.42 + 14 * spacing, -0.45]]) @ turn, 0.004, 0.8)
    image *= 1 - 0.85 * strokes.plane()


def _per_colour(values: ArrayLike) -> Colours:
    """Three numbers as (3, 1, 1), to be multiplied with a plane."""
    return np.asarray(values, np.float32).reshape(3, 1, 1)
