"""Whether what is known of the files, or the mean colour of a picture, gives the class away."""

import numpy as np

from diascope.audit.association import take_sample
from diascope.audit.confounders import Clue, weigh
from diascope.audit.facts import Audited, Facts
from diascope.audit.thumbnail_features import of_numbers
from diascope.core.findings import Finding

_SOURCES = (
    "Ask where the images of each class come from; a network may learn to tell the sources instead of the classes."
)
_CONTENT = "It may be a true sign of the class, or a trace of where the images come from."


def metadata_predicts_label(audited: Audited) -> list[Finding]:
    """A finding for each fact about files and light: size, mode, bit depth, format, compression, camera and others."""
    return weigh(_clues(audited.facts), audited.index, take_sample(audited.index))


def _clues(facts: Facts) -> list[Clue]:
    return [_size(facts), *_of_files(facts), _file_size(facts), _brightness(facts), _colour(facts)]


def _size(facts: Facts) -> Clue:
    wide, tall = np.log(facts.widths), np.log(facts.heights)
    return Clue(
        "size-predicts-label",
        "The size of the images",
        f"Resizing leaves traces of it: borders, blur, aspect ratio (see data.resize). {_SOURCES}",
        numbers={"width": facts.widths, "height": facts.heights, "aspect": facts.widths / facts.heights},
        features=of_numbers(wide, tall, wide - tall),
    )


def _of_files(facts: Facts) -> list[Clue]:
    gray = "Gray stored as colour is the same picture, but tinted ones are not: data.channels 1 makes all of them gray."
    return [
        Clue("mode-predicts-label", "The colour mode", f"{gray} {_SOURCES}", levels=facts.modes),
        Clue("bit-depth-predicts-label", "The bit depth", _SOURCES, levels=[str(bits) for bits in facts.bits.tolist()]),
        Clue(
            "format-predicts-label", "The file format", f"Compression leaves traces. {_SOURCES}", levels=facts.formats
        ),
        Clue(
            "compression-predicts-label",
            "How the files are compressed",
            f"Compression leaves traces that networks see and people do not. {_SOURCES}",
            levels=facts.compressions,
        ),
        Clue("camera-predicts-label", "The camera (EXIF)", _SOURCES, levels=facts.cameras),
    ]


def _file_size(facts: Facts) -> Clue:
    area = facts.widths * facts.heights
    return Clue(
        "file-size-predicts-label",
        "The size of the files in bytes",
        f"Files grow with detail and with quality of compression. {_CONTENT}",
        numbers={"bytes": facts.bytes, "bytes per pixel": facts.bytes / area},
        features=of_numbers(np.log(facts.bytes + 1), np.log((facts.bytes + 1) / area)),
        content=True,
    )


def _brightness(facts: Facts) -> Clue:
    gray = facts.means @ np.array([0.299, 0.587, 0.114])
    return Clue(
        "brightness-predicts-label",
        "The mean brightness",
        f"{_CONTENT} If it is a trace, let augmentation.brightness vary it.",
        numbers={"brightness": gray},
        features=of_numbers(gray),
        content=True,
    )


def _colour(facts: Facts) -> Clue:
    red, green, blue = facts.means.T
    return Clue(
        "colour-predicts-label",
        "The mean colour",
        f"{_CONTENT} If it is a trace, data.channels 1 takes colour away.",
        numbers={"red less green": red - green, "blue less green": blue - green},
        features=of_numbers(red - green, blue - green),
        content=True,
    )
