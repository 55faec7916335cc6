"""`diascope tune` from end to end: trials, early ends, failures, going on, and what it leaves."""

import csv
import json
from pathlib import Path

import pytest
from searching import Quiet, search, small

from diascope.app.tune import OfTrial
from diascope.core.errors import ConfigError, RunError
from diascope.data.store import entries
from diascope.report.summary import summarize
from diascope.runs.folder import RunFolder
from diascope.runs.record import StudyRecord
from diascope.study.executors import Started
from diascope.studyfile import load_study


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "search" / "trials.csv").read_text().splitlines()))


def test_a_search_leaves_its_trials_a_study_file_and_the_study_of_it(tmp_path: Path) -> None:
    display = Quiet()
    tuned = search(tmp_path, display=display)
    rows = table(tmp_path)
    assert [row["trial"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert (rows[0]["training.learning_rate"], rows[0]["training.batch_size"]) == ("0.0001", "4"), "the first arm"
    assert len(display.ended) == 5
    for row in rows:
        if row["state"] == "complete":
            assert float(row["value"]) == pytest.approx((float(row["fold0"]) + float(row["fold1"])) / 2)
    best = max((row for row in rows if row["value"]), key=lambda row: (float(row["value"]), -int(row["trial"])))
    assert tuned.found.best.number == int(best["trial"])
    assert not tuned.outcome.failed

    study = load_study(tmp_path / "tuned.yaml")
    assert (study.config.search, study.config.compare.margin, study.config.question) == (None, 0.02, "Which rate?")
    arms = {arm.name: arm for arm in study.arms}
    assert arms["default"].training.learning_rate == 1e-4
    assert arms["default"].model.dropout == 0
    if not tuned.found.is_default:
        assert arms["tuned"].training.learning_rate == float(best["training.learning_rate"])
        assert arms["tuned"].training.batch_size == int(best["training.batch_size"])
    for name in arms:
        run = RunFolder(tmp_path / "runs" / name / "fold0-seed0")
        assert run.done.exists()


def test_the_same_command_trains_nothing_again_and_more_trials_can_follow(tmp_path: Path) -> None:
    search(tmp_path)
    first, text = table(tmp_path), (tmp_path / "tuned.yaml").read_text()
    display = Quiet()
    search(tmp_path, display=display)
    assert display.events == []
    assert table(tmp_path) == first
    assert (tmp_path / "tuned.yaml").read_text() == text
    display = Quiet()
    search(tmp_path, "search.trials=6", "seeds=1", display=display)
    assert len(display.ended) == 1
    assert [row["value"] for row in table(tmp_path)][:5] == [row["value"] for row in first]


@pytest.mark.parametrize(
    "change",
    ["search.space.training.batch_size=[4, 12]", "search.folds=3", "training.epochs=3", "compare.metric=auroc"],
)
def test_a_folder_takes_no_other_search(tmp_path: Path, change: str) -> None:
    search(tmp_path, "search.trials=1")
    with pytest.raises(RunError, match="it holds a search that differs in"):
        search(tmp_path, "search.trials=1", change)


def test_the_folds_of_a_trial_that_is_ended_early_are_not_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = {1: [0.9, 0.8], 2: [0.7, 0.9], 3: [0.1, 0.9], 4: [0.85, 0.7], 5: [0.2, 0.9]}
    display = Quiet()
    order: list[Path] = []

    def score(_: object, task: object) -> float:
        folder = task.folder.parent  # type: ignore[attr-defined]
        if folder not in order:
            order.append(folder)
        return scores[order.index(folder) + 1][task.config.fold]  # type: ignore[attr-defined]

    monkeypatch.setattr("diascope.study.tuning.objective.Objective.score", score)
    tuned = search(tmp_path, display=display)
    assert [ended.state for ended in display.ended] == ["complete", "complete", "pruned", "complete", "pruned"]
    begun = [(number, event.task.config.fold) for event, number in display.events if isinstance(event, Started)]
    assert begun == [(1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (4, 0), (4, 1), (5, 0)]
    assert tuned.found.best.number == 1
    assert tuned.found.is_default
    assert [*load_study(tmp_path / "tuned.yaml").config.arms] == ["default"], "there is nothing to compare it with"
    assert json.loads((tmp_path / "search" / "search.json").read_text())["counts"]["pruned"] == 2


def test_weights_of_trials_are_not_kept_but_predictions_are(tmp_path: Path) -> None:
    search(tmp_path, "search.trials=2")
    runs = list((tmp_path / "search" / "trials").glob("*/fold*"))
    assert len(runs) == 4
    for run in runs:
        assert {file.suffix for file in run.glob("[!.]*")} == {".json", ".csv"}


def test_trials_that_fail_are_counted_and_the_search_goes_on(tmp_path: Path) -> None:
    display = Quiet()
    search(tmp_path, space="{training.learning_rate: [1e-4, 1e30]}", display=display)
    states = {json.loads(row["training.learning_rate"]): row["state"] for row in table(tmp_path)}
    assert states == {1e-4: "complete", 1e30: "failed"}
    (failed,) = [row for row in table(tmp_path) if row["state"] == "failed"]
    assert "training loss" in failed["problem"]
    assert "1 failed" in summarize(StudyRecord(tmp_path))["search"]["sentences"][0]


def test_a_search_in_which_nothing_works_says_why(tmp_path: Path) -> None:
    settings = (
        "search.space={training.learning_rate: {low: 1e28, high: 1e30}}",
        "search.trials=9",
        "training.epochs=3",
    )
    with pytest.raises(RunError, match=r"the first 5 trials.*training loss"):
        search(tmp_path, *settings)
    assert not (tmp_path / "tuned.yaml").exists()


def test_images_may_change_from_trial_to_trial_and_a_small_space_is_tried_as_a_whole(tmp_path: Path) -> None:
    display = Quiet()
    search(tmp_path, space="{data.image_size: [16, 20], training.batch_size: [4, 8]}", display=display)
    assert len(display.ended) == 4
    assert {ended.state for ended in display.ended} <= {"complete", "pruned"}


def test_a_network_that_does_not_take_the_images_is_refused_before_any_training(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"search\.space with model\.name \"vgg\".*16 x 16") as caught:
        search(tmp_path, space="{model.name: [alexnet, vgg], training.batch_size: [4, 8]}")
    assert "image_size" in caught.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_study_without_a_space_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no section search; add `search: \{space"):
        search(tmp_path, "search=null")


def test_ctrl_c_lets_go_of_the_trial_and_the_next_command_goes_on_with_it(tmp_path: Path) -> None:
    class Impatient(Quiet):
        def __call__(self, event: object) -> None:
            super().__call__(event)
            if isinstance(event, OfTrial) and event.number == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, display=Impatient())
    search(tmp_path)
    whole = tmp_path / "whole"
    search(whole)
    columns = ("training.learning_rate", "training.batch_size", "value", "state")
    assert [[row[name] for name in columns] for row in table(tmp_path)] == [
        [row[name] for name in columns] for row in table(whole)
    ]
    assert json.loads((tmp_path / "search" / "search.json").read_text())["begun_again"] == 1


def test_small_is_a_study_with_a_search() -> None:
    assert small().config.search is not None


def test_an_arm_that_begins_with_another_cannot_be_searched(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match="a trial has no arm 'other' to begin with; name the folder of a finished run"
    ):
        search(tmp_path, "arms.start.training.start_from=arm:other")


def test_trials_of_heads_share_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two poolings behind random backbones that are fitted to two inner training sides and to that of the study: six
    extractions, however many rates are tried."""
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "cache"))
    network = ("model.name=pretrained", "model.backbone=test_resnet", "model.weights=random", "data.image_size=32")
    space = "{training.learning_rate: [1e-4, 1e-3, 1e-2], model.pooling: [average, flatten]}"
    tuned = search(tmp_path / "study", *network, "search.trials=6", space=space)
    assert not tuned.outcome.failed
    assert [result.state for result in tuned.found.results if result.state != "pruned"]
    assert 2 <= len([entry for entry in entries() if entry.kind == "features"]) <= 6
