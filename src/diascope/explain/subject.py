"""A run that is explained: its network, what it said of its validation side, and its images."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from diascope.core.errors import DataError
from diascope.explain.evaluation_mode import evaluating
from diascope.explain.methods import METHODS, attribute
from diascope.explain.scale import Scale, fixed_scale
from diascope.explain.study_images import Pixels, StudyImages, inputs
from diascope.explain.validation import Checkpoint, ValidationPredictions, spread
from diascope.predict.predictor import Network
from diascope.runs.record import RunRecord

REFERENCE = 48  # images at most whose maps say what is much
SLOW_REFERENCE = 8  # for methods that run an image through the network some hundred times
_LEAST, _FLOPS = 16, 100e9  # as many images as a second or two will do, but some of them in any case


@dataclass(frozen=True, eq=False)
class Subject:
    """`model` has the weights of the checkpoint, by which `judged` was said; `classes` are in the network's order.

    It takes images (B, C, H, W) from 0 to 1. Maps are computed in float32, probabilities as the run computes them.
    """

    model: nn.Module = field(repr=False)
    run: RunRecord
    checkpoint: Checkpoint
    classes: tuple[str, ...]
    judged: ValidationPredictions
    images: StudyImages

    @cached_property
    def network(self) -> Network:
        """The same network as the run computes with it: in its precision, and in the layout of its weights."""
        device = next((weight.device for weight in self.model.parameters()), torch.device("cpu"))
        return Network.open(self.run.folder, self.checkpoint, device)

    def pixels(self, rows: NDArray[np.int64]) -> Pixels:
        """Pixels (N, H, W, C) of rows (N,) of the judged images."""
        return self.images.pixels([self.judged.paths[row] for row in rows])

    def maps(
        self, pixels: Pixels, targets: NDArray[np.int64], method: str, layer: str | None = None
    ) -> NDArray[np.float32]:
        """Maps (N, H, W) of pixels (N, H, W, C) for class numbers (N,)."""
        return attribute(self.model, inputs(pixels), torch.from_numpy(targets), method, layer=layer)

    def reference(self, method: str) -> NDArray[np.int64]:
        """The rows whose maps fix the scale: always the same ones, spread over the validation side."""
        most = REFERENCE if METHODS[method].layered else SLOW_REFERENCE
        return spread(np.arange(len(self.judged.paths)), min(most, self.affordable))

    def scale(self, method: str, layer: str | None = None) -> Scale:
        """The method's scale in this run. Raises DataError where the images of the study are gone."""
        rows = self.reference(method)
        try:
            pixels = self.pixels(rows)
        except DataError as error:
            remedy = f"{error.remedy}, or give the value of full colour with --scale"
            raise DataError(f"{error.what}, and the scale is made from it", where=error.where, remedy=remedy) from error
        return fixed_scale(self.maps(pixels, self.judged.predicted[rows], method, layer))

    @cached_property
    def affordable(self) -> int:
        """How many images of this network's cost go into means: by its operations, so that it is always the same."""
        from torch.utils.flop_counter import FlopCounterMode

        config = self.images.config
        image = torch.zeros(1, config.channels, config.height, config.width)
        with FlopCounterMode(display=False) as counter, evaluating(self.model) as place, torch.no_grad():
            self.model(image.to(place))
        return max(_LEAST, int(_FLOPS / max(1, counter.get_total_flops())))
