"""What the report shows of a run: right, wrong and borderline images, regions, sanity; written as explain/explain.json."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from diascope.explain.chance import chance
from diascope.explain.files import Explanation, write_explanation
from diascope.explain.images import Pixels, StudyImages, inputs
from diascope.explain.judged import Case, Checkpoint, Judged, pick_cases, read_judged, spread
from diascope.explain.layer import layer_name, map_size
from diascope.explain.methods import METHODS, attribute
from diascope.explain.randomization import randomization
from diascope.explain.regions import measure_regions
from diascope.explain.scale import Scale, fixed_scale
from diascope.runs.folder import write_json
from diascope.runs.record import RunRecord, sample_stem

SCHEMA = 1
METHOD = "grad-cam"  # the cheapest
REFERENCE, REGIONS, SANITY = 48, 128, 8  # images at most: for the scale, with a known region, for random weights
STAGES = 2  # of random weights: the upper half of the layers, then all


@dataclass(frozen=True, eq=False)
class Maps:
    """Pixels (N, H, W, C) and maps (N, H, W) for the predicted class, of these rows (N,) of the judged images, sorted."""

    rows: NDArray[np.int64]
    pixels: Pixels
    maps: NDArray[np.float32]

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        return np.searchsorted(self.rows, rows)


def explain_json(run: RunRecord) -> Path:
    """Where the explanations of a run are listed."""
    return run.folder / "explain" / "explain.json"


def explained_already(run: RunRecord, count: int) -> bool:
    """Whether explain.json is of this very run, asked for as many cases, and has all its files."""
    try:
        found = json.loads(explain_json(run).read_text(encoding="utf-8"))
        files = [explain_json(run).parent / case[kind] for case in found["cases"] for kind in ("png", "npz")]
        same = (found["schema"], found["run_id"], found["count"]) == (SCHEMA, run.run_id, count)
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return same and all(file.is_file() for file in files)


def explain_cases(
    model: nn.Module,
    run: RunRecord,
    images: StudyImages,
    classes: tuple[str, ...],
    positive: str,
    *,
    count: int,
    checkpoint: Checkpoint = "last",
) -> dict[str, Any]:
    """Explain `count` right, wrong and borderline images of each class; write pictures, raw maps and explain.json.

    `model` is the run's network with the weights of that checkpoint. Maps are Grad-CAM's for the predicted class, all on
    one scale. Returns what explain.json holds. Raises DataError or RunError where images or predictions are gone.
    """
    judged = read_judged(run, checkpoint, classes, positive)
    cases, everyone = pick_cases(judged, count), np.arange(len(judged.paths))
    located = spread(everyone[[images.has_region(path) for path in judged.paths]], REGIONS)
    reference = spread(everyone, REFERENCE)
    found = _maps(model, judged, images, np.concatenate([located, reference, [case.row for case in cases]]))
    scale, layer, said = fixed_scale(found.maps[found.places(reference)]), layer_name(model), chance(judged)
    _clear(explain_json(run))
    tree = {
        "schema": SCHEMA,
        "run_id": run.run_id,
        "count": count,
        "checkpoint": checkpoint,
        "method": METHOD,
        "title": METHODS[METHOD].title,
        "layer": layer,
        "map_size": list(map_size(model, inputs(found.pixels[:1]), layer)),
        "scale": scale.plain(),
        **said,
        "cases": _write_cases(run, cases, judged, found, classes, scale, layer, meaningless=said["meaningless"]),
        "regions": _regions(images, judged, found, located),
        "sanity": _sanity(model, judged, found, spread(reference, SANITY)),
    }
    write_json(explain_json(run), tree)
    return tree


def _maps(model: nn.Module, judged: Judged, images: StudyImages, rows: NDArray[np.int64]) -> Maps:
    rows = np.unique(rows.astype(np.int64))
    pixels = images.pixels([judged.paths[row] for row in rows])
    return Maps(rows, pixels, attribute(model, inputs(pixels), torch.from_numpy(judged.predicted[rows]), METHOD))


def _write_cases(
    run: RunRecord,
    cases: list[Case],
    judged: Judged,
    found: Maps,
    classes: tuple[str, ...],
    scale: Scale,
    layer: str,
    *,
    meaningless: bool,
) -> list[dict[str, Any]]:
    written: list[dict[str, Any]] = []
    for case in cases:
        true, predicted = classes[judged.labels[case.row]], classes[judged.predicted[case.row]]
        place, probability = int(found.places(np.array(case.row))), judged.probabilities[case.row].max()
        shown = Explanation(
            path=judged.paths[case.row],
            pixels=found.pixels[place],
            attribution=found.maps[place],
            method=METHOD,
            layer=layer,
            class_name=predicted,
            probability=float(probability),
            true=true,
            predicted=predicted,
            predicted_probability=float(probability),
        )
        number = sum((row["kind"], row["true"]) == (case.kind, true) for row in written) + 1
        stem = f"{case.kind}-{list(classes).index(true)}-{sample_stem(true)}-{number}"
        png, npz = write_explanation(explain_json(run).parent, stem, shown, scale, meaningless=meaningless)
        facts = {"kind": case.kind, "path": shown.path, "true": true, "predicted": predicted}
        size = {"probability": shown.probability, "largest": float(shown.attribution.max())}
        written.append({**facts, **size, "png": png.name, "npz": npz.name})
    return written


def _regions(images: StudyImages, judged: Judged, found: Maps, located: NDArray[np.int64]) -> dict[str, Any] | None:
    """Where the maps lie of images whose region is known; None where it is of none."""
    regions = {int(row): images.region(judged.paths[row]) for row in located}
    masks = [mask for mask in regions.values() if mask is not None]
    if not masks:
        return None
    rows = np.array([row for row, mask in regions.items() if mask is not None], dtype=np.int64)
    groups = None if judged.groups is None else [judged.groups[row] for row in rows]
    right = (judged.predicted == judged.labels)[rows]
    return measure_regions(found.maps[found.places(rows)], np.stack(masks), right, groups)


def _sanity(model: nn.Module, judged: Judged, found: Maps, rows: NDArray[np.int64]) -> dict[str, Any]:
    images, targets = inputs(found.pixels[found.places(rows)]), torch.from_numpy(judged.predicted[rows])
    return randomization(model, images, targets, partial(attribute, method=METHOD), stages=STAGES)


def _clear(listing: Path) -> None:
    """Remove the cases of an earlier run: first what lists them, then what it listed. What a user wrote there stays."""
    listing.unlink(missing_ok=True)
    for kind in ("right", "wrong", "borderline"):
        for file in [*listing.parent.glob(f"{kind}-*.png"), *listing.parent.glob(f"{kind}-*.npz")]:
            file.unlink()
