"""The section "What it looked at": pictures by class and kind, numbers with intervals, maps that are not to be used."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from diascope.config import ReportConfig
from diascope.report.checklist import checklist
from diascope.report.explanations import explained_pictures, summarize_explanations
from diascope.report.page import Pictures, render
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
PART = {
    "images": 40,
    "empty": 2,
    "area": 0.1,
    "energy": {"value": 0.3, "low": 0.25, "high": 0.35},
    "excess": {"value": 0.2, "low": 0.15, "high": 0.25},
    "pointing": {"value": 0.6, "low": None, "high": None},
    "others": 0.24,
    "beyond": {"value": 0.06, "low": 0.01, "high": 0.11},
    "overlap": 0.3,
    "p": 0.01,
}


def explain(study: Path, arm: str, **changed: Any) -> dict[str, Any]:
    """Write explain/ of an arm's first run, as the end of a study would."""
    run = study / "runs" / arm / "fold0-seed0"
    folder = run / "explain"
    folder.mkdir()
    cases = []
    for number, (kind, true) in enumerate([("right", "nevus"), ("wrong", "nevus"), ("least-sure", "melanoma")]):
        Image.new("RGB", (60, 40), (number * 50, 0, 0)).save(folder / f"{number}.png")
        np.savez(folder / f"{number}.npz", map=np.zeros((4, 4), dtype=np.float32))
        case = {"kind": kind, "path": f"{true}/000{number}.png", "true": true, "predicted": "nevus"}
        cases.append({**case, "probability": 0.75, "largest": 1.0, "png": f"{number}.png", "npz": f"{number}.npz"})
    tree = {
        "schema": 1,
        "run_id": json.loads((run / "config.json").read_text())["run_id"],
        "count": 1,
        "checkpoint": "last",
        "method": "grad-cam",
        "title": "Grad-CAM",
        "layer": "features.conv5",
        "map_size": [16, 16],
        "scale": {"value": 0.0123456, "origin": "99th percentile of the values of 48 images"},
        "meaningless": False,
        "sentence": "AUROC 0.900: better than chance (0.5).",
        "cases": cases,
        "regions": {"all": PART, "right": PART, "wrong": PART, "sentence": "30% of the energy lies inside."},
        "sanity": {"layers": 8, "stages": [], "survives": False, "sentence": "The maps change."},
        **changed,
    }
    (folder / "explain.json").write_text(json.dumps(tree))
    return tree


def page(study: Path) -> tuple[dict[str, Any], str]:
    record = StudyRecord(study)
    summary = summarize(record)
    text = render(summary, Pictures(explained=explained_pictures(record)))
    found = re.search(r'<section id="looked-at">.*?</section>', text, re.DOTALL)
    return summary, " ".join(found[0].split()) if found else ""


def test_pictures_words_and_numbers(make_study: MakeStudy) -> None:
    study = make_study(seeds=1)
    explain(study, "baseline")
    summary, text = page(study)
    assert text.count("data:image/png;base64,") == 3
    assert "nevus/0001.png: true nevus, predicted nevus with probability 0.75" in text
    assert text.count("true class nevus") == text.count("true class melanoma") == 1
    assert text.count('<p class="note">None.</p>') == 3, "kinds without a picture say so"
    assert "30% of the energy lies inside." in text
    assert "0.300 (0.250 to 0.350)" in text
    assert "+0.060 (+0.010 to +0.110)" in text
    assert "0.600</td>" in text, "no interval where there is none"
    assert "0.0123, the 99th percentile" in text
    assert "meaningless" not in text
    told = summary["arms"]["baseline"]["explain"]
    assert told["cases"][0]["png"] == "runs/baseline/fold0-seed0/explain/0.png"
    assert summary["arms"]["dropout"]["explain"] is None
    json.dumps(summary, allow_nan=False)


def test_maps_that_are_not_to_be_used_are_marked(make_study: MakeStudy) -> None:
    study = make_study(seeds=1)
    explain(study, "baseline", meaningless=True, sentence="AUROC 0.5: its maps mean nothing.")
    survives = {"layers": 8, "stages": [], "survives": True, "sentence": "Do not use them."}
    explain(study, "dropout", sanity=survives, regions=None)
    _, text = page(study)
    baseline, dropout = text.split("<h3>dropout</h3>")
    assert "These maps are meaningless.</b> AUROC 0.5: its maps mean nothing." in baseline
    assert "do not depend on what was learned" not in baseline
    assert "do not depend on what was learned.</b> Do not use them." in dropout
    assert "<table" not in dropout


def test_a_network_whose_maps_are_all_empty(make_study: MakeStudy) -> None:
    study = make_study(seeds=1)
    empty = {"layers": 8, "stages": [], "survives": None, "sentence": "The maps are empty."}
    nothing = {name: dict.fromkeys(("value", "low", "high")) for name in ("energy", "excess", "pointing", "beyond")}
    part = {"images": 3, "empty": 3, "area": None, "others": None, "overlap": None, **nothing}
    regions = {"all": part, "right": part, "wrong": part, "sentence": "All 3 maps are empty."}
    explain(study, "baseline", sanity=empty, regions=regions, scale={"value": 0.0, "origin": "largest value"})
    _, text = page(study)
    assert "The maps are empty." in text
    assert "All 3 maps are empty." in text


def test_regions_are_set_against_those_of_other_images_and_those_of_an_older_version_are_not_believed(
    make_study: MakeStudy,
) -> None:
    study = make_study(seeds=1)
    older = {name: value for name, value in PART.items() if name not in ("others", "beyond", "overlap", "p")}
    claim = "the network looks there more than chance would."
    explain(study, "baseline")
    explain(study, "dropout", regions={"all": older, "right": older, "wrong": older, "sentence": claim})
    _, text = page(study)
    assert "energy − others" in text
    assert "+0.060 (+0.010 to +0.110)" in text
    assert claim not in text
    assert "An earlier version of Diascope compared these maps with the area of the regions alone" in text


def test_the_least_sure_are_not_called_borderline(make_study: MakeStudy) -> None:
    study = make_study(seeds=1)
    tree = explain(study, "baseline")
    as_once = [{**case, "kind": case["kind"].replace("least-sure", "borderline")} for case in tree["cases"]]
    (study / "runs/baseline/fold0-seed0/explain/explain.json").write_text(json.dumps({**tree, "cases": as_once}))
    summary, text = page(study)
    assert text.count("data:image/png;base64,") == 3
    assert "least sure first" in text
    assert "orderline" not in text
    told = summary["arms"]["baseline"]["explain"]["cases"]
    assert [case["kind"] for case in told] == ["right", "wrong", "least-sure"]


@pytest.mark.parametrize("harm", ["another run", "a picture is gone", "damaged", "older schema"])
def test_what_is_not_of_this_run_or_not_whole_is_left_out(make_study: MakeStudy, harm: str) -> None:
    study = make_study(seeds=1)
    tree = explain(study, "baseline")
    folder = study / "runs/baseline/fold0-seed0/explain"
    if harm == "another run":
        (folder / "explain.json").write_text(json.dumps({**tree, "run_id": "another"}))
    elif harm == "older schema":
        (folder / "explain.json").write_text(json.dumps({**tree, "schema": 0}))
    elif harm == "damaged":
        (folder / "explain.json").write_text('{"cases": [')
    else:
        (folder / "1.png").unlink()
    record = StudyRecord(study)
    assert explained_pictures(record) == {}
    assert summarize_explanations(record, record.runs_of("baseline")) is None


def test_the_checklist_says_what_was_explained_and_of_which_arms(make_study: MakeStudy) -> None:
    study = make_study(seeds=2)

    def row() -> dict[str, Any]:
        rows = checklist(summarize(StudyRecord(study)), ReportConfig())
        return next(row for row in rows if row["key"] == "explainability")

    assert (row()["status"], row()["text"]) == ("not reported", "The summary holds no explanations of predictions.")
    explain(study, "dropout")
    made = "Grad-CAM at layer features.conv5 of fold0-seed0 (last epoch; one of 2 trainings), 3 images shown."
    checked = "The maps change. 30% of the energy lies inside."
    assert row()["status"] == "from the study"
    assert row()["text"] == f"Dropout: {made} {checked} Without explanations: baseline."
    explain(study, "baseline", meaningless=True, sentence="They mean nothing.", regions=None)
    assert row()["text"] == f"Baseline: {made} They mean nothing. The maps change. Dropout: {made} {checked}"


def test_no_explanations_no_section(make_study: MakeStudy) -> None:
    assert page(make_study(seeds=1))[1] == ""
