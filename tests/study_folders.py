"""Study folders written by hand, from the formats alone, for the tests of everything that only reads."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

MakeStudy = Callable[..., Path]


@pytest.fixture
def make_study(tmp_path: Path) -> MakeStudy:
    """A function that writes a study folder with plausible finished runs: 2 arms x 3 seeds unless told otherwise."""

    def make(**options: object) -> Path:
        return write_study(tmp_path / str(options.pop("folder", "study")), **options)  # type: ignore[arg-type]

    return make


def write_study(
    folder: Path,
    *,
    arms: dict[str, dict[str, object]] | None = None,
    seeds: int = 3,
    folds: int = 1,
    classes: Sequence[str] = ("nevus", "melanoma"),
    per_class: Sequence[int] | None = None,
    epochs: int = 12,
    question: str = "Does dropout raise validation accuracy?",
    data: dict[str, object] | None = None,
    test: int = 6,
    columns: dict[str, Callable[[int], str]] | None = None,
    groups: bool = True,
    more: dict[str, object] | None = None,
) -> Path:
    """`columns` are further ones of index.csv, from each image's number; `more` are further sections of study.yaml."""
    arms = {"baseline": {}, "dropout": {"model.dropout": 0.4}} if arms is None else arms
    folder.mkdir(parents=True)
    columns = columns or {}
    images = _images(classes, per_class or [40] * len(classes))
    images = images if groups else [[*row[:2], ""] for row in images]
    images_of = {"source": "phantom:skin", "group": "lesion", "classes": list(classes), "image_size": 64}
    split = {"kind": "kfold", "folds": folds} if folds > 1 else {"kind": "holdout"}
    tree = {
        "diascope": 1,
        "name": "dropout",
        "question": question,
        "data": {**images_of, **(data or {})},
        "split": split,
        "training": {"epochs": epochs},
        "seeds": list(range(seeds)),
        "arms": arms,
        **(more or {}),
    }
    with (folder / "study.yaml").open("w") as file:
        YAML().dump(tree, file)
    further = [[cell(number) for cell in columns.values()] for number in range(len(images))]
    rows = [[*row, "", *cells] for row, cells in zip(images, further, strict=True)]
    _write_table(folder / "index.csv", ["path", "label", "group", "split", *columns], rows)
    sides = _sides(images, folds, test)
    (folder / "folds.json").write_text(json.dumps({"kind": split["kind"], **sides}))
    (folder / "findings.json").write_text("[]")
    _write_samples(folder / "samples", classes)
    for number, arm in enumerate(arms):
        for fold in range(folds):
            rows = [row for row in images if row[0] in set(sides["folds"][fold]["validation"])]
            for seed in range(seeds):
                config = {**run_config(tree, arms[arm]), "fold": fold, "seed": seed}
                write_run(folder, arm, config, number, rows, classes)
    return folder


def run_config(study: dict[str, Any], overrides: dict[str, object]) -> dict[str, Any]:
    """The resolved configuration of an arm; overrides have dotted keys."""
    config = {name: dict(study.get(name, {})) for name in ("data", "split", "model", "augmentation", "training")}
    for key, value in overrides.items():
        section, _, name = key.partition(".")
        config[section][name] = value
    return config


def write_run(
    study: Path, arm: str, config: dict[str, Any], skill: int, rows: list[list[str]], classes: Sequence[str]
) -> Path:
    """One finished run; arms of a higher `skill` overfit less."""
    fold, seed, epochs = config["fold"], config["seed"], config["training"]["epochs"]
    folder = study / "runs" / arm / f"fold{fold}-seed{seed}"
    folder.mkdir(parents=True)
    generator = np.random.default_rng([fold, seed, skill])
    run_id = generator.bytes(8).hex()
    _write_json(folder / "config.json", {"run_id": run_id, "arm": arm, "classes": list(classes), "config": config})
    _write_json(folder / "provenance.json", _provenance(seed))
    _write_history(folder / "history.csv", epochs, skill, generator)
    _write_predictions(folder / "predictions.csv", rows, classes, skill, generator)
    done = {"run_id": run_id, "epochs": epochs, "best_epoch": max(1, epochs - 3), "seconds": 71.5}
    _write_json(folder / "done.json", {**done, "finished": "2026-01-02T03:05:10+00:00"})
    return folder


def _images(classes: Sequence[str], per_class: Sequence[int]) -> list[list[str]]:
    return [
        [f"{name}/{number:04d}.png", name, f"{name}-{number // 2}"]
        for name, count in zip(classes, per_class, strict=True)
        for number in range(count)
    ]


def _sides(images: list[list[str]], folds: int, test: int) -> dict[str, list]:
    paths = [row[0] for row in images]
    held, rest = paths[:: max(1, len(paths) // test)][:test] if test else [], []
    rest = [path for path in paths if path not in held]
    parts = folds if folds > 1 else 4
    validation = [rest[fold::parts] for fold in range(folds)]
    training = [[path for path in rest if path not in set(part)] for part in validation]
    both = [{"training": left, "validation": right} for left, right in zip(training, validation, strict=True)]
    return {"folds": both, "test": held}


def _provenance(seed: int) -> dict[str, object]:
    return {
        "diascope": "0.1.0",
        "python": "3.11.2",
        "torch": "2.15.0",
        "numpy": "2.4.6",
        "system": "Linux 6.1",
        "processor": "A processor <fast>",
        "cores": 2,
        "device": "cpu",
        "threads": 1,
        "precision": "fp32",
        "command": "diascope run study.yaml",
        "started": f"2026-01-02T03:04:{seed % 60:02d}+00:00",
        "finished": "2026-01-02T03:05:10+00:00",
        "seconds": 71.5,
    }


def _write_history(path: Path, epochs: int, skill: int, generator: np.random.Generator) -> None:
    progress = 1 - np.exp(-np.arange(1, epochs + 1) / (epochs / 4))
    overfit = (0.5 - 0.2 * skill / (1 + skill)) * np.linspace(0, 1, epochs) ** 2
    noise = generator.normal(0, 0.015, (6, epochs))
    training_loss = 0.69 - 0.5 * progress + noise[0] / 2
    validation_loss = 0.69 - 0.25 * progress + overfit + noise[1]
    training = 0.5 + 0.45 * progress + noise[2] / 2
    validation = 0.5 + 0.22 * progress + 0.02 * skill + noise[3]
    columns = "epoch,learning_rate,training_loss,training_accuracy,training_eval_loss,training_eval_accuracy,"
    lines = [columns + "validation_loss,validation_accuracy,seconds"]
    for k in range(epochs):
        losses = [training_loss[k], training[k], training_loss[k] - 0.03, min(1, training[k] + 0.02)]
        values = [*losses, validation_loss[k], validation[k]]
        lines.append(",".join([str(k + 1), "0.0001", *map(repr, map(float, values)), "1.4"]))
    path.write_text("\n".join(lines) + "\n")


def _write_predictions(
    path: Path, rows: list[list[str]], classes: Sequence[str], skill: int, generator: np.random.Generator
) -> None:
    table = []
    for checkpoint in ("last", "best"):
        for name, label, group in rows:
            logits = generator.normal(0, 1, len(classes)) + (1 + 0.2 * skill) * (np.array(classes) == label)
            odds = np.exp(logits)
            table.append([checkpoint, "validation", name, group, label, *map(float, odds / odds.sum())])
    header = ["checkpoint", "side", "path", "group", "label", *(f"p_{name}" for name in classes)]
    _write_table(path, header, table)


def _write_samples(folder: Path, classes: Sequence[str]) -> None:
    folder.mkdir()
    for number, name in enumerate(classes):
        for k in range(4):
            shade = 40 + 150 * number // len(classes) + 15 * k
            stem = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in name)
            Image.new("L", (64, 64), shade).save(folder / f"{stem}-{k}.png")


def _write_table(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def _write_json(path: Path, tree: object) -> None:
    path.write_text(json.dumps(tree, indent=1))
