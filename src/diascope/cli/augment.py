"""diascope augment: contact sheets of the augmentations."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diascope.cli.run import Setting
from diascope.core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from diascope.config import AugmentationConfig
    from diascope.studyfile import Study

_DEFAULT = "name: augment\naugmentation: {rotation: 20, horizontal_shift: 0.2, horizontal_flip: 0.5}\n"


def augment(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder with a folder per class, a CSV, an npz, or phantom:skin.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the sheets are written: a new folder, or one of sheets.")
    ] = Path("augmentation"),
    study: Annotated[
        str | None, typer.Option(help="A study file or recipe, whose augmentation and view of the images to take.")
    ] = None,
    settings: Setting = None,
    label: Annotated[str | None, typer.Option(help="Column of the CSV that holds the class.")] = None,
    image_size: Annotated[int | None, typer.Option(help="Height and width that the network sees.", min=8)] = None,
    images: Annotated[int, typer.Option(help="How many images the page of samples shows.", min=1, max=64)] = 6,
    draws: Annotated[int, typer.Option(help="How many draws of each of them it shows.", min=1, max=32)] = 8,
    seed: Annotated[int, typer.Option(help="Another seed picks other images and draws.", min=0)] = 0,
) -> None:
    """Write contact sheets: each transformation at growing strength, and random samples as a network sees them.

    Without --study or --set augmentation..., the samples are rotated by up to 20 degrees, shifted sideways by up to a
    fifth of the width, and mirrored half of the time.

    Example: diascope augment phantom:skin --set augmentation.zoom=0.3 --set augmentation.blur=2 --out sheets
    """
    given = [("data.label", label), ("data.image_size", image_size)]
    found = _study(source, study, settings or [], [f"{key}={value}" for key, value in given if value is not None])

    from diascope.cli.terminal import say
    from diascope.data.augment.samples import sample_rows, sweep_rows
    from diascope.data.augment.sheets import write_sheet
    from diascope.study.channels import following_images
    from diascope.study.output import SHEETS, refuse_foreign

    refuse_foreign(out, SHEETS)
    found = following_images(found)
    names, pixels = _some_images(found, images, seed, out)
    augmentations = _augmentations(found)
    sheets = {
        "transformations": ("Each transformation by itself", sweep_rows(pixels[0], found.config.augmentation, seed))
    }
    for arm, config in augmentations.items():
        name = "samples" if len(augmentations) == 1 else f"samples-{arm}"
        title = f"Random samples: {_described(config)}"
        sheets[name] = (title, sample_rows(pixels, names, config, seed, draws))
    for name, (title, rows) in sheets.items():
        write_sheet(out / f"{name}.png", title, rows)
        say(out / f"{name}.png")


def _study(source: str, study: str | None, settings: list[str], given: list[str]) -> "Study":
    import json

    from diascope.recipes import find_study
    from diascope.studyfile import parse_study

    settings = [f"data.source={json.dumps(source)}", *given, *settings]
    if study is not None:
        return find_study(study, settings)
    own = any(setting.startswith("augmentation") for setting in settings)
    text = _DEFAULT.partition("\n")[0] if own else _DEFAULT
    return parse_study(text, settings, where="diascope augment", folder=Path.cwd())


def _augmentations(study: "Study") -> "dict[str, AugmentationConfig]":
    """The different augmentations of a study, each by the first arm that has it."""
    found: dict[str, AugmentationConfig] = {}
    for arm in study.arms:
        if arm.augmentation.changes and arm.augmentation not in found.values():
            found[arm.name] = arm.augmentation
    if not found:
        remedy = "give --set augmentation.rotation=20, say"
        raise ConfigError("no arm has an augmentation", where=study.config.name, remedy=remedy)
    return found


def _some_images(study: "Study", count: int, seed: int, out: Path) -> "tuple[list[str], list[NDArray[np.uint8]]]":
    """Classes and pixels of `count` images, the classes in turn; nothing else is decoded."""
    from diascope.core.seeding import stream
    from diascope.data.index import open_index
    from diascope.data.prepare import prepared_images
    from diascope.study.output import refuse_images

    config = study.arms[0].data
    index = open_index(config)
    refuse_images(out, index.source, index.paths)
    order = stream(seed, "subset").permutation(len(index)).tolist()
    of_class = [[row for row in order if index.labels[row] == number] for number in range(len(index.classes))]
    turn = {row: place for rows in of_class for place, row in enumerate(rows)}
    rows = sorted(order, key=lambda row: (turn[row], index.labels[row]))[:count]
    pixels = {}
    for row, image in zip(sorted(rows), prepared_images(index, sorted(rows), config, jobs=1), strict=True):
        if isinstance(image, str):
            raise DataError(image, where=index.paths[row], remedy="remove it, or give another --seed")
        pixels[row] = image.pixels
    return [index.classes[index.labels[row]] for row in rows], [pixels[row] for row in rows]


def _described(config: "AugmentationConfig") -> str:
    """rotation -20 to 20, horizontal_flip 0.5."""
    parts = []
    for name in type(config).model_fields:
        value, default = getattr(config, name), type(config).model_fields[name].default
        if value == default:
            continue
        if hasattr(value, "range"):
            share = f" ({value.probability:.0%} of the images)" if value.probability < 1 else ""
            value = f"{value.range[0]:g} to {value.range[1]:g}{share}"
        parts.append(f"{name} {value}")
    return ", ".join(parts)
