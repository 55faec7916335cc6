"""Images that a user names: by their path in the study's index, or as any file on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from os.path import isfile
from pathlib import Path

import numpy as np

from diascope.core.errors import ConfigError, DataError
from diascope.core.text import did_you_mean, shorten
from diascope.explain.chance import chance
from diascope.explain.explanation_files import Explanation, file_stem, write_explanation
from diascope.explain.layer import layer_name
from diascope.explain.methods import METHODS, check_method
from diascope.explain.scale import Scale
from diascope.explain.study_images import Pixels
from diascope.explain.subject import Subject
from diascope.metrics import predicted_classes

_SEARCHED = 5000  # names at most among which the nearest are looked for
_NAMED = 3


@dataclass(frozen=True)
class Named:
    """An image: its path in the index and its class, or a file, of which no class is known."""

    path: str
    true: str | None
    file: Path | None = None


def find_images(names: Sequence[str], labels: dict[str, str], source: str) -> list[Named]:
    """`labels` are the classes by path of the study's index, `source` its data.source. Raises DataError."""
    root = Path(source) if Path(source).is_dir() else Path(source).parent
    return [_find(name, labels, root) for name in names]


def _find(name: str, labels: dict[str, str], root: Path) -> Named:
    if name in labels:
        return Named(name, labels[name])
    file = Path(name)
    if not isfile(file):
        raise DataError("is neither an image of the study nor a file", where=name, remedy=_nearest(name, [*labels]))
    inside = file.resolve()
    if inside.is_relative_to(root.resolve()):  # a file of the study, named by where it lies
        path = inside.relative_to(root.resolve()).as_posix()
        if path in labels:
            return Named(path, labels[path])
    return Named(name, None, file)


def _nearest(name: str, paths: list[str]) -> str:
    """The paths of the index that were probably meant: those of the same file name, else those spelled alike."""
    same = [path for path in paths if Path(path).name == Path(name).name]
    close = get_close_matches(name, same or paths[:_SEARCHED], n=_NAMED, cutoff=0.0 if same else 0.6)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    return f"the paths in index.csv are such as {shorten(paths, _NAMED)}"


def explain_named(
    subject: Subject,
    images: Sequence[Named],
    method: str,
    out: Path,
    *,
    class_name: str | None = None,
    layer: str | None = None,
    scale: float | None = None,
) -> list[Path]:
    """Write a picture and the raw map of each image for a class (default: the predicted one); the pictures' paths.

    `scale` is the value of full colour; by default the method's own in this run. Raises ConfigError for a class, method
    or layer that there is not, DataError for images that cannot be read.
    """
    check_method(method, layer)
    if class_name is not None and class_name not in subject.classes:
        remedy = did_you_mean(class_name, subject.classes)
        raise ConfigError("the study has no such class", where=f"--class {class_name}", remedy=remedy)
    shown_layer = layer_name(subject.model, layer) if METHODS[method].layered else None
    pixels = np.stack([_pixels(subject, image) for image in images])
    found = subject.network.probabilities(pixels)
    predicted = predicted_classes(found, subject.judged.positive)
    targets = predicted if class_name is None else np.full_like(predicted, subject.classes.index(class_name))
    fixed = subject.scale(method, layer) if scale is None else Scale(scale, "given")
    maps, meaningless = subject.maps(pixels, targets, method, layer), chance(subject.judged)["meaningless"]
    written = []
    for row, image in enumerate(images):
        target, said = int(targets[row]), int(predicted[row])
        shown = Explanation(
            path=image.path,
            pixels=pixels[row],
            attribution=maps[row],
            method=method,
            layer=shown_layer,
            class_name=subject.classes[target],
            probability=float(found[row, target]),
            true=image.true,
            predicted=subject.classes[said],
            predicted_probability=float(found[row, said]),
        )
        stem = file_stem(image.path, method, shown.class_name)
        written.append(write_explanation(out, stem, shown, fixed, meaningless=meaningless)[0])
    return written


def _pixels(subject: Subject, image: Named) -> Pixels:
    return subject.images.pixels([image.path])[0] if image.file is None else subject.images.from_disk(image.file)
