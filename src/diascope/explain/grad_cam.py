"""Grad-CAM (Selvaraju et al. 2017): the layer's maps, each weighted by the mean gradient of the class's logit."""

from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn.functional import interpolate

from diascope.explain.layer import captured, layer_name
from diascope.explain.target import class_logit


def grad_cam(model: nn.Module, images: Tensor, targets: Tensor, *, layer: str | None = None) -> Tensor:
    """Images (B, C, H, W) and classes (B,) -> maps (B, H, W), none negative, in units of the logit.

    ReLU(sum over channels k of mean over places (d logit / d A_k) * A_k), with A the output of `layer`, which the
    network names itself if it is not given; enlarged bilinearly.
    """
    name = layer_name(model, layer)
    given = images.detach().requires_grad_()  # so that gradients also run through a backbone that is frozen
    with captured(model, name):  # refuses a layer that gives no maps
        method = LayerGradCam(lambda values: class_logit(model(values), targets), model.get_submodule(name))
        coarse = method.attribute(given, relu_attributions=True)
    assert isinstance(coarse, Tensor)
    return enlarged(coarse.detach(), images)


def enlarged(coarse: Tensor, images: Tensor) -> Tensor:
    """Maps (B, 1, h, w) -> (B, H, W), the size of the images."""
    return interpolate(coarse, tuple(images.shape[2:]), mode="bilinear", align_corners=False)[:, 0]
