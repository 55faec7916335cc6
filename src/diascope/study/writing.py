"""What a study folder holds before any training: study file, index, sides, findings, samples of the images."""

from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from filelock import FileLock
from PIL import Image

from diascope.core.errors import ConfigError, RunError
from diascope.core.files import make_folder, save_atomic, write_atomic, write_json
from diascope.engine import RunTask
from diascope.runs.claim import Claim, Taken, is_claimed
from diascope.runs.folder import RunFolder
from diascope.runs.record import sample_stem
from diascope.study.augmented_samples import write_augmented_samples
from diascope.study.images import Images
from diascope.study.plan import Cell
from diascope.studyfile import Study, dump_study, load_study


def write_study(study: Study, images: Images, folder: Path, cells: Sequence[Cell] = ()) -> None:
    """Write down what is about to be trained, and on what, before any training.

    Stale cells, which are about to be trained anew, are cleared: no report may count them among the new ones. Raises
    RunError if another command is at work in the folder on another study, or on a stale cell.
    """
    try:
        make_folder(folder)
        with FileLock(folder / ".study.lock"):
            _refuse_other_study(study, folder, cells)
            for cell in cells:
                if cell.state == "stale":
                    _clear(cell.task)
            write_atomic(folder / "study.yaml", dump_study(study))
            save_atomic(folder / "index.csv", images.index.save)
            save_atomic(folder / "folds.json", images.folds.save)
            write_json(folder / "findings.json", [finding.model_dump(mode="json") for finding in images.findings])
            _write_samples(study, images, folder / "samples")
            write_augmented_samples(study, images.index, images.folds.folds[0].training, images.caches, folder)
    except OSError as error:
        raise RunError(
            f"cannot be written ({error.strerror})", where=str(folder), remedy="give another --out"
        ) from error


def _refuse_other_study(study: Study, folder: Path, cells: Sequence[Cell]) -> None:
    """A folder is one study's; and while a command trains in it, what it says of that study stays."""
    file = folder / "study.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") == dump_study(study):
        return
    with suppress(ConfigError):  # a file that cannot be read holds no name
        name = load_study(file, recorded=True).config.name
        if name != study.config.name and any(folder.glob("runs/*/*/config.json")):
            what = f"it holds the study {name!r}, not {study.config.name!r}"
            raise RunError(what, where=str(folder), remedy="give another --out, or keep the name")
    busy = [cell.task.name for cell in cells if is_claimed(cell.task.folder)]
    if busy:
        what = f"another command trains {busy[0]} in it, for a study file that says something else"
        raise RunError(what, where=str(folder), remedy="wait for it, or give another --out")


def _clear(task: RunTask) -> None:
    folder = RunFolder(task.folder)
    try:
        with Claim(task.folder):
            if folder.run_id() != task.run_id:  # else another command has begun it anew
                folder.clear()
    except Taken as taken:
        what = "another command trains it, with another configuration"
        raise RunError(what, where=str(task.folder), remedy="wait for it, then run with --retrain") from taken


def _write_samples(study: Study, images: Images, folder: Path, per_class: int = 6) -> None:
    """A few training images of each class, as the network of the first arm sees them, for the report."""
    cache, training = images.caches[study.arms[0].name], images.folds.folds[0].training
    for number, name in enumerate(images.index.classes):
        rows = [row for row in training if images.index.labels[row] == number]
        for place, row in enumerate(rows[:: max(1, len(rows) // per_class)][:per_class]):
            content = BytesIO()
            Image.fromarray(cache.pixels[row].squeeze()).save(content, "PNG", optimize=True)
            write_atomic(folder / f"{sample_stem(name)}-{place}.png", content.getvalue())
