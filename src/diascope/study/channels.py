"""Whether the networks of a study see colour: as the study says, else as its images are."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from diascope.audit.colour import TINT
from diascope.config import DataConfig
from diascope.data.index import Phantoms, open_index
from diascope.data.prepare import prepared_images
from diascope.studyfile import Study, load_study

LOOKED_AT = 64  # images, spread evenly; colour if most of them are
_SIDE = 32  # pixels


def following_images(study: Study, folder: Path | None = None) -> Study:
    """The study with data.channels said: where the file does not, 3 for images in colour, else 1.

    A study that `folder` holds already keeps the channels that it was begun with. Drawn images stay gray. Raises
    DataError where the images cannot be found.
    """
    if all(_says(data) for data in (study.config.data, *(arm.data for arm in study.arms))):
        return study
    begun = None if folder is None else folder / "study.yaml"
    if begun is not None and begun.is_file():
        channels = load_study(begun, recorded=True).config.data.channels
    else:
        channels = 3 if _in_colour(study.arms[0].data) else 1
    data = _with_channels(study.config.data, channels)
    arms = tuple(replace(arm, data=_with_channels(arm.data, channels)) for arm in study.arms)
    return Study(study.config.model_copy(update={"data": data}), arms)


def _says(data: DataConfig) -> bool:
    return "channels" in data.model_fields_set


def _with_channels(data: DataConfig, channels: int) -> DataConfig:
    return data if _says(data) else data.model_copy(update={"channels": channels})


def _in_colour(data: DataConfig) -> bool:
    index = open_index(data)
    if isinstance(index.origin, Phantoms):
        return False
    view = data.model_copy(update={"channels": 3, "image_size": (_SIDE, _SIDE), "resize": "stretch", "bits": 16})
    rows = np.unique(np.linspace(0, len(index) - 1, min(LOOKED_AT, len(index))).round().astype(int)).tolist()
    readable = [image.pixels for image in prepared_images(index, rows, view, jobs=1) if not isinstance(image, str)]
    tinted = [float(np.ptp(pixels.mean(axis=(0, 1)) / 255)) > TINT for pixels in readable]
    return bool(tinted) and 2 * sum(tinted) > len(tinted)
