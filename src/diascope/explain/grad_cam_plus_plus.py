"""Grad-CAM++ (Chattopadhyay et al. 2018): as Grad-CAM, but every place has a weight of its own."""

from torch import Tensor, nn

from diascope.explain.grad_cam import weighted
from diascope.explain.layer import maps_and_gradients


def grad_cam_plus_plus(model: nn.Module, images: Tensor, targets: Tensor, *, layer: str | None = None) -> Tensor:
    """Images (B, C, H, W) and classes (B,) -> maps (B, H, W), none negative, in units of the logit.

    The paper's score is exp(S) of the logit S. Where the network is piecewise linear, the derivatives of exp(S) by a
    place of map k are exp(S) g, exp(S) g^2 and exp(S) g^3 with g = dS/dA, so that its equations 10, 15 and 16 become

        alpha = g^2 / (2 g^2 + sum(A_k) g^3) = 1 / (2 + g sum(A_k)),   ReLU(sum over k of A_k sum(alpha ReLU(exp(S) g)))

    The factor exp(S), the same for all places of an image, is left out: it would make maps of two images incomparable.
    The paper takes maps behind a ReLU. Ours may be negative; only their positive values count in sum(A_k), which keeps
    alpha between 0 and 1/2 wherever g is positive, and g counts nowhere else.
    """
    maps, gradients = maps_and_gradients(model, images, targets, layer)
    totals = maps.clamp(min=0).sum(dim=(2, 3), keepdim=True)
    positive = gradients.clamp(min=0)
    return weighted(maps, (positive / (2 + positive * totals)).sum(dim=(2, 3), keepdim=True), images)
