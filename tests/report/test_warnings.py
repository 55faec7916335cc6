"""What the top of a report warns of: what the audit knew before, and networks that are sure of what is wrong."""

import csv
import json

import numpy as np
from study_folders import MakeStudy

from diascope.report.page import render
from diascope.report.summary import summarize
from diascope.runs.folder import RunFolder
from diascope.runs.record import StudyRecord
from diascope.runs.seal import KEY, digests

CORNER = "The upper left corner alone tells the classes apart: AUROC 0.99. Look at the mean corners."
LEAK = "3 pictures (6 images) lie on two sides of the split, such as a.png and b.png: known by heart. Remove them."


def finding(code: str, severity: str, sentence: str, outcome: str = "issue") -> dict[str, object]:
    return {"code": code, "severity": severity, "outcome": outcome, "sentence": sentence, "evidence": {}}


def test_what_the_audit_knew_of_the_scores_stands_at_the_top(make_study: MakeStudy) -> None:
    folder = make_study(epochs=2, seeds=2)
    found = [
        finding("corners-predict-label", "warning", CORNER),
        finding("leak-duplicates", "warning", LEAK),
        finding("column-predicts-label", "warning", "Column age alone tells the classes apart. Compare within it."),
        finding("brightness-predicts-label", "info", "The mean brightness alone tells the classes apart. It may."),
        finding("size-predicts-label", "info", "The size of the images does not.", outcome="passed"),
        finding("blurred-images", "warning", "5 images are blurred. Look at them."),
    ]
    (folder / "findings.json").write_text(json.dumps(found))
    summary = summarize(StudyRecord(folder))
    assert summary["warnings"] == [
        "Known before the training, and accepted: 3 pictures (6 images) lie on two sides of the split, such as a.png "
        "and b.png: known by heart.",
        "Known before the training: The upper left corner alone tells the classes apart: AUROC 0.99. Whether a network "
        "uses it, diascope probe tells.",
    ]
    page = render(summary)
    assert page.index("Known before the training") < page.index('href="#findings"') < page.index('id="findings"')


def test_what_arms_begin_with_was_chosen_on_the_side_that_judges(make_study: MakeStudy) -> None:
    begun = {"training.start_from": "arm:features"}
    summary = summarize(StudyRecord(make_study(arms={"features": {}, "fine-tuned": begun, "longer": begun}, seeds=2)))
    assert summary["warnings"] == [
        "Optimistic: fine-tuned and longer began with the best epoch of features, which was chosen on the validation "
        "images that these scores are of; the remedy is the test side (split.test, then diascope test)."
    ]
    elsewhere = {"features": {}, "other": {"training.start_from": "../a/runs/b/fold0-seed0"}}
    assert summarize(StudyRecord(make_study(folder="elsewhere", arms=elsewhere, seeds=2)))["warnings"] == []


def test_probabilities_that_are_surely_wrong_are_named(make_study: MakeStudy) -> None:
    folder = make_study(epochs=2, seeds=2)
    losses = []
    for path in folder.glob("runs/dropout/*/predictions.csv"):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        for number, row in enumerate(rows):
            right = float(number % 2) * 0.9998 + 0.0001
            own, other = ("p_nevus", "p_melanoma") if row["label"] == "nevus" else ("p_melanoma", "p_nevus")
            row |= {own: f"{right:.4f}", other: f"{1 - right:.4f}"}
        losses.append(-np.mean([np.log(float(row[f"p_{row['label']}"])) for row in rows if row["side"] == "validation"
                                and row["checkpoint"] == "last"]))  # fmt: skip
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (warning,) = summarize(StudyRecord(folder))["warnings"]
    assert warning.startswith(f"Far too sure: the validation loss at the last epoch is dropout {np.mean(losses):.3f}")
    assert f"the same probability would have {np.log(2):.3f}." in warning


def test_files_that_are_not_what_a_run_wrote_are_named_at_the_top_and_in_the_provenance(make_study: MakeStudy) -> None:
    folder = make_study(epochs=2, seeds=2)
    for run in StudyRecord(folder).runs:
        if run.arm == "dropout":
            done = json.loads((run.folder / "done.json").read_text())
            (run.folder / "done.json").write_text(json.dumps({**done, KEY: digests(RunFolder(run.folder))}))
    assert summarize(StudyRecord(folder))["integrity"] == {"verified": 2, "without_digests": 2, "changed": {}}
    file = folder / "runs" / "dropout" / "fold0-seed1" / "predictions.csv"
    file.write_text(file.read_text().replace("0.9", "0.8", 1))
    summary = summarize(StudyRecord(folder))
    assert summary["warnings"][0].startswith("Changed, or damaged, after the run ended: dropout fold0-seed1: predic")
    page = render(summary)
    assert "verified for 1 run (SHA-256" in page
    assert "cannot be verified for 2 of an earlier version; changed: dropout fold0-seed1 (predictions.csv)" in page
