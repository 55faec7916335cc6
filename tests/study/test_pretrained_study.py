"""Studies of pretrained networks from the file to the run folders: heads together, arms that begin with others."""

import csv
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pretraining import CPU, TEXT, TUNED, cells_of, tasks_of, train
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from diascope.data.store import entries
from diascope.engine import RunTask, execute, execute_together, load_model, predict_rows, together_key
from diascope.engine.network import new_network
from diascope.errors import ConfigError, RunError
from diascope.features import FeatureSource, open_features
from diascope.models.backbone import load_backbone
from diascope.runs.folder import HISTORY_COLUMNS, RunFolder
from diascope.study.checks import other_sizes
from diascope.study.executors import Event, Failed, Finished, Started
from diascope.study.executors.processes import ProcessExecutor
from diascope.study.executors.serial import SerialExecutor
from diascope.study.extraction import prepare_features
from diascope.study.sharing import share
from diascope.studyfile import parse_study
from diascope.training.loop import Epoch


def history(folder: Path) -> list[dict[str, float]]:
    """Without the seconds."""
    with (folder / "history.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [{name: row[name] for name in HISTORY_COLUMNS if name != "seconds"} for row in rows]


def predictions(folder: Path, checkpoint: str) -> np.ndarray:
    with (folder / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["checkpoint"] == checkpoint]
    return np.array([float(row["p_melanoma"]) for row in rows])


TWO = "{model: {mode: finetune, unfreeze: 2}}"
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


# ---- heads together ----

HEADS = """{
  adam: {}, sgd: {training.optimizer: sgd, training.momentum: 0.9}, slow: {training.learning_rate: 1e-3},
  plain: {model.dropout: 0}, stops: {training.learning_rate: 0.2, training.early_stopping: 2},
  weighted: {training.class_weights: balanced, training.label_smoothing: 0.1}
}"""


def test_heads_together_have_the_histories_of_heads_alone(tmp_path: Path) -> None:
    settings = ("seeds=2", "training.epochs=20")
    together = tasks_of(tmp_path / "together", HEADS, *settings)
    alone = tasks_of(tmp_path / "alone", HEADS, *settings)
    assert len({together_key(task) for task in together}) == 1
    assert all(isinstance(event, Event) for event in SerialExecutor("cpu")(together))
    for one, other in zip(together, alone, strict=True):
        train(other)
        first, second = history(one.folder), history(other.folder)
        assert len(first) == len(second)
        for row, expected in zip(first, second, strict=True):
            assert row == pytest.approx(expected, abs=1e-5), one.name
        np.testing.assert_allclose(predictions(one.folder, "last"), predictions(other.folder, "last"), atol=1e-4)
    stopped = [
        json.loads((task.folder / "done.json").read_text())["epochs"] for task in together if task.arm == "stops"
    ]
    assert max(stopped) < 20


def test_heads_that_are_cut_go_on_together(tmp_path: Path) -> None:
    whole = tasks_of(tmp_path / "whole", HEADS, "training.epochs=6")
    cut = tasks_of(tmp_path / "cut", HEADS, "training.epochs=6")
    list(execute_together(whole, device="cpu"))
    for _ in range(40):
        left = [task for task in cut if not RunFolder(task.folder).done.exists()]
        if not left:
            break
        told = execute_together(left, device="cpu")
        for _ in range(len(left) + 1):
            next(told, None)
        told.close()  # type: ignore[attr-defined]
    for one, other in zip(whole, cut, strict=True):
        for row, expected in zip(history(other.folder), history(one.folder), strict=True):
            assert row == pytest.approx(expected, abs=1e-5)


def test_a_head_that_fails_does_not_end_the_others(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, "{good: {}, bad: {training.optimizer: sgd, training.learning_rate: 1e30}}")
    events = list(SerialExecutor("cpu")(tasks))
    ended = {event.task.arm: type(event) for event in events if isinstance(event, Finished | Failed)}
    assert ended == {"good": Finished, "bad": Failed}
    assert "training loss is nan" in RunFolder(tasks[1].folder).error.read_text()


def test_workers_share_the_heads_and_each_is_told(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, HEADS)
    events = list(ProcessExecutor(2, "cpu")(tasks))
    for kind in (Started, Finished):
        assert sorted(event.task.name for event in events if isinstance(event, kind)) == sorted(
            task.name for task in tasks
        )


def test_which_runs_train_together(tmp_path: Path) -> None:
    arms = """{head: {}, other-rate: {training.learning_rate: 1e-3}, wider: {model.dense: [9]}, bf: {training.precision:
      bf16}, logistic: {model.head: logistic, model.dense: null, model.dropout: 0}, tuned: {model.mode: finetune},
      online: {augmentation.horizontal_flip: 0.5, model.augmented_copies: 0}, large: {model.dense: [100000]},
      net: {model.name: alexnet}}"""
    keys = {task.arm: together_key(task) for task in tasks_of(tmp_path, arms)}
    assert keys["head"] == keys["other-rate"] is not None
    assert len({keys["head"], keys["wider"], keys["bf"]}) == 3
    assert [arm for arm, key in keys.items() if key is None] == ["logistic", "tuned", "online", "large", "net"]


# ---- arms that begin with others ----


def happens(tasks: Sequence[RunTask]) -> list[tuple[str, str]]:
    events = share(SerialExecutor("cpu"), tasks)
    return [
        (type(event).__name__, event.task.arm) for event in events if isinstance(event, Started | Finished | Failed)
    ]


def test_an_arm_begins_with_another_ones_best_weights(tmp_path: Path) -> None:
    tuned, head = tasks_of(tmp_path, f"{{tuned: {TUNED}, head: {{}}}}")
    assert happens([tuned, head]) == [
        ("Started", "head"),
        ("Finished", "head"),
        ("Started", "tuned"),
        ("Finished", "tuned"),
    ]
    first = new_network(tuned).state_dict()
    for name, tensor in load_file(RunFolder(head.folder).best).items():
        assert torch.equal(first[f"head.{name}"], tensor)
    assert history(tuned.folder)[0]["validation_loss"] != history(head.folder)[0]["validation_loss"]


def test_what_an_arm_begins_with_is_part_of_its_identity(tmp_path: Path) -> None:
    arms = f"{{head: {{}}, tuned: {TUNED}}}"
    before = {task.arm: task.run_id for task in tasks_of(tmp_path, arms)}
    after = {
        task.arm: task.run_id for task in tasks_of(tmp_path, arms.replace("head: {}", "head: {training.epochs: 4}"))
    }
    assert before["head"] != after["head"]
    assert before["tuned"] != after["tuned"]


@pytest.mark.parametrize("unfreeze", ["2", "all"])
def test_more_blocks_may_learn_than_in_the_run_before(unfreeze: str, tmp_path: Path) -> None:
    arms = (
        "{one: {model: {mode: finetune}}, "
        f"more: {{model: {{mode: finetune, unfreeze: {unfreeze}}}, training.start_from: 'arm:one'}}}}"
    )
    one, more = tasks_of(tmp_path, arms)
    plain = new_network(replace(more, start=None)).state_dict()
    train(one)
    best = load_file(RunFolder(one.folder).best)
    begun = new_network(more).state_dict()
    assert set(best) < set(begun)
    for name, tensor in begun.items():
        assert torch.equal(tensor, best.get(name, plain[name])), name
    assert any(not torch.equal(best[name], plain[name]) for name in best if name.startswith("backbone."))


def test_a_head_goes_on_behind_the_weights_that_it_learned_behind_and_no_others(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_weights(tmp_path / f"{name}.safetensors", ord(name))
    (tmp_path / "same.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes())
    arms = (
        "{{head: {{model.weights: {0}/a.safetensors}}, tuned: {{model: {{mode: finetune, "
        "weights: {0}/{1}.safetensors}}, training.start_from: 'arm:head'}}}}"
    )
    assert len(cells_of(tmp_path, arms.format(tmp_path, "same"))) == 2
    with pytest.raises(RunError, match=r"arm tuned: .*arm head: model\.weights"):
        cells_of(tmp_path, arms.format(tmp_path, "b"))


def test_a_head_that_learned_behind_drawn_weights_goes_on_behind_the_same_ones(tmp_path: Path) -> None:
    (first,) = tasks_of(tmp_path / "first", "{head: {}}")
    train(first)
    paths = [first.data.paths[row] for row in first.data.training]
    (tmp_path / "first/folds.json").write_text(json.dumps({"folds": [{"training": paths}]}))
    arms = f"{{tuned: {{model.mode: finetune, training.start_from: {first.folder}}}}}"
    assert len(cells_of(tmp_path / "same", arms)) == 1
    with pytest.raises(RunError, match=r'model\.weights "random 0", not "random 1"'):
        cells_of(tmp_path / "other", arms, "seeds=2")


def test_when_the_first_run_fails_the_other_is_told_so(tmp_path: Path) -> None:
    arms = f"{{head: {{training.optimizer: sgd, training.learning_rate: 1e30}}, tuned: {TUNED}}}"
    tasks = tasks_of(tmp_path, arms)
    told = list(share(SerialExecutor("cpu"), tasks))
    failed = {event.task.arm: event.problem for event in told if isinstance(event, Failed)}
    assert "training loss is nan" in failed["head"]
    assert "the run that it begins with did not finish" in failed["tuned"]


@pytest.mark.parametrize(
    ("arms", "said"),
    [
        ("{a: {training.start_from: 'arm:bb'}, b: {}}", "the study has no arm 'bb'; did you mean 'b'"),
        ("{a: {training.start_from: 'arm:b'}, b: {training.start_from: 'arm:a'}}", "a and b begin with one another"),
        (
            "{a: {}, b: {training.start_from: 'arm:a', model.dense: [9]}}",
            r"arm b: .*, arm a: model.dense \[8\], not \[9",
        ),
        ("{a: {training.start_from: 'arm:a'}}", "arm a: training.start_from: it begins with itself"),
        ("{a: {}, b: {data.normalize: imagenet}}", "but model.preprocessing weights scales the pixels"),
        ("{a: {model: {head: logistic, dense: null, dropout: 0}, training.mixup: 0.2}}", "training.mixup: is not for"),
        ("{a: {model: {mode: finetune, unfreeze_every: 3}}}", "unfreeze_every: is 3, but there are only 3 epochs"),
        ("{a: {model.backbone: resnet5000}}", "timm has no network resnet5000"),
        ("{a: {model.layer: 9}}", "test_resnet has 5 blocks, and no block 9"),
        (
            "{a: {}, b: {training.start_from: 'arm:a', model.layer: 2}}",
            "arm b: training.start_from: .*arm a: model.layer -1",
        ),
        (f"{{a: {TWO}, b: {{training.start_from: 'arm:a'}}}}", "arm b: .*arm a, more blocks .* model.unfreeze to 2"),
        (f"{{a: {TWO}, b: {{model.mode: finetune, training.start_from: 'arm:a'}}}}", "more blocks have learned than"),
        (
            "{a: {model.gray: adapt, data.channels: 3}}",
            "arm a: model.gray: is adapt, which is for images of one channel",
        ),
        (
            "{a: {model: {backbone: resnet18, mode: finetune, frozen_statistics: false}}}",
            "resnet18: .*batch normalization over",
        ),
    ],
)
def test_what_cannot_work_is_told_before_any_training(arms: str, said: str, tmp_path: Path) -> None:
    with pytest.raises((ConfigError, RunError), match=said):
        cells_of(tmp_path, arms)


# ---- weights and features ----


def make_weights(file: Path, seed: int) -> None:
    state = load_backbone("test_resnet", None, channels=3, image_size=(32, 32), seed=seed).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)


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

    first = key()
    assert key("training.epochs=9", "model.dense=[4]", "split.seed=1") == first
    assert key("data.image_size=33") != first
    assert key("data.resize=pad") != first
    (tmp_path / "03.png").rename(tmp_path / "renamed.png")
    names = [f"{number:02}.png" if number != 3 else "renamed.png" for number in range(12)]
    assert key(names=names) == first
    images[3, 0, 0, 0] ^= 128
    Image.fromarray(images[3]).save(tmp_path / "renamed.png")
    assert key(names=names) != first


def test_heads_that_are_left_together_go_on_from_the_epoch_that_they_had_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diascope.engine.run.SAVE_SHARE", 1e-9)  # as where saving each epoch would take too long
    tasks = tasks_of(tmp_path, "{head: {}}", "seeds=2")
    told = execute_together(tasks, device="cpu")
    for _ in range(4):
        next(told)  # two epochs of each
    told.close()  # type: ignore[attr-defined]
    again = [epoch.epoch for _, epoch in execute_together(tasks, device="cpu") if isinstance(epoch, Epoch)]
    assert again == [3, 3]


def test_a_head_that_is_not_wanted_any_more_is_left_and_no_more_is_told_of_it(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, "{head: {}}", "seeds=2")
    left = tasks[0].name
    told: list[tuple[str, int]] = []
    for task, epoch in execute_together(
        tasks, device="cpu", wanted=lambda task: task.name != left or (left, 1) not in told
    ):
        if isinstance(epoch, Epoch):
            told.append((task.name, epoch.epoch))
    assert [number for name, number in told if name == left] == [1]
    assert [number for name, number in told if name != left] == [1, 2, 3]
    assert not RunFolder(tasks[0].folder).done.exists()


def test_a_head_whose_claim_is_lost_gets_no_results_and_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tasks_of(tmp_path / "done", "{head: {}}", "seeds=2")
    lost: set[str] = set()
    told = []
    for task, what in execute_together(tasks, device="cpu", wanted=lambda task: task.name not in lost):
        if isinstance(what, Epoch) and (task, what.epoch) == (tasks[0], 3):
            lost.add(task.name)
        elif not isinstance(what, Epoch):
            told.append((task.name, what))
    assert told == [(tasks[1].name, None)]
    assert not RunFolder(tasks[0].folder).done.exists()

    monkeypatch.setattr("diascope.engine.run.SAVE_SHARE", 1e-9)
    tasks = tasks_of(tmp_path / "left", "{head: {}}", "seeds=2")
    running = execute_together(tasks, device="cpu", wanted=lambda task: task.name not in lost)
    lost.clear()
    for _ in range(4):
        next(running)  # two epochs of each
    lost.add(tasks[0].name)
    next(running)
    for task in tasks:
        RunFolder(task.folder).checkpoint.unlink(missing_ok=True)
    running.close()  # type: ignore[attr-defined]
    assert [RunFolder(task.folder).checkpoint.exists() for task in tasks] == [False, True]


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


def test_a_start_that_there_is_not_is_told_before_images_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*given: object, **named: object) -> None:
        pytest.fail("images are decoded")

    monkeypatch.setattr("diascope.study.plan.load_images", decode)
    with pytest.raises(ConfigError, match="the study has no arm 'bb'"):
        cells_of(tmp_path, "{a: {training.start_from: 'arm:bb'}, b: {}}")


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


def test_heads_share_the_time_that_checkpoints_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, saved = [0.0], []

    def save(folder: RunFolder, task: RunTask, *rest: object) -> tuple[float, float]:
        saved.append(task.name)
        return 1.0, seconds[0]  # each costs a second

    monkeypatch.setattr("diascope.engine.run.perf_counter", lambda: seconds[0])
    monkeypatch.setattr("diascope.engine.run.save_checkpoint", save)
    for heads in (1, 8):
        seconds[0] = 0.0
        saved.clear()
        tasks = tasks_of(tmp_path / str(heads), "{head: {}}", f"seeds={heads}", "training.epochs=400")
        running = execute_together(tasks, device="cpu")
        for _ in range(300):  # rounds, of one second of all of them
            for _ in range(heads):
                next(running)
            seconds[0] += 1
        share = len(saved) / 300
        assert 0.03 < share < 0.09, heads


def test_heads_that_lack_their_results_alone_get_them(tmp_path: Path) -> None:
    tasks = tasks_of(tmp_path, "{head: {}}", "seeds=2")
    told = execute_together(tasks, device="cpu")
    for _ in range(6):
        next(told)  # all epochs of both, and then away
    told.close()  # type: ignore[attr-defined]
    assert not any(RunFolder(task.folder).done.exists() for task in tasks)
    assert [what for _, what in execute_together(tasks, device="cpu")] == [None, None]
    assert all(RunFolder(task.folder).done.exists() for task in tasks)
