"""Heads that train together: as each would alone, cut, failing, unwanted; and what their checkpoints cost."""

import json
from pathlib import Path

import numpy as np
import pytest
from pretraining import history, predictions, tasks_of, train

from diascope.engine import RunTask, execute_together, together_key
from diascope.runs.folder import RunFolder
from diascope.study.executors import Event, Failed, Finished, Started
from diascope.study.executors.processes import ProcessExecutor
from diascope.study.executors.serial import SerialExecutor
from diascope.training.loop import Epoch

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
      online: {augmentation.horizontal_flip: 0.5, model.augmented_copies: 0}, large: {model.dense: [65536]},
      net: {model.name: alexnet}}"""
    keys = {task.arm: together_key(task) for task in tasks_of(tmp_path, arms)}
    assert keys["head"] == keys["other-rate"] is not None
    assert len({keys["head"], keys["wider"], keys["bf"]}) == 3
    assert [arm for arm, key in keys.items() if key is None] == ["logistic", "tuned", "online", "large", "net"]


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


def test_heads_share_the_time_that_checkpoints_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds, saved = [0.0], []

    def save(folder: RunFolder, task: RunTask, *rest: object) -> tuple[float, float]:
        saved.append(task.name)
        return 1.0, seconds[0]  # each costs a second

    monkeypatch.setattr("diascope.engine.run.perf_counter", lambda: seconds[0])
    monkeypatch.setattr("diascope.engine.run.save_checkpoint", save)
    rounds = 200  # of one second of all of them
    for heads in (1, 4):
        seconds[0] = 0.0
        saved.clear()
        tasks = tasks_of(tmp_path / str(heads), "{head: {}}", f"seeds={heads}", "training.epochs=300")
        running = execute_together(tasks, device="cpu")
        for _ in range(rounds):
            for _ in range(heads):
                next(running)
            seconds[0] += 1
        share = len(saved) / rounds
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
