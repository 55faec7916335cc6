"""Random backbones as timm draws them and as Diascope does: which kernels can move the features, and their spread.

    python benchmarks/random_backbone.py FOLDER     the folder with skin/lab.csv and weights/ (README.md there)

Takes some five minutes on one core. A kernel (all that makes one output channel) is live if the gradient of random
sums of the features with respect to it, times its norm, is above 1e-6 of the largest of the network. The SD is that of
each feature over 96 training images; the table holds the median over the features.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from diascope.config import DataConfig, ModelConfig
from diascope.data.batches import as_inputs
from diascope.data.cache import load_images
from diascope.data.index import open_index
from diascope.models.pretrained import Frozen, build_pretrained, random_statistics

IMAGES, SIZE, SEEDS = 96, 128, (0, 1, 2)
BACKBONES = tuple(sys.argv[2:]) or ("resnet18", "resnet50", "efficientnet_b0", "vgg16")


def training_images(folder: Path) -> torch.Tensor:
    config = DataConfig(source=str(folder / "skin/lab.csv"), image_size=(SIZE, SIZE), channels=3)
    index, cache, _ = load_images(open_index(config), config)
    rows = np.flatnonzero(np.array(index.splits) == "training")
    return as_inputs(torch.from_numpy(cache.pixels[rows[np.linspace(0, len(rows) - 1, IMAGES).round().astype(int)]]))


def as_timm_draws(backbone: str, seed: int) -> Frozen:
    """Diascope's network with timm's own weights in it."""
    import timm

    frozen = build_pretrained(_config(backbone), 3, 1, (SIZE, SIZE), seed).frozen
    torch.manual_seed(seed)
    own = timm.create_model(backbone).state_dict()
    frozen.backbone.load_state_dict({name: own[name] for name in frozen.backbone.state_dict()})
    return frozen


def as_diascope_draws(backbone: str, seed: int, images: torch.Tensor) -> Frozen:
    statistics = random_statistics(_config(backbone), seed, images)
    return build_pretrained(_config(backbone), 3, 1, (SIZE, SIZE), seed, statistics=statistics).frozen


def spread(frozen: Frozen, images: torch.Tensor) -> float:
    with torch.no_grad():
        return float(torch.cat([frozen(batch) for batch in images.split(16)]).std(0).median())


def live(frozen: Frozen, images: torch.Tensor) -> tuple[float, float]:
    """The share of live kernels, and of the weights that they hold."""
    layers = [module for module in frozen.modules() if isinstance(module, nn.Conv2d)]
    weights = [layer.weight.requires_grad_() for layer in layers]
    moved = [torch.zeros(len(weight)) for weight in weights]
    random = torch.Generator().manual_seed(0)
    for batch in images[:: len(images) // 16].split(8):
        features = frozen(batch)
        sums = (features * torch.randn(features.shape, generator=random)).sum()
        for total, gradient in zip(moved, torch.autograd.grad(sums, weights), strict=True):
            total += gradient.flatten(1).norm(dim=1)
    strength = [total * weight.detach().flatten(1).norm(dim=1) for total, weight in zip(moved, weights, strict=True)]
    least = 1e-6 * torch.cat(strength).max()
    sizes = torch.cat([torch.full((len(weight),), weight[0].numel()) for weight in weights])
    alive = torch.cat(strength) > least
    return float(alive.float().mean()), float(sizes[alive].sum() / sizes.sum())


def _config(backbone: str, weights: str = "random") -> ModelConfig:
    return ModelConfig(name="pretrained", backbone=backbone, weights=weights)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    images = training_images(folder)
    print("| backbone | seed | drawn by | live kernels | live weights | median SD of features |\n" + 6 * "|---" + "|")
    for backbone in BACKBONES:
        for seed in SEEDS:
            for by, frozen in (
                ("timm", as_timm_draws(backbone, seed)),
                ("Diascope", as_diascope_draws(backbone, seed, images)),
            ):
                kernels, weights = live(frozen, images)
                print(
                    f"| {backbone} | {seed} | {by} | {kernels:.1%} | {weights:.1%} | {spread(frozen, images):.2g} |",
                    flush=True,
                )
    file = folder / "weights/vgg16_imagenet_features.safetensors"
    trained = build_pretrained(_config("vgg16", str(file)), 3, 1, (SIZE, SIZE), 0).frozen
    kernels, weights = live(trained, images)
    print(f"| vgg16 | | ImageNet | {kernels:.1%} | {weights:.1%} | {spread(trained, images):.2g} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
