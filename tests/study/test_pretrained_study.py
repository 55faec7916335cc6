"""Studies of pretrained networks from the file to the run folders: what is saved, weights, features."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pretraining import CPU, TEXT, TUNED, cells_of, history, make_weights, predictions, tasks_of, train
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diascope.core.errors import RunError
from diascope.data.store import entries
from diascope.engine import execute, predict_rows
from diascope.features import FeatureSource, open_features
from diascope.predict.network import load_model
from diascope.runs.folder import RunFolder
from diascope.study.compatibility import other_sizes
from diascope.study.extraction import prepare_features
from diascope.studyfile import parse_study

VARIANTS = {
    "head": "{}",
    "linear": "{model.dense: null, model.dropout: 0, model.pooling: flatten}",
    "logistic": "{model.head: logistic, model.dense: null, model.dropout: 0}",
    "plain": "{model.preprocessing: none}",
    "standard": "{model.preprocessing: none, data.normalize: standard}",
    "last-block": "{model.mode: finetune}",
    "all": "{model.mode: finetune, model.unfreeze: all}",
    "copies": "{augmentation.horizontal_flip: 0.5, model.augmented_copies: 2}",
    "online": "{augmentation.horizontal_flip: 0.5, model.augmented_copies: 0}",
    "tuned-copies": "{model.mode: finetune, augmentation.horizontal_flip: 0.5, model.augmented_copies: 2}",
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_saved_network_gives_from_images_what_the_run_predicted(variant: str, tmp_path: Path) -> None:
    """What was trained behind stored features is, put together, a network that takes pixels."""
    (task,) = tasks_of(tmp_path, f"{{{variant}: {VARIANTS[variant]}}}")
    train(task)
    pixels = np.load(task.data.pixels)[task.data.validation]  # type: ignore[arg-type]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    for checkpoint in ("last", "best"):
        with torch.no_grad():
            found = torch.sigmoid(load_model(task.folder, checkpoint)(images)).squeeze(1)
        np.testing.assert_allclose(found, predictions(task.folder, checkpoint), atol=2e-5)
    judged = predict_rows(task, task.data.validation, "last", CPU)[:, 1]
    np.testing.assert_allclose(judged, predictions(task.folder, "last"), atol=1e-6)


def test_only_what_learns_is_saved(tmp_path: Path) -> None:
    head, tuned = tasks_of(tmp_path, f"{{head: {{}}, tuned: {TUNED}}}")
    train(head)
    train(tuned)
    assert set(load_file(RunFolder(head.folder).best)) == {
        f"{layer}.{kind}" for layer in ("dense1", "output") for kind in ("weight", "bias")
    }
    assert not [name for name in load_file(RunFolder(tuned.folder).best) if "layer1" in name or "layer2" in name]


@pytest.mark.parametrize("arm", [TUNED.replace("training.start_from: 'arm:head'", "model.unfreeze_every: 1"), "{}"])
def test_a_run_that_is_cut_after_every_epoch_ends_with_the_same_bits(arm: str, tmp_path: Path) -> None:
    (whole,) = tasks_of(tmp_path / "whole", f"{{arm: {arm}}}")
    (cut,) = tasks_of(tmp_path / "cut", f"{{arm: {arm}}}")
    train(whole)
    while not RunFolder(cut.folder).done.exists():
        epochs = execute(cut, device="cpu")
        next(epochs, None)
        epochs.close()  # type: ignore[attr-defined]
    assert history(cut.folder) == history(whole.folder)
    for name in ("last.safetensors", "best.safetensors", "predictions.csv"):
        assert (cut.folder / name).read_bytes() == (whole.folder / name).read_bytes()


def test_other_weights_than_a_run_was_trained_behind_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "weights.safetensors"
    make_weights(file, 0)
    (task,) = tasks_of(tmp_path, f"{{head: {{model.weights: {file}}}}}")
    train(task)
    load_model(task.folder)
    make_weights(file, 1)
    with pytest.raises(RunError, match="holds other weights than this run was trained behind"):
        load_model(task.folder)
    (cell,) = cells_of(tmp_path, f"{{head: {{model.weights: {file}}}}}")
    assert (cell.state, cell.why) == ("stale", f"{file} holds other weights than it did")


def test_images_of_another_size_than_the_weights_know_are_noted(tmp_path: Path) -> None:
    make_weights(tmp_path / "w.safetensors", 0)
    arms = f"{{a: {{model.weights: {tmp_path}/w.safetensors}}, drawn: {{}}, net: {{model.name: alexnet}}}}"
    for size, sentences in ((32, 1), (160, 0)):
        study = parse_study(f"{TEXT}arms: {arms}", [f"data.image_size={size}"], where="tiny.yaml", folder=tmp_path)
        found = other_sizes(study)
        assert len(found) == sentences
        for finding in found:
            assert "of 160 x 160 pixels, and these have 32 x 32 (arms a)" in finding.sentence


def test_where_the_weights_lie_is_no_part_of_a_run_but_what_is_in_them(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_weights(tmp_path / f"{name}.safetensors", seed)
    arms = ", ".join(f"{name}: {{model.weights: {tmp_path}/{name}.safetensors}}" for name in "abc")
    a, b, c = (cell.task.run_id for cell in cells_of(tmp_path, f"{{{arms}}}"))
    assert a == b != c


def test_arms_folds_and_seeds_share_features_unless_the_weights_are_drawn(tmp_path: Path) -> None:
    make_weights(tmp_path / "w.safetensors", 0)
    settings = ("seeds=2", "split={kind: kfold, folds: 2}")

    def keys(arms: str) -> list[str]:
        sources = [cell.task.data.features for cell in cells_of(tmp_path, arms, *settings)]
        return [source.key() for source in sources if isinstance(source, FeatureSource)]

    file = f"model.weights: {tmp_path}/w.safetensors"
    of_file = keys(f"{{a: {{{file}}}, b: {{{file}, model.dense: [9]}}}}")
    assert (len(of_file), len(set(of_file))) == (8, 1)
    drawn = keys("{a: {}, b: {model.dense: [9]}}")
    assert (len(drawn), len(set(drawn))) == (8, 4)


def test_progress_of_features_counts_what_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "cache"))
    arms = "{a: {}, b: {model.dense: [9]}, c: {augmentation.horizontal_flip: 0.5, model.augmented_copies: 2}}"
    tasks = [cell.task for cell in cells_of(tmp_path, arms)]
    told: list[tuple[int, int]] = []
    prepare_features(tasks, CPU, lambda done, total: told.append((done, total)))
    images = len(tasks[0].data.paths)
    assert told[-1] == (3 * images, 3 * images)
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    told.clear()
    for manifest in tmp_path.glob("cache/features/*/manifest.json"):
        os.utime(manifest, (1000, 1000))
    prepare_features(tasks, CPU, lambda done, total: told.append((done, total)))
    assert not told
    features = [entry for entry in entries() if entry.kind == "features"]
    assert features
    assert min(entry.used for entry in features) > 1000  # what is there and taken is used


def test_an_augmented_copy_is_taken_for_each_image_in_each_epoch(tmp_path: Path) -> None:
    from diascope.engine.sides import Sides
    from diascope.features import open_features

    (task,) = tasks_of(tmp_path, "{a: {augmentation.horizontal_flip: 0.5, model.augmented_copies: 3}}")
    sides, images = Sides(task, CPU), len(task.data.paths)
    assert task.data.copies is not None
    copies = open_features(task.data.copies)
    of_row = {copies[row].tobytes(): row for row in range(len(copies))}
    seen = []
    for epoch in range(4):
        rows = [of_row[features.numpy().tobytes()] for batch, _ in sides.training(epoch) for features in batch]
        assert sorted(row % images for row in rows) == sorted(task.data.training.tolist())
        seen.append(tuple(row // images for row in rows))
    assert len(set(seen)) == 4
    assert {copy for epoch in seen for copy in epoch} == {0, 1, 2}


def test_features_are_made_anew_when_an_image_or_its_size_changes_and_only_then(tmp_path: Path) -> None:
    """From the files on: renamed images, or other labels, leave the features as they are."""
    images = np.random.default_rng(0).integers(0, 256, (12, 40, 40, 3)).astype(np.uint8)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(tmp_path / f"{number:02}.png")

    def key(*settings: str, names: Sequence[str] | None = None) -> str:
        names = names or [f"{number:02}.png" for number in range(12)]
        rows = [f"{name},{'ab'[number % 2]}" for number, name in enumerate(names)]
        (tmp_path / "m.csv").write_text("\n".join(["path,label", *rows]) + "\n")
        data = f"data={{source: {tmp_path}/m.csv, image_size: 32, channels: 3}}"
        (cell,) = cells_of(tmp_path, "{a: {}}", data, *settings)
        assert isinstance(cell.task.data.features, FeatureSource)
        return cell.task.data.features.key()

    assert key("split.seed=1") != key()  # random weights are fitted to the training side
    make_weights(tmp_path / "w.safetensors", 0)
    file = f"model.weights={tmp_path}/w.safetensors"
    first = key(file)
    assert key(file, "training.epochs=9", "model.dense=[4]", "split.seed=1") == first
    assert key(file, "data.image_size=33") != first
    assert key(file, "data.resize=pad") != first
    (tmp_path / "03.png").rename(tmp_path / "renamed.png")
    names = [f"{number:02}.png" if number != 3 else "renamed.png" for number in range(12)]
    assert key(file, names=names) == first
    images[3, 0, 0, 0] ^= 128
    Image.fromarray(images[3]).save(tmp_path / "renamed.png")
    assert key(file, names=names) != first


def test_a_logistic_regression_judges_as_scikit_learn_does_even_on_features_of_bf16(tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, f"{{logistic: {VARIANTS['logistic']}}}", "training.precision=bf16")
    train(task)
    values, data = open_features(task.data.features).astype(np.float64), task.data  # type: ignore[arg-type]
    expected = make_pipeline(StandardScaler(), LogisticRegression(max_iter=10_000))
    expected.fit(values[data.training], data.labels[data.training])
    found = predictions(task.folder, "last")
    np.testing.assert_allclose(found, expected.predict_proba(values[data.validation])[:, 1], atol=1e-5)
    again = predict_rows(task, data.validation, "last", CPU)[:, 1]
    np.testing.assert_allclose(again, found, atol=1e-6)
    (epoch,) = history(task.folder)
    assert epoch["validation_loss"] == pytest.approx(log_loss(data.labels[data.validation], found), abs=1e-5)


def test_a_checkpoint_that_counts_other_things_is_of_another_version_and_begins_anew(tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, "{head: {}}")
    running = execute(task, device="cpu")
    next(running)
    running.close()  # type: ignore[attr-defined]
    file = RunFolder(task.folder).checkpoint
    saved = torch.load(file, weights_only=True)
    saved["state"]["stopping"]["of another version"] = 1
    torch.save(saved, file)
    assert [epoch.epoch for epoch in execute(task, device="cpu")] == [1, 2, 3]
