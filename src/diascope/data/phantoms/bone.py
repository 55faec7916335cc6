"""X-rays of a femur above the knee, whole or broken across.

Brightness follows the length of the way of the ray through tissue: the chord through the thigh, the tube of cortex, the
marrow, the condyles. A broken bone has a transverse line in which bone is missing; nothing else differs.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from diascope.data.phantoms.fields import Plane, Pose, Waves, draw_waves, logistic, smoothstep

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Femur:
    """What the X-rays of one patient share; nothing here depends on the class."""

    half_width: float  # of the shaft, in sides
    cortex: float  # its thickness, relative to the half width
    bow: float
    flare: float  # how much wider the condyles are than the shaft
    knee: float  # height of the joint: y, downwards
    thigh: tuple[float, float]  # half width of the soft tissue above and below the middle
    thigh_shift: float
    fat: float  # thickness of the fat, relative to the thigh
    density: float
    marrow: Waves
    muscle: Waves
    break_at: float  # where the bone breaks, if it does: y
    break_slope: float
    break_width: float
    break_form: Waves


def draw_femur(rng: Generator) -> Femur:
    """One patient's thigh."""
    half_width = rng.uniform(0.095, 0.135)
    return Femur(
        half_width=half_width,
        cortex=rng.uniform(0.28, 0.45),
        bow=rng.uniform(-0.25, 0.25),
        flare=rng.uniform(0.7, 1.0),
        knee=rng.uniform(0.36, 0.75),
        thigh=(rng.uniform(0.30, 0.50), rng.uniform(0.22, 0.34)),
        thigh_shift=rng.uniform(-0.06, 0.06),
        fat=rng.uniform(0.08, 0.28),
        density=rng.uniform(0.85, 1.15),
        marrow=draw_waves(rng, 8, 45, count=64, stretch=(1.0, 0.45)),
        muscle=draw_waves(rng, 1, 9, count=32, stretch=(1.0, 0.35)),
        break_at=rng.uniform(-0.09, 0.04),
        break_slope=rng.uniform(-0.25, 0.25),
        break_width=rng.uniform(0.020, 0.030),
        break_form=draw_waves(rng, 4, 40, count=10, stretch=(1.0, 0.0)),
    )


def draw_visibility(difficulty: float, rng: Generator) -> float:
    """How much bone is missing in the line, 0 to 1: with difficulty more fractures are hairlines, or not to be seen."""
    hidden, strength = rng.random() < difficulty**2.5, rng.random()
    return 0.0 if hidden else 1 - 0.5 * difficulty * strength


def draw_bone(
    size: int, visibility: float | None, femur: Femur, shot: Generator, magnification: float = 1.0
) -> tuple[NDArray[np.float32], Box | None]:
    """One X-ray; `visibility` is None for a whole bone.

    Returns the image (size, size, 1), 0 to 1 but not clipped, and the fracture's box in pixels.
    """
    pose = _draw_pose(shot, magnification)
    x, y = pose.grid(size)
    bone = _bone(x, y, femur, femur.marrow.field(pose, size))
    box = None
    if visibility is not None:
        bone *= 1 - _fracture(x, y, femur, visibility, femur.break_form.field(pose, size))
        box = _fracture_box(size, femur, pose)
    tissue = _soft_tissue(x, y, femur, femur.muscle.field(pose, size))
    film: Plane = gaussian_filter(_expose(tissue, bone, femur, shot), shot.uniform(0.002, 0.004) * size)
    _collimate(film, shot)
    film += _grain(size, shot)
    return film[..., None], box


def draw_box(size: int, femur: Femur, shot: Generator, magnification: float = 1.0) -> Box:
    """The box that draw_bone returns for a fractured bone and the same arguments, without the X-ray."""
    return _fracture_box(size, femur, _draw_pose(shot, magnification))


def _draw_pose(shot: Generator, magnification: float) -> Pose:
    return Pose(
        angle=shot.uniform(-0.14, 0.14),
        scale=magnification * shot.uniform(0.93, 1.07),
        shift=(shot.uniform(-0.035, 0.035), shot.uniform(-0.035, 0.035)),
        mirror=bool(shot.random() < 0.5),
    )


def _bone(x: Plane, y: Plane, femur: Femur, texture: Plane) -> Plane:
    """Length of the ray's way through mineral, about 0 to 1."""
    across = x - femur.bow * (y + 0.1) ** 2
    end = logistic((y - (femur.knee - 0.20)) / 0.045)
    outer = femur.half_width * (1 + femur.flare * end)
    wall = femur.half_width * femur.cortex * (1 - 0.8 * end)
    chord = np.sqrt(np.maximum(outer**2 - across**2, 0)) / femur.half_width
    hollow = np.sqrt(np.maximum((outer - wall) ** 2 - across**2, 0)) / femur.half_width
    spongy = 0.22 + 0.25 * end
    mineral = (chord - hollow) + hollow * spongy * (1 + (0.10 + 0.25 * end) * texture)
    mineral *= logistic((femur.knee - 0.055 - y) / 0.006)
    width = femur.half_width * (1 + femur.flare)
    knob = np.zeros_like(x)
    for side in (-0.53, 0.53):
        ellipse = ((across - side * width) / (0.50 * width)) ** 2 + ((y - femur.knee + 0.075) / 0.075) ** 2
        knob = np.maximum(knob, np.sqrt(np.maximum(1 - ellipse, 0)) * (0.85 + 0.12 * texture))
    result: Plane = np.maximum(mineral, knob) + _shin(across, y, femur, width, texture)
    return result


def _shin(across: Plane, y: Plane, femur: Femur, width: float, texture: Plane) -> Plane:
    """The tibia's plateau below the joint, and the fibula beside it."""
    below = y - (femur.knee + 0.012)
    half = width * (0.62 + 0.42 * np.exp(-np.maximum(below, 0) / 0.10))
    chord = np.sqrt(np.maximum(half**2 - across**2, 0)) / width
    plateau = np.exp(-((below / 0.010) ** 2))
    mineral = chord * (0.75 + 0.45 * plateau + 0.12 * texture) * logistic(below / 0.004)
    fibula = np.sqrt(np.maximum(1 - ((across - 1.0 * width) / (0.22 * width)) ** 2, 0))
    result: Plane = mineral + 0.4 * fibula * logistic((below - 0.07) / 0.008)
    return result


def _fracture(x: Plane, y: Plane, femur: Femur, visibility: float, form: Plane) -> Plane:
    """Share of the mineral that is missing: a jagged line across the shaft, thinner when less visible."""
    line = femur.break_at + femur.break_slope * x + 0.008 * form
    width = femur.break_width * (0.45 + 0.55 * visibility)
    gap = np.exp(-(((y - line) / width) ** 2))
    near = smoothstep(1.5 - np.abs(y - femur.break_at) / 0.12)  # only there, should the bone bend back
    result: Plane = min(1.0, 1.1 * visibility) * gap * near
    return result


def _fracture_box(size: int, femur: Femur, pose: Pose) -> Box:
    """Left, top, right, bottom in pixels around the line within the bone."""
    half = femur.half_width
    middle = femur.bow * (femur.break_at + 0.1) ** 2
    tall = 0.02 + femur.break_width
    points = [
        (middle + s * half, femur.break_at + femur.break_slope * (middle + s * half) + t * tall)
        for s in (-1, 1)
        for t in (-1, 1)
    ]
    c, s = pose.scale * cos(pose.angle), pose.scale * sin(pose.angle)
    flip = -1 if pose.mirror else 1
    xs = [(c * flip * px - s * py + pose.shift[0] + 0.5) * size for px, py in points]
    ys = [(s * flip * px + c * py + pose.shift[1] + 0.5) * size for px, py in points]
    return max(0.0, min(xs)), max(0.0, min(ys)), min(float(size), max(xs)), min(float(size), max(ys))


def _soft_tissue(x: Plane, y: Plane, femur: Femur, texture: Plane) -> Plane:
    """Length of the way through muscle and, less dense, fat, about 0 to 1."""
    above, below = femur.thigh
    half: Plane = below + (above - below) * logistic(-(y + 0.02) / 0.16)
    away: Plane = x - femur.thigh_shift
    skin = np.sqrt(np.maximum(half**2 - away**2, 0))
    muscle = np.sqrt(np.maximum((half * (1 - femur.fat)) ** 2 - away**2, 0))
    result: Plane = (0.45 * skin + 0.55 * muscle * (1 + 0.06 * texture)) / 0.4
    return result


def _expose(tissue: Plane, bone: Plane, femur: Femur, shot: Generator) -> Plane:
    """From attenuation to the brightness of the developed image."""
    attenuation: Plane = shot.uniform(0.28, 0.40) * tissue + shot.uniform(1.0, 1.2) * femur.density * bone
    black, white = shot.uniform(0.03, 0.10), shot.uniform(0.86, 0.97)
    x = Pose(angle=shot.uniform(-pi, pi)).grid(len(tissue))[0]
    gain = shot.uniform(0.9, 1.2) * (1 + 0.12 * x)
    result: Plane = black + (white - black) * (1 - np.exp(-gain * attenuation))
    return result.astype(np.float32)


def _collimate(film: Plane, shot: Generator) -> None:
    """The edges of the beam in a third of the images, and the unexposed strip of the cassette in some."""
    size = len(film)
    x, y = Pose(angle=shot.normal(0, 0.02)).grid(size)
    left, right, top, bottom = shot.uniform(0.44, 0.52, 4)
    edge = np.maximum(np.maximum(-x - left, x - right), np.maximum(-y - top, y - bottom))
    if shot.random() < 0.35:
        film *= 1 - 0.92 * smoothstep(edge / 0.012 + 0.5)
    if shot.random() < 0.2:
        film += (0.95 - film) * smoothstep((y - shot.uniform(0.45, 0.49)) / 0.02)


def _grain(size: int, shot: Generator) -> Plane:
    """Quantum noise, and the faint stripes of the detector's columns."""
    noise = shot.standard_normal((size, size), np.float32) * np.float32(shot.uniform(0.006, 0.020))
    stripes = 0.004 * shot.standard_normal((1, size), np.float32)
    result: Plane = noise + stripes
    return result
