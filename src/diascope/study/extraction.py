"""What frozen backbones make of the images of a study: which runs need what, and computing it before they train."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import torch
from joblib import cpu_count

from diascope.engine import RunData, RunTask
from diascope.engine.initial_network import scale_of
from diascope.features import FeatureSource, is_there, obtain
from diascope.models.pretrained import has_frozen_part
from diascope.models.random_backbone import sample_rows
from diascope.training.process import prepare_process

EXTRACTING = "computing features"
Progress = Callable[[int, int], None]


def with_features(task: RunTask, content: str) -> RunData:
    """The task's data, and the features that its network learns from instead of the pixels, if it is pretrained.

    `content` is the digest of all images in their order.
    """
    config, data = task.config, task.data
    size = (config.data.height, config.data.width)
    if config.model.kind != "pretrained" or not has_frozen_part(config.model, config.data.channels, size):
        return data
    scale = scale_of(task) if config.model.preprocessing == "none" else None
    fitted = config.model.weights == "random"
    features = FeatureSource(
        Path(str(data.pixels)),
        content,
        config.model,
        config.run_seed,
        config.training.precision,
        None if scale is None else (tuple(scale[0].tolist()), tuple(scale[1].tolist())),
        sample=tuple(sample_rows(data.training, size).tolist()) if fitted else (),
    )
    copied = config.augmentation.changes and config.model.augmented_copies > 0
    return replace(
        data, features=features, copies=replace(features, augmentation=config.augmentation) if copied else None
    )


def prepare_features(tasks: Iterable[RunTask], device: torch.device, progress: Progress) -> None:
    """Compute what is missing for these tasks, in this process, with all its cores.

    `progress(done, total)` counts images over everything that is computed; what other runs share counts once.
    """
    wanted = {}
    for task in tasks:
        for source in (task.data.features, task.data.copies):
            if isinstance(source, FeatureSource) and not is_there(source):
                wanted[source.key()] = (source, len(task.data.paths) * source.copies)
    if not wanted:
        return
    prepare_process(cpu_count())
    before, total = 0, sum(images for _, images in wanted.values())
    for source, images in wanted.values():
        obtain(source, device, lambda done, _, before=before: progress(before + done, total))  # type: ignore[misc]
        before += images
