"""Integrated gradients (Sundararajan et al. 2017): the logit's gradient on the way from an even image."""

from captum.attr import IntegratedGradients
from torch import Tensor, nn

from diascope.explain.target import class_logit

STEPS = 64
BATCH = 32  # images at a time on the way


def integrated_gradients(
    model: nn.Module, images: Tensor, targets: Tensor, *, steps: int = STEPS, batch: int = BATCH
) -> Tensor:
    """Images (B, C, H, W) and classes (B,) -> maps (B, H, W), summed over the channels, in units of the logit.

    A map's sum is the logit of the image minus that of its baseline, the better the more steps (completeness).
    """
    method = IntegratedGradients(lambda values, classes: class_logit(model(values), classes))
    found: Tensor = method.attribute(
        images.detach(),
        baselines=even(images),
        additional_forward_args=targets,
        n_steps=steps,
        internal_batch_size=max(batch, len(images)),
    )
    return found.sum(dim=1).detach()


def even(images: Tensor) -> Tensor:
    """Each image's mean colour everywhere (B, C, H, W).

    Not black: a dark lesion is then where nothing is lost, since integrated gradients give a pixel that is like its
    baseline nothing, and a black patch on a bright image is itself a thing to see.
    """
    return images.detach().mean(dim=(2, 3), keepdim=True).expand_as(images).contiguous()
