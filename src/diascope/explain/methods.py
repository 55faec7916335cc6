"""The methods: METHODS holds them all, attribute() runs one over images in batches."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diascope.core.errors import ConfigError
from diascope.core.text import did_you_mean
from diascope.explain.evaluation_mode import evaluating
from diascope.explain.grad_cam import grad_cam
from diascope.explain.grad_cam_plus_plus import grad_cam_plus_plus
from diascope.explain.integrated_gradients import integrated_gradients
from diascope.explain.occlusion import occlusion

BATCH = 16  # images at a time


@dataclass(frozen=True)
class Method:
    """One way to make a map. `signed`: negative values speak against the class; `layered`: it explains a layer."""

    title: str
    maps: Callable[..., Tensor]  # (model, images, targets[, layer=]) -> (B, H, W)
    signed: bool
    layered: bool


METHODS: dict[str, Method] = {
    "grad-cam": Method("Grad-CAM", grad_cam, signed=False, layered=True),
    "grad-cam++": Method("Grad-CAM++", grad_cam_plus_plus, signed=False, layered=True),
    "integrated-gradients": Method("Integrated gradients", integrated_gradients, signed=True, layered=False),
    "occlusion": Method("Occlusion", occlusion, signed=True, layered=False),
}


def check_method(method: str, layer: str | None = None) -> Method:
    """Raises ConfigError for a method that there is not, and for a layer that it would not look at."""
    if method not in METHODS:
        raise ConfigError("unknown method", where=f"--method {method}", remedy=did_you_mean(method, METHODS))
    found = METHODS[method]
    if layer is not None and not found.layered:
        layered = " and ".join(name for name, one in METHODS.items() if one.layered)
        raise ConfigError(f"{method} explains no layer", where=f"--layer {layer}", remedy=f"it is for {layered}")
    return found


def attribute(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    method: str = "grad-cam",
    *,
    layer: str | None = None,
    batch_size: int = BATCH,
) -> NDArray[np.float32]:
    """Raw maps (B, H, W): what speaks for (positive) and, of a signed method, against (negative) each image's class.

    `images` (B, C, H, W) are what the network takes, from 0 to 1; `targets` (B,) int64 are class numbers. The model is
    in evaluation mode meanwhile, with gradients that reach its layers, and left as it was. Raises ConfigError for an
    unknown method or layer, ValueError for a class that there is not.
    """
    found = check_method(method, layer)
    told = {"layer": layer} if found.layered else {}
    with evaluating(model) as place:
        parts = []
        for first in range(0, len(images), batch_size):
            some, classes = images[first : first + batch_size], targets[first : first + batch_size]
            parts.append(found.maps(model, some.to(place), classes.to(place), **told))
    if not parts:
        return np.zeros((0, *images.shape[2:]), dtype=np.float32)
    return torch.cat(parts).cpu().numpy().astype(np.float32)
