"""The networks of finished runs, with all that lies between an image and its probabilities.

    predictor = Predictor.open("moles-study/runs/dropout/fold0-seed0")
    predictor.predict(["a.png", Path("b.dcm").read_bytes(), array])      # (3, K), columns as predictor.classes

A run's own predictions, the test side, explanations and probes have their probabilities from the same functions: the
same images in the same order get the same bits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from diascope.config import DataConfig
from diascope.core.errors import RunError
from diascope.data.batches import Batch, as_inputs
from diascope.data.prepare import prepare_image
from diascope.models.pretrained import FROZEN_BATCH, Frozen, Pretrained, compute, frozen_values
from diascope.predict.device import pick_device
from diascope.predict.inputs import FEATURE_BATCH, Inputs, evaluation_batches
from diascope.predict.network import TrainedRun, read_run, require_finished, trained_part
from diascope.predict.trust import networks_of_runs, refuse_code
from diascope.runs.record import RunRecord
from diascope.training.evaluation import predict
from diascope.training.process import prepare_process

Checkpoint = Literal["best", "last"]
Image = str | Path | bytes | NDArray[np.uint8 | np.uint16]
"""A file, its bytes, or pixels (H, W) or (H, W, C) as a file would hold them."""


@dataclass(frozen=True, eq=False)
class Network:
    """The network of one finished run on a device; `whole` takes images (B, C, H, W) from 0 to 1 and gives logits."""

    run: TrainedRun
    device: torch.device
    whole: nn.Module = field(repr=False)

    @classmethod
    def open(cls, folder: Path, checkpoint: Checkpoint, device: torch.device) -> "Network":
        """Raises RunError where there is no finished run, or its files are not as they were written."""
        run = read_run(folder, checkpoint)
        prepare_process(run.config.training.threads)
        return cls(run, device, run.model.to(device).to(memory_format=torch.channels_last))

    def of_batches(self, batches: Iterable[Batch]) -> NDArray[np.float64]:
        """Probabilities (N, K) of batches of what the trained part takes: images, or features of a frozen backbone."""
        return predict(trained_part(self.whole), batches, precision=self.run.config.precision)

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Pixels (N, H, W, C) of the network's size -> probabilities (N, K); N at least 1."""
        parts = [pixels[first : first + FEATURE_BATCH] for first in range(0, len(pixels), FEATURE_BATCH)]
        return np.concatenate([self.of_batches(self._batches(part)) for part in parts])

    def _batches(self, pixels: NDArray[np.uint8]) -> Iterable[Batch]:
        rows = np.arange(len(pixels))
        frozen = self.whole.frozen if isinstance(self.whole, Pretrained) else None
        if frozen is None:
            inputs = Inputs(pixels)
        elif frozen.backbone is None:
            inputs = Inputs(pixels, transform=partial(compute, frozen, precision=self.run.config.training.precision))
        else:
            inputs = Inputs(self._features(frozen, pixels))
        return evaluation_batches(inputs, np.zeros(len(pixels), np.int64), rows, self.device)

    def _features(self, frozen: Frozen, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """What a frozen backbone makes of the images, in the batches and the precision in which runs have it stored."""
        config, size = self.run.config, FROZEN_BATCH[self.device.type]
        parts = [torch.from_numpy(np.ascontiguousarray(pixels[at : at + size])) for at in range(0, len(pixels), size)]
        stored = config.model.feature_precision
        images = (as_inputs(part.to(self.device)) for part in parts)
        return np.concatenate([frozen_values(frozen, part, config.training.precision, stored) for part in images])


@dataclass(frozen=True, eq=False)
class Predictor:
    """One run, or several whose probabilities are averaged; of the same classes, and images of the same reading."""

    networks: tuple[Network, ...]
    folders: tuple[Path, ...]

    @classmethod
    def open(
        cls,
        *folders: str | Path,
        checkpoint: Checkpoint = "best",
        device: str = "auto",
        trust_code: bool = False,
    ) -> "Predictor":
        """The networks of finished runs, by their folders DIR/runs/<arm>/fold0-seed0.

        `checkpoint` is "best" (lowest validation loss) or "last". Raises RunError for a folder that holds no finished
        run or a changed one, and for runs that do not go together; ConfigError for a network whose program lies in a
        study folder, unless `trust_code`.
        """
        if not folders:
            raise RunError("no run is named", where="Predictor.open", remedy="give the folder of a finished run")
        paths = tuple(map(Path, folders))
        for path in paths:
            require_finished(path)
        refuse_code(networks_of_runs(RunRecord("", 0, 0, path) for path in paths), trusted=trust_code)
        place = pick_device(device)
        networks = tuple(Network.open(path, checkpoint, place) for path in paths)
        for path, network in zip(paths, networks, strict=True):
            mine, first = _takes(network.run), _takes(networks[0].run)
            other = [f"{key} {mine[key]}, not {first[key]}" for key in mine if mine[key] != first[key]]
            if other:
                what = f"cannot be averaged with {paths[0]}: it has {'; '.join(other)}"
                raise RunError(what, where=str(path), remedy="average runs of arms with the same section data")
        return cls(networks, paths)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes in the order of the columns."""
        return self.networks[0].run.classes

    @cached_property
    def reading(self) -> DataConfig:
        """How images are read and brought to size: section data of the runs, `bits` resolved."""
        config = self.networks[0].run.config.data
        if config.bits != "auto":
            return config
        return config.model_copy(update={"bits": self.networks[0].run.bits or 16})

    def pixels(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """Images -> pixels (N, height, width, channels) as the networks take them. Raises DataError."""
        return np.stack([prepare_image(image, self.reading).pixels for image in images])

    def probabilities(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Pixels (N, height, width, channels) -> probabilities (N, K), the mean over the runs."""
        found: NDArray[np.float64] = np.mean([network.probabilities(pixels) for network in self.networks], axis=0)
        return found

    def predict(self, images: Sequence[Image]) -> NDArray[np.float64]:
        """Images -> probabilities (N, K), the mean over the runs, columns in the order of `classes`."""
        return self.probabilities(self.pixels(images)) if len(images) else np.empty((0, len(self.classes)))


def _takes(run: TrainedRun) -> dict[str, object]:
    """The classes of a run, and what of section data decides the pixels of a given file."""
    data = run.config.data
    keys = ("image_size", "resize", "channels", "frame")
    return {"classes": run.classes, **{key: getattr(data, key) for key in keys}, "bits": run.bits or data.bits}
