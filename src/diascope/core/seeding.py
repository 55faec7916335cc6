"""Independent random streams, one for each purpose, derived from a run's seed.

A stream depends on (seed, name, epoch) alone, so that a resumed or a parallel run draws the same numbers, and so that
changing one source of randomness (say dropout) leaves the others (say the order of the images) as they were.
"""

from hashlib import blake2b
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from numpy.random import Generator

StreamName = Literal[
    "init",
    "order",
    "augment",
    "dropout",
    "fold",
    "split",
    "subset",
    "statistics",
    "phantom",
    "search",
    "mixup",
    "randomization",
    "probe",
]


def stream_seed(seed: int, name: StreamName, *numbers: int) -> int:
    """A 63-bit seed for the stream `name` of `seed`; `numbers` is usually the epoch."""
    text = "/".join([str(seed), name, *map(str, numbers)])
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def stream(seed: int, name: StreamName, *numbers: int) -> "Generator":
    """A NumPy generator for the stream `name` of `seed`."""
    from numpy.random import default_rng

    return default_rng(stream_seed(seed, name, *numbers))
