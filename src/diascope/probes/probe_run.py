"""Probe one finished run and write down what was found: probes.json and probes/*.png in its folder."""

from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from typing import Any

import numpy as np
import torch

from diascope.core.errors import DiascopeError
from diascope.core.files import write_atomic, write_json
from diascope.engine import RunTask
from diascope.probes import PROBES, Measured, Options, Subject
from diascope.probes.probe_verdicts import judged, overall
from diascope.probes.subject import Pixels, Progress
from diascope.runs.record import RunRecord

VERSION = 2  # goes up when probes measure something else, so that old results are not taken for new ones
GAP, SMALL = 3, 96  # pixels between images of a picture; smaller images are shown twice as large


def probe_run(
    task: RunTask,
    columns: Mapping[str, list[str]],
    positive: int,
    *,
    device: torch.device,
    options: Options = Options(),  # noqa: B008  (frozen)
    progress: Progress = lambda what, done, total: None,
    again: bool = False,
) -> dict[str, Any]:
    """What probes.json holds of the run, from there if it is current; `again` probes anyway.

    `columns` hold a cell an image of the task; `positive` is the number of the positive class. Writes nothing before
    all probes have run.
    """
    record = RunRecord(task.arm, task.config.fold, task.config.seed, task.folder)
    wanted = {"version": VERSION, "run_id": task.run_id, "options": asdict(options)}
    known = record.probes
    if not again and known and all(known.get(key) == value for key, value in wanted.items()):
        return known
    probed = Subject(task, columns, positive, device, options, progress)
    measured = [found for name in PROBES for found in _measured(name, probed)]
    findings = judged(measured)
    verdict, sentence = overall(probed, findings)
    tree = {
        **wanted,
        "checkpoint": "last",
        "side": "validation",
        "images": len(probed.rows),
        "verdict": verdict,
        "sentence": sentence,
        "model": {"chance": probed.chance, "balanced_accuracy": asdict(probed.accuracy)},
        "probes": [finding.model_dump(mode="json") for finding in findings],
        "pictures": _write_pictures(measured, task),
    }
    write_json(record.folder / "probes.json", tree)
    return tree


def _measured(name: str, probed: Subject) -> list[Measured]:
    """A probe that cannot run on this network or these images is one that was skipped; others still run."""
    try:
        return PROBES[name](probed)
    except DiascopeError as error:
        return [Measured(name, name.capitalize(), str(error), outcome="skipped")]


def _write_pictures(measured: list[Measured], task: RunTask) -> list[dict[str, str]]:
    found = []
    for one in measured:
        for caption, rows in one.pictures.items():
            file = f"probes/{one.code}.png"
            write_atomic(task.folder / file, _png(rows))
            found.append({"code": one.code, "file": file, "caption": caption})
    return found


def _png(rows: list[Pixels]) -> bytes:
    """Each row's images side by side, the rows side by side with a wider gap: one strip."""
    from PIL import Image

    times = 2 if rows[0].shape[1] <= SMALL else 1
    parts = []
    for row in rows:
        for number, image in enumerate(row):
            large = image.repeat(times, axis=0).repeat(times, axis=1)
            gap = np.full((large.shape[0], GAP if number + 1 < len(row) else 4 * GAP, large.shape[2]), 255, np.uint8)
            parts += [large, gap]
    strip = np.concatenate(parts[:-1], axis=1).squeeze()
    content = BytesIO()
    Image.fromarray(strip).save(content, "PNG", optimize=True)
    return content.getvalue()
