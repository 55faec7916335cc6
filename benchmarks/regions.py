"""How often maps are called significant in regions that they cannot know of: calls explain.regions.measure_regions.

    python benchmarks/regions.py [FOLDER]     FOLDER with skin/metadata.csv and boxes of lesions in its columns

Takes some ten minutes on one core. Worlds: networks that were never trained, maps by Grad-CAM, with the regions of
images that the maps are not of, and with their own; the same blob in the middle of every image; networks that were
trained on phantoms. Each case has 60 images of a pool, drawn anew. The last column counts cases that differ from the
regions' area, which was taken for chance once.
"""

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from diascope.config import ModelConfig, PhantomConfig
from diascope.core.statistics import wilson
from diascope.data import phantoms
from diascope.explain import attribute
from diascope.explain.regions import measure_regions
from diascope.models import build_model

SIDE, POOL, IMAGES = 64, 400, 60
OTHERS, OWN, TRAINED = 300, 60, 5  # cases of each world
MODELS = (
    ModelConfig(name="alexnet", base_channels=4),
    ModelConfig(name="resnet", depth=8, base_channels=4),
    ModelConfig(name="vgg", depth=11, base_channels=2),
)


class Pool:
    """Images (N, 1, H, W), regions (N, H, W), labels (N,) and groups (N,)."""

    def __init__(
        self, images: list[NDArray[np.uint8]], regions: list[NDArray[np.bool_]], labels: list[int], groups: list[str]
    ) -> None:
        self.images = torch.from_numpy(np.stack(images)).float()[:, None] / 255
        self.regions, self.labels, self.groups = np.stack(regions), np.array(labels), np.array(groups)

    def draw(self, random: np.random.Generator, images: int) -> NDArray[np.int64]:
        """Images of groups drawn at random, whole groups one after the other."""
        rows = [np.flatnonzero(self.groups == group) for group in random.permutation(np.unique(self.groups))]
        return np.concatenate(rows)[:images]


def of_phantoms(seed: int = 0) -> Pool:
    config = PhantomConfig(images=POOL, size=SIDE, images_per_group=2, seed=seed, difficulty=0.2)
    table = phantoms.phantom_table("skin", config)
    drawn = [phantoms.draw("skin", config, number) for number in range(POOL)]
    gray = [np.asarray(Image.fromarray(one.pixels).convert("L")) for one in drawn]
    labels = [int(one.label == phantoms.CLASSES["skin"][1]) for one in drawn]
    return Pool(gray, [one.mask for one in drawn], labels, [row["group"] for row in table])


def of_skin(folder: Path) -> Pool:
    """Dermatoscopic images 200 x 150 and the boxes of their lesions."""
    with (folder / "skin/metadata.csv").open() as stream:
        table = list(csv.DictReader(stream))
    rows = [table[row] for row in np.linspace(0, len(table) - 1, POOL).round().astype(int)]
    images, regions = [], []
    for row in rows:
        image = Image.open(folder / "skin" / row["path"]).convert("L")
        left, top, right, bottom = (float(row[f"box_{name}"]) for name in ("left", "top", "right", "bottom"))
        across, down = SIDE / image.width, SIDE / image.height
        region = np.zeros((SIDE, SIDE), dtype=bool)
        region[int(top * down) : int(bottom * down) + 1, int(left * across) : int(right * across) + 1] = True
        images.append(np.asarray(image.resize((SIDE, SIDE))))
        regions.append(region)
    return Pool(images, regions, [int(row["label"] == "malignant") for row in rows], [row["lesion_id"] for row in rows])


def untrained(seed: int) -> nn.Module:
    return build_model(MODELS[seed % len(MODELS)], channels=1, classes=2, image_size=(SIDE, SIDE), seed=seed).eval()


def trained(pool: Pool, seed: int) -> nn.Module:
    """AlexNet after 15 epochs with Adam on all images of the pool."""
    config = ModelConfig(name="alexnet", base_channels=8)
    model = build_model(config, channels=1, classes=2, image_size=(SIDE, SIDE), seed=seed)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    random, labels = torch.Generator().manual_seed(seed), torch.from_numpy(pool.labels).float()[:, None]
    for _ in range(15):
        for rows in torch.randperm(POOL, generator=random).split(16):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(model(pool.images[rows]), labels[rows]).backward()
            optimizer.step()
    with torch.no_grad():
        right = ((model.eval()(pool.images) > 0) == labels.bool()).float().mean()
    print(f"    trained network {seed}: accuracy {right:.3f} on what it learned", file=sys.stderr)
    return model.eval()


def maps_of(model: nn.Module, pool: Pool, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Grad-CAM for the predicted class, and whether the prediction is right."""
    with torch.no_grad():
        predicted = (model(pool.images[rows]) > 0)[:, 0].long()
    maps = attribute(model, pool.images[rows], predicted, "grad-cam")
    return maps, predicted.numpy() == pool.labels[rows]


def blob(model: nn.Module, pool: Pool, rows: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    places = np.hypot(*(np.mgrid[:SIDE, :SIDE] - SIDE / 2)) / SIDE
    one = np.exp(-((places / 0.2) ** 2)).astype(np.float32)
    return np.tile(one, (len(rows), 1, 1)), np.ones(len(rows), dtype=bool)


def world(
    name: str,
    pool: Pool,
    networks: Callable[[int], nn.Module],
    cases: int,
    *,
    others: bool,
    make=maps_of,
    first: int = 0,
    images: int = IMAGES,
) -> None:
    more = less = by_area = told = 0
    for seed in range(first, first + cases):
        random = np.random.default_rng(seed)
        rows = pool.draw(random, images)
        maps, right = make(networks(seed), pool, rows)
        regions = pool.regions[rows]
        if others:  # of images that the maps were not made of
            strangers = np.flatnonzero(~np.isin(pool.groups, pool.groups[rows]))
            regions = pool.regions[_groups_in_order(pool, strangers, random)[: len(rows)]]
        found = measure_regions(maps, regions, right, pool.groups[rows].tolist(), seed=seed)["all"]
        if found["p"] is None:
            continue
        told += 1
        more += found["verdict"] == "more"
        less += found["verdict"] == "less"
        by_area += found["excess"]["low"] > 0 or found["excess"]["high"] < 0
    share = (more + less) / max(1, told)
    low, high = wilson(share, max(1, told), 1.96)
    print(
        f"| {name} | {told} | {more} | {less} | {share:.1%} ({low:.1%} to {high:.1%}) | {by_area} |",
        flush=True,
    )


def _groups_in_order(pool: Pool, rows: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.int64]:
    groups = random.permutation(np.unique(pool.groups[rows]))
    return np.concatenate([rows[pool.groups[rows] == group] for group in groups])


def main(folder: Path | None) -> None:
    torch.set_num_threads(1)
    drawn = of_phantoms()
    print("| world | told | more | less | significant (95% CI) | by the area |\n|---|---|---|---|---|---|")
    world("phantoms, untrained, regions of others", drawn, untrained, OTHERS, others=True)
    if folder is not None:
        skin = of_skin(folder)
        world("skin, untrained, regions of others", skin, untrained, OTHERS, others=True, first=1000)
        world("skin, blob in the middle, own regions", skin, untrained, OWN, others=False, make=blob, first=2000)
    world("phantoms, blob in the middle, own regions", drawn, untrained, OWN, others=False, make=blob, first=3000)
    learned = of_phantoms(seed=1)
    networks = [trained(learned, seed) for seed in range(TRAINED)]
    again: Callable[[int], nn.Module] = lambda seed: networks[seed % TRAINED]  # noqa: E731
    world("phantoms, trained, own regions, 300 images", drawn, again, 4 * TRAINED, others=False, first=8000, images=300)
    world("phantoms, trained, own regions", drawn, again, 4 * TRAINED, others=False, first=4000)
    world("phantoms, trained, regions of others", drawn, again, OTHERS, others=True, first=5000)
    world("phantoms, untrained, own regions", drawn, untrained, OWN, others=False, first=6000)
    if folder is not None:
        world("skin, untrained, own regions", skin, untrained, OWN, others=False, first=7000)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
