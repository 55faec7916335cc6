"""What the report shows of a run: right, wrong and least sure images and two checks; explain/explain.json lists it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.core.files import write_json
from diascope.explain.chance import chance
from diascope.explain.explanation_files import Explanation, write_explanation
from diascope.explain.layer import layer_name, map_size
from diascope.explain.method_checks import check_sanity, located_rows, regions_of
from diascope.explain.methods import METHODS
from diascope.explain.scale import Scale, fixed_scale
from diascope.explain.study_images import Pixels, inputs
from diascope.explain.subject import Subject
from diascope.explain.validation import Case, pick_cases
from diascope.runs.explained import KINDS, SCHEMA, explain_json, read_explained
from diascope.runs.record import RunRecord, sample_stem

METHOD = "grad-cam"  # the cheapest
REGIONS = 128  # images with a known region at most
STAGES = 2  # of random weights: the upper half of the layers, then all


@dataclass(frozen=True, eq=False)
class Maps:
    """Pixels (N, H, W, C) and maps (N, H, W) for the predicted class, of rows (N,) of the judged images, sorted."""

    rows: NDArray[np.int64]
    pixels: Pixels
    maps: NDArray[np.float32]

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.intp]:
        return np.searchsorted(self.rows, rows)


def explained_already(run: RunRecord, count: int) -> bool:
    """Whether explain.json is of this very run, asked for as many cases, and has all its files."""
    found = read_explained(run)
    return found is not None and found.get("count") == count


def explain_cases(subject: Subject, count: int) -> dict[str, Any]:
    """Explain `count` right, wrong and least sure images of each class; write pictures, raw maps and explain.json.

    Maps are Grad-CAM's for the predicted class, all on one scale. Returns what explain.json holds. Raises DataError
    where images are gone.
    """
    judged, listing = subject.judged, explain_json(subject.run)
    cases, reference = pick_cases(judged, count), subject.reference(METHOD)
    located = located_rows(subject, min(REGIONS, subject.affordable))
    found = _maps(subject, np.concatenate([located, reference, [case.row for case in cases]]))
    scale, layer = fixed_scale(found.maps[found.places(reference)]), layer_name(subject.model)
    said = chance(judged)
    _clear(listing)
    tree = {
        "schema": SCHEMA,
        "run_id": subject.run.run_id,
        "count": count,
        "checkpoint": subject.checkpoint,
        "method": METHOD,
        "title": METHODS[METHOD].title,
        "layer": layer,
        "map_size": list(map_size(subject.model, inputs(found.pixels[:1]), layer)),
        "scale": scale.plain(),
        **said,
        "cases": _write_cases(subject, cases, found, scale, layer, meaningless=said["meaningless"]),
        "regions": regions_of(subject, located, found.maps[found.places(located)]),
        "sanity": check_sanity(subject, METHOD, rows=reference, stages=STAGES),
    }
    write_json(listing, tree)
    return tree


def _maps(subject: Subject, rows: NDArray[np.int64]) -> Maps:
    rows = np.unique(rows.astype(np.int64))
    pixels = subject.pixels(rows)
    return Maps(rows, pixels, subject.maps(pixels, subject.judged.predicted[rows], METHOD))


def _write_cases(
    subject: Subject, cases: list[Case], found: Maps, scale: Scale, layer: str, *, meaningless: bool
) -> list[dict[str, Any]]:
    judged, classes = subject.judged, subject.classes
    written: list[dict[str, Any]] = []
    for case in cases:
        true, predicted = int(judged.labels[case.row]), int(judged.predicted[case.row])
        place, probability = int(found.places(np.array(case.row))), float(judged.probabilities[case.row, predicted])
        shown = Explanation(
            path=judged.paths[case.row],
            pixels=found.pixels[place],
            attribution=found.maps[place],
            method=METHOD,
            layer=layer,
            class_name=classes[predicted],
            probability=probability,
            true=classes[true],
            predicted=classes[predicted],
            predicted_probability=probability,
        )
        number = sum((row["kind"], row["true"]) == (case.kind, classes[true]) for row in written) + 1
        stem = f"{case.kind}-{true}-{sample_stem(classes[true])}-{number}"
        png, npz = write_explanation(explain_json(subject.run).parent, stem, shown, scale, meaningless=meaningless)
        facts = {"kind": case.kind, "path": shown.path, "true": classes[true], "predicted": classes[predicted]}
        size = {"probability": probability, "largest": float(shown.attribution.max())}
        written.append({**facts, **size, "png": png.name, "npz": npz.name})
    return written


def _clear(listing: Path) -> None:
    """Remove the cases of an earlier run: first what lists them, then what it listed. What a user wrote there stays."""
    listing.unlink(missing_ok=True)
    for kind in (*KINDS, "borderline"):  # as the least sure ones were called
        for file in [*listing.parent.glob(f"{kind}-*.png"), *listing.parent.glob(f"{kind}-*.npz")]:
            file.unlink()
