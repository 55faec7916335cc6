"""Smooth random fields and fine strokes: what the phantoms are drawn with.

Everything is described in units of the image's side and evaluated at the size asked for, so that one phantom looks the
same at 28 and at 512 pixels. Fields are sums of cosines (Gaussian in the limit): a plane wave is separable, so that a
field is one product of two thin matrices, in any pose, and its antialiasing is exact.
"""

from dataclasses import dataclass
from math import cos, pi, sin

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Plane = NDArray[np.float32]  # (size, size)
Points = NDArray[np.float64]  # (n, 2), x and y from -0.5 to 0.5


@dataclass(frozen=True)
class Pose:
    """Where an object lies in the image: mirrored, scaled, turned by `angle` (radians), then shifted."""

    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    mirror: bool = False

    def inverse(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Matrix (2, 2) and offset (2,) that take image coordinates to the object's."""
        c, s = cos(self.angle) / self.scale, sin(self.angle) / self.scale
        matrix = np.array([[c, s], [-s, c]])
        if self.mirror:
            matrix[0] *= -1
        return matrix, -matrix @ np.array(self.shift)

    def grid(self, size: int) -> tuple[Plane, Plane]:
        """The object's x and y at every pixel centre."""
        (a, b), (x0, y0) = self.inverse()
        q = centres(size)
        x = a[0] * q[None, :] + a[1] * q[:, None] + x0
        y = b[0] * q[None, :] + b[1] * q[:, None] + y0
        return x.astype(np.float32), y.astype(np.float32)


STILL = Pose()


def centres(size: int) -> NDArray[np.float64]:
    """Pixel centres from -0.5 to 0.5."""
    return (np.arange(size) + 0.5) / size - 0.5


@dataclass(frozen=True)
class Waves:
    """Plane waves whose sum is a random field of mean 0 and variance 1."""

    frequency: NDArray[np.float64]  # (2, waves): cycles per unit of length along x and y
    phase: NDArray[np.float64]  # (waves,)
    amplitude: NDArray[np.float64]  # (waves,)

    def field(self, pose: Pose, size: int) -> Plane:
        """The field over the image, averaged over each pixel's area."""
        matrix, offset = pose.inverse()
        gx, gy = matrix.T @ self.frequency
        angle = self.phase + 2 * pi * (offset @ self.frequency)
        amplitude = (self.amplitude * np.sinc(gx / size) * np.sinc(gy / size)).astype(np.float32)
        q = 2 * pi * centres(size)
        across = np.outer(gx, q).astype(np.float32)
        down = (np.outer(gy, q) + angle[:, None]).astype(np.float32)
        left = np.concatenate([np.cos(down), -np.sin(down)]) * np.tile(amplitude, 2)[:, None]
        right = np.concatenate([np.cos(across), np.sin(across)])
        plane: Plane = left.T @ right
        return plane


def draw_waves(
    rng: Generator,
    low: float,
    high: float,
    *,
    count: int = 40,
    fall: float = 0.0,
    stretch: tuple[float, float] = (1.0, 1.0),
) -> Waves:
    """Waves with frequencies from low to high (cycles per unit, log-uniform) in all directions.

    Amplitudes fall as frequency ** -fall. `stretch` multiplies the frequencies along x and y: (1, 0.2) gives streaks
    along y.
    """
    magnitude = low * (high / low) ** rng.random(count)
    direction = 2 * pi * rng.random(count)
    frequency = np.stack([magnitude * np.cos(direction) * stretch[0], magnitude * np.sin(direction) * stretch[1]])
    amplitude = magnitude**-fall
    amplitude *= np.sqrt(2 / (amplitude**2).sum())
    return Waves(frequency, 2 * pi * rng.random(count), amplitude)


def smoothstep(values: Plane) -> Plane:
    """0 below 0, 1 above 1, smooth between."""
    t = np.clip(values, 0, 1)
    result: Plane = t * t * (3 - 2 * t)
    return result


def logistic(values: Plane) -> Plane:
    """1 / (1 + exp(-values)), without overflow."""
    result: Plane = 0.5 + 0.5 * np.tanh(0.5 * values)
    return result


def length(x: Plane, y: Plane) -> Plane:
    """Length of the vector (x, y), faster than numpy.hypot, which guards against overflow."""
    result: Plane = np.sqrt(x * x + y * y)
    return result


def curve(start: NDArray[np.float64], angle: float, length: float, bend: float, points: int = 12) -> Points:
    """A hair: starts at `start` under `angle`, turning by `bend` radians over its `length`."""
    along = (np.arange(points) + 0.5) / points
    turn = angle + bend * along
    steps = np.stack([np.cos(turn), np.sin(turn)], axis=1) * (length / points)
    path: Points = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)]) + start
    return path


class Strokes:
    """A canvas for thin lines, drawn larger than the image and averaged down, 0 (nothing) to 1 (full ink)."""

    def __init__(self, size: int) -> None:
        self.size, self.any = size, False
        self.factor = 4 if size <= 160 else 2
        self.image = Image.new("L", (size * self.factor, size * self.factor))
        self.pen = ImageDraw.Draw(self.image)

    def line(self, points: Points, width: float, ink: float) -> None:
        """A line through points; its width in units of the side; thinner than a fine pixel, it pales instead."""
        side = self.size * self.factor
        self.any = True
        pixels = max(1.0, width * side)
        shade = round(255 * ink * min(1.0, width * side))
        self.pen.line(((points + 0.5) * side).ravel().tolist(), fill=shade, width=round(pixels))

    def circle(self, middle: NDArray[np.float64], rim: float, width: float, ink: float) -> None:
        """A ring, as an air bubble in the gel shows it."""
        side = self.size * self.factor
        x, y = ((middle + 0.5) * side).tolist()
        self.any = True
        box = (x - rim * side, y - rim * side, x + rim * side, y + rim * side)
        self.pen.ellipse(box, outline=round(255 * ink), width=max(1, round(width * side)))

    def plane(self) -> Plane:
        """The ink at every pixel of the image."""
        ink: Plane = np.asarray(self.image.reduce(self.factor), np.float32) / np.float32(255)
        return ink
