"""Inner folds: of the outer training side alone, by group, stratified; nothing outside has a say in the search."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from searching import search, small
from sklearn.metrics import balanced_accuracy_score

from diascope.core.errors import DataError
from diascope.data.store import MANIFEST, write_manifest
from diascope.runs.record import RunRecord
from diascope.study.executors.serial import SerialExecutor
from diascope.study.images import Images, read_images
from diascope.study.tuning.objective import Objective, inner_folds
from diascope.studyfile import Study


def read(study: Study) -> Images:
    assert study.config.search is not None
    return read_images(study)


def objective_of(study: Study, images: Images, folder: Path) -> Objective:
    assert study.config.search is not None
    return Objective(study, study.config.search, images, folder)


def test_inner_folds_are_parts_of_the_training_side_by_group() -> None:
    study = small("search.folds=3")
    assert study.config.search is not None
    images = read(study)
    outer, groups = images.folds.folds[0], np.array(images.index.groups)
    inner = inner_folds(images, study.config.search)
    assert len(inner.folds) == 3
    for fold in inner.folds:
        assert sorted([*fold.training, *fold.validation]) == outer.training.tolist()
        assert not set(groups[fold.training]) & set(groups[fold.validation])
        counts = Counter(images.index.labels[fold.validation].tolist())
        assert abs(counts[0] - counts[1]) <= 2
    judged = np.concatenate([fold.validation for fold in inner.folds])
    assert sorted(judged) == outer.training.tolist(), "each image is on one inner validation side"


def test_the_search_seed_draws_the_inner_folds() -> None:
    first, same, other = (
        inner_folds(read(study), study.config.search)  # type: ignore[arg-type]
        for study in (small(), small(), small("search.seed=1"))
    )
    assert first.folds[0].validation.tolist() == same.folds[0].validation.tolist()
    assert first.folds[0].validation.tolist() != other.folds[0].validation.tolist()


def test_too_few_images_for_the_inner_folds_are_refused_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"search\.folds 20.*choose fewer search\.folds"):
        search(tmp_path, "search.folds=20")
    assert not (tmp_path / "search").exists()


def test_a_trial_has_a_task_an_inner_fold_in_a_folder_of_its_configuration(tmp_path: Path) -> None:
    study = small()
    images = read(study)
    objective = objective_of(study, images, tmp_path)
    values = {"training.learning_rate": 1e-3, "training.batch_size": 8}
    tasks = objective.tasks(values)
    assert [task.config.fold for task in tasks] == [0, 1]
    assert {task.folder.parent for task in tasks} == {tmp_path / tasks[0].arm}
    assert tasks[0].config.training.learning_rate == 1e-3
    assert tasks[0].config.training.batch_size == 8
    seen = {row for task in tasks for side in (task.data.training, task.data.validation) for row in side.tolist()}
    assert seen == set(images.folds.folds[0].training.tolist())
    again = objective.tasks(dict(reversed(values.items())))
    assert [task.folder for task in again] == [task.folder for task in tasks]
    assert objective.tasks({**values, "training.batch_size": 4})[0].folder not in {task.folder for task in tasks}


def test_the_score_is_the_metric_on_the_inner_validation_side_at_the_last_epoch(tmp_path: Path) -> None:
    study = small("compare.metric=balanced_accuracy", "training.epochs=3", "training.learning_rate=1e-2")
    objective = objective_of(study, read(study), tmp_path)
    task = objective.tasks({})[0]
    list(SerialExecutor("cpu")([task]))
    table = RunRecord(task.arm, 0, 0, task.folder).predictions
    last = table[table["checkpoint"] == "last"]
    classes = [name.removeprefix("p_") for name in last if name.startswith("p_")]
    predicted = np.array(classes)[last[[f"p_{name}" for name in classes]].to_numpy().argmax(axis=1)]
    assert objective.score(task) == pytest.approx(balanced_accuracy_score(last["label"], predicted))
    assert objective.primary.metric == "balanced_accuracy"


def test_the_search_is_the_same_whatever_lies_outside_the_training_side(tmp_path: Path) -> None:
    before = search(tmp_path / "before").found.results
    images = read(small())
    outside = np.setdiff1d(np.arange(len(images.index)), images.folds.folds[0].training)
    assert len(outside) > 15
    for cache in {id(cache): cache for cache in images.caches.values()}.values():
        file = cache.folder / "pixels.npy"
        pixels = np.load(file)
        pixels[outside] = np.random.default_rng(0).integers(0, 256, pixels[outside].shape)
        np.save(file, pixels)
        content = json.loads((cache.folder / MANIFEST).read_text())
        write_manifest(cache.folder, content, [*content["sha256"]])
    after = search(tmp_path / "after").found.results
    strip = [(found.values, found.value, found.scores, found.state) for found in before]
    assert [(found.values, found.value, found.scores, found.state) for found in after] == strip
    mine, theirs = (
        (tmp_path / name / "runs" / "default" / "fold0-seed0" / "predictions.csv").read_text()
        for name in ("before", "after")
    )
    assert mine != theirs, "the study itself does see those images"
