"""Arms that begin with the weights of others: which may, what they take, and what is refused before training."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from pretraining import TUNED, cells_of, history, make_weights, tasks_of, train
from safetensors.torch import load_file

from diascope.core.errors import ConfigError, RunError
from diascope.engine import RunTask
from diascope.engine.initial_network import new_network
from diascope.runs.folder import RunFolder
from diascope.study.executors import Failed, Finished, Started
from diascope.study.executors.serial import SerialExecutor
from diascope.study.sharing import share

TWO = "{model: {mode: finetune, unfreeze: 2}}"


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
    with pytest.raises(RunError, match=r'model\.weights "random, version 2, seed 0", not "random, version 2, seed 1"'):
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
        (
            "{a: {training.start_from: 'arm:b'}, b: {training.start_from: 'arm:a'}}",
            "circular training.start_from: a → b → a",
        ),
        (
            "{a: {}, b: {training.start_from: 'arm:a', model.dense: [9]}}",
            r"arm b: .*, arm a: model.dense \[8\], not \[9",
        ),
        ("{a: {training.start_from: 'arm:a'}}", "arm a: circular training.start_from: a → a"),
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


def test_a_start_that_there_is_not_is_told_before_images_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decode(*given: object, **named: object) -> None:
        pytest.fail("images are decoded")

    monkeypatch.setattr("diascope.study.images.load_images", decode)
    with pytest.raises(ConfigError, match="the study has no arm 'bb'"):
        cells_of(tmp_path, "{a: {training.start_from: 'arm:bb'}, b: {}}")
