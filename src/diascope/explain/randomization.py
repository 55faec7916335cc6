"""The model-parameter randomization test (Adebayo et al. 2018): a map that survives random weights explains no network.

Layer by layer from the top, the weights are replaced by random ones, and the maps are made anew. Maps that depend on
what the network has learned come out different; an edge detector's stay as they are.
"""

from collections.abc import Callable, Iterator
from copy import deepcopy
from math import ceil
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diascope.core.seeding import stream_seed

Maps = NDArray[np.float32]
MapsOf = Callable[[nn.Module, Tensor, Tensor], Maps]

SURVIVES = 0.5  # mean rank correlation of maps before and after, from which on a map is flagged
STAGES, DRAWS = 4, 5
_SIDE = 32  # maps are compared at so many pixels a side at most: they are smooth, and ranks of 40,000 pixels are slow


def randomization(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    maps_of: MapsOf,
    *,
    stages: int = STAGES,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Images (B, C, H, W) and classes (B,) -> {"stages": [...], "images", "draws", "survives", "sentence"}.

    Each stage replaces another share of the layers with weights, the last ones first, and says its number of layers,
    and the mean over images and draws of the correlation of ranks (Spearman) and of values (Pearson) between the maps
    before and after. A map that becomes empty is like nothing: 0. Images whose map is empty before test nothing.
    `survives`: at the last stage, where nothing learned is left, ranks still correlate by SURVIVES or more; None where
    all maps were empty. The model is left as it is.
    """
    before = _small(maps_of(model, images, targets))
    telling = np.array([np.ptp(one) > 0 for one in before], dtype=bool)
    names = weighted_layers(model)
    counts = sorted({ceil(len(names) * stage / stages) for stage in range(1, stages + 1)})
    found: dict[int, list[tuple[float, float]]] = {count: [] for count in counts}
    for draw in range(draws if telling.any() else 0):
        for count, changed in _cascade(model, names, counts, stream_seed(seed, "randomization", draw)):
            after = _small(maps_of(changed, images, targets))
            found[count] += [similarity(one, other) for one, other in zip(before[telling], after[telling], strict=True)]
    rows = [
        {
            "layers": count,
            "spearman": float(np.mean([s for s, _ in pairs])),
            "pearson": float(np.mean([p for _, p in pairs])),
        }
        for count, pairs in found.items()
        if pairs
    ]
    survives = rows[-1]["spearman"] >= SURVIVES if rows else None
    return {
        "layers": len(names),
        "images": int(telling.sum()),
        "draws": draws,
        "stages": rows,
        "limit": SURVIVES,
        "survives": survives,
        "sentence": _sentence(rows, survives),
    }


def weighted_layers(model: nn.Module) -> list[str]:
    """The names of the modules that have weights of their own, in the order of the network: the top comes last."""
    return [name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))]


def randomize(module: nn.Module, generator: torch.Generator) -> None:
    """Replace a layer's own weights by random ones of the same size, so that signals keep their scale.

    Matrices and kernels become normal draws of mean 0 and the same root mean square; vectors (biases, scales of
    normalization) are shuffled.
    """
    with torch.no_grad():
        for weight in module.parameters(recurse=False):
            if weight.ndim > 1:
                size = weight.detach().square().mean().sqrt().cpu()
                weight.copy_(torch.randn(weight.shape, generator=generator) * size)
            else:
                weight.copy_(
                    weight.detach().flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight)
                )


def similarity(one: Maps, other: Maps) -> tuple[float, float]:
    """The correlation of ranks and of values of two maps (H, W); 0 where one of them is even."""
    from pandas import Series  # its ranks are scipy's, whose import takes a second

    first, second = (values.ravel().astype(np.float64) for values in (one, other))
    ranks = [np.asarray(Series(values).rank(), dtype=np.float64) for values in (first, second)]
    return _correlation(ranks[0], ranks[1]), _correlation(first, second)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else 0.0


def _cascade(model: nn.Module, names: list[str], counts: list[int], seed: int) -> Iterator[tuple[int, nn.Module]]:
    """A copy of the model, with the weights of so many of its last layers replaced, and then of more."""
    changed, generator, done = deepcopy(model), torch.Generator().manual_seed(seed), 0
    for count in counts:
        for name in names[::-1][done:count]:
            randomize(changed.get_submodule(name), generator)
        done = count
        yield count, changed


def _small(maps: Maps) -> Maps:
    height, width = (min(side, _SIDE) for side in maps.shape[1:])
    return torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(maps)[:, None], (height, width))[:, 0].numpy()


def _sentence(rows: list[dict[str, Any]], survives: bool | None) -> str:
    if survives is None:
        return "The maps are empty, so there is nothing that random weights could change."
    last = f"rank correlation {_shown(rows[-1]['spearman'])} between the maps before and after"
    if survives:
        return (
            f"With random weights in all layers the maps stay much the same ({last}, {SURVIVES} or more): "
            "they do not show what the network has learned. Do not use them."
        )
    return (
        f"With random weights in all layers the maps change ({last}, less than {SURVIVES}): they depend on what the "
        "network has learned."
    )


def _shown(correlation: float) -> str:
    """With two decimals, or with as many as tell on which side of the limit it lies."""
    digits = next(n for n in range(2, 18) if (round(correlation, n) >= SURVIVES) == (correlation >= SURVIVES))
    return f"{correlation:.{digits}f}".replace("-", "−")
