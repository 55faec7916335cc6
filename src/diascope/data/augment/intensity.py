"""Other values at the same places: intensity between percentiles, contrast, brightness, noise."""

import numpy as np
import torch
from torch import Tensor

from diascope.data.augment.change import Change, to_device
from diascope.data.augment.draws import Floats

_FLAT = 1e-3
"""An image whose percentiles lie closer than this, a quarter of a gray level, is left as it is."""


class Intensity(Change):
    """Spread the values from percentile p to 100 - p over 0 to 1; those beyond become 0 and 1."""

    def __init__(self, percentiles: Floats, device: torch.device) -> None:
        """`percentiles` (count,) from 0 to below 50, NaN for an image that is left as it is."""
        chosen = ~np.isnan(percentiles)
        super().__init__(chosen, device)
        p = percentiles[chosen]
        shares = np.stack([p, 100 - p], axis=1) / 100
        self._shares = torch.from_numpy(shares.astype(np.float32)).to(device)

    def change(self, images: Tensor, part: slice) -> Tensor:
        low, high = _quantiles(images.flatten(1), self._shares[part])[:, :, None, None, None].unbind(1)
        flat = high - low < _FLAT
        spread = ((images - low) / (high - low).clamp(min=_FLAT)).clamp(0, 1)
        return torch.where(flat, images, spread)


class Contrast(Change):
    """Scale the distances from the image's mean, over all its channels, by 1 + strength."""

    def __init__(self, strengths: Floats, device: torch.device) -> None:
        """`strengths` (count,): 0 leaves an image as it is, -1 makes it flat."""
        super().__init__(strengths != 0, device)
        self._scale = to_device(1 + strengths[strengths != 0], device)

    def change(self, images: Tensor, part: slice) -> Tensor:
        return torch.lerp(images.mean((1, 2, 3), keepdim=True), images, self._scale[part])


class Brightness(Change):
    """Add the strength to every value."""

    def __init__(self, strengths: Floats, device: torch.device) -> None:
        super().__init__(strengths != 0, device)
        self._added = to_device(strengths[strengths != 0], device)

    def change(self, images: Tensor, part: slice) -> Tensor:
        return images + self._added[part]


class Noise(Change):
    """Add Gaussian noise to every value by itself, drawn on the device: there are too many numbers to carry there.

    A processor draws the same noise whatever the batch size. Batches have to come in order, from the first on.
    """

    def __init__(self, sds: Floats, seed: int, device: torch.device) -> None:
        """`sds` (count,): the SD of each image's noise."""
        super().__init__(sds != 0, device)
        self._sds = to_device(sds[sds != 0], device)
        self._generator = torch.Generator(device).manual_seed(seed)

    def change(self, images: Tensor, part: slice) -> Tensor:
        count, values = len(images), images[0].numel()
        drawn = -(-values // _DRAWN_TOGETHER) * _DRAWN_TOGETHER
        noise = torch.randn(count, drawn, generator=self._generator, device=images.device)[:, :values]
        return torch.addcmul(images, noise.reshape(images.shape), self._sds[part])


_DRAWN_TOGETHER = 16
"""PyTorch draws normal numbers in blocks of this many: with whole blocks for each image, its batch does not matter."""


def _quantiles(values: Tensor, shares: Tensor) -> Tensor:
    """Values (B, N) and shares (B, Q) from 0 to 1 -> quantiles (B, Q), linear between neighbours as NumPy has them."""
    ordered = _sorted(values)
    places = shares * (values.shape[1] - 1)
    below = places.floor()
    low, high = ordered.gather(1, below.long()), ordered.gather(1, places.ceil().long())
    return torch.lerp(low, high, places - below)


def _sorted(values: Tensor) -> Tensor:
    if values.device.type == "cpu":
        return torch.from_numpy(np.sort(values.numpy(), axis=1))  # 40 times as fast as PyTorch's there
    return values.sort(dim=1).values
