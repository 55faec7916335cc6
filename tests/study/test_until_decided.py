"""Seeds that are added in planned looks: the loop of a study, its end, and going on after it was stopped."""

from collections.abc import Callable
from pathlib import Path

import pytest
from compare.test_verdict import plant
from judged_studies import draw_images

from diascope.app.run import Options, take_look, train
from diascope.core.errors import ConfigError
from diascope.runs.look_log import read_look_log
from diascope.runs.record import StudyRecord
from diascope.study.executors import Finished
from diascope.study.plan import Planned
from diascope.studyfile import dump_study, parse_study

SEEDS = {"from": 3, "until": "decided", "at_most": 5}
STUDY = """name: added
data: {source: images/manifest.csv, group: group, classes: [nevus, melanoma], image_size: 28}
split: {kind: holdout, validation: 0.25}
model: {base_channels: 2}
training: {epochs: 1}
seeds: {from: 2, until: decided, at_most: 4}
arms: {plain: {}, dropout: {model.dropout: 0.4}}
"""


class Watching:
    """Notes what is planned, and stops everything after `most` runs."""

    def __init__(self, most: int = 100) -> None:
        self.rounds: list[list[str]] = []
        self.trained: list[str] = []
        self.most = most

    def __call__(self, event: object) -> None:
        if isinstance(event, Planned):
            self.rounds.append([cell.state for cell in event.cells])
        elif isinstance(event, Finished):
            self.trained.append(event.task.name)
            if len(self.trained) == self.most:
                raise KeyboardInterrupt


@pytest.mark.parametrize(("rate", "more"), [(0.95, False), (0.7, True)])
def test_seeds_are_added_until_a_planted_difference_is_shown(
    make_study: Callable[..., Path], rate: float, more: bool
) -> None:
    folder = make_study(seeds=3, per_class=[200, 200], more={"seeds": SEEDS})
    plant(folder, {"baseline": 0.7, "dropout": rate})
    assert take_look(folder) == set(range(5 if more else 3))
    (look,) = read_look_log(folder)
    assert look.decided != more
    assert take_look(folder) == set(range(5 if more else 3))  # another command that shares the folder sees the same
    assert len(read_look_log(folder)) == 1


def test_equal_arms_are_decided_where_a_margin_is_stated(make_study: Callable[..., Path]) -> None:
    folder = make_study(seeds=3, per_class=[200, 200], more={"seeds": SEEDS, "compare": {"margin": 0.3}})
    plant(folder, {"baseline": 0.7, "dropout": 0.7})
    assert take_look(folder) == {0, 1, 2}


def test_all_pairs_must_be_decided(make_study: Callable[..., Path]) -> None:
    arms = {"a": {}, "bb": {"model.dropout": 0.4}, "ccc": {"model.dropout": 0.3}}
    folder = make_study(arms=arms, per_class=[200, 200], more={"seeds": SEEDS})
    plant(folder, {"a": 0.7, "bb": 0.95, "ccc": 0.7})
    assert take_look(folder) == set(range(5))


def test_a_study_that_was_stopped_goes_on_at_its_look(tmp_path: Path) -> None:
    draw_images(tmp_path / "images")
    study = parse_study(STUDY, [], where="study.yaml", folder=tmp_path)
    stopped, resumed = Watching(most=5), Watching()
    with pytest.raises(KeyboardInterrupt):
        train(study, tmp_path / "study", Options("serial", device="cpu"), stopped)  # type: ignore[arg-type]
    assert [len(found) for found in stopped.rounds] == [4, 6]
    assert [look.seeds for look in read_look_log(tmp_path / "study")] == [2]
    outcome = train(study, tmp_path / "study", Options("serial", device="cpu"), resumed)  # type: ignore[arg-type]
    assert (outcome.runs, outcome.failed) == (8, ())
    assert [found.count("done") for found in resumed.rounds] == [5, 6]
    assert sorted(stopped.trained + resumed.trained) == sorted(
        f"{arm}/fold0-seed{seed}" for arm in ("plain", "dropout") for seed in range(4)
    )
    log = read_look_log(tmp_path / "study")
    assert [look.seeds for look in log] == [2, 3, 4]
    assert StudyRecord(tmp_path / "study").seeds == (0, 1, 2, 3)
    assert not take_look(tmp_path / "study") - {0, 1, 2, 3}


def test_the_looks_of_a_plan_and_the_file_that_states_it(tmp_path: Path) -> None:
    study = parse_study(STUDY, ["seeds={from: 3, until: decided, at_most: 20}"], where="f", folder=tmp_path)
    assert study.config.planned_looks == (3, 5, 8, 13, 20)
    assert parse_study(dump_study(study), [], where="f", folder=tmp_path).config == study.config
    assert parse_study(STUDY, ["seeds.at_most=3"], where="f", folder=tmp_path).config.planned_looks == (2, 3)


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ("{from: 5, until: decided, at_most: 5}", "study.yaml:6: seeds: at_most must be above from"),
        ("{from: 1, until: decided, at_most: 5}", "study.yaml:6: seeds.from is 1: input should be greater than"),
        ("{from: 3, until: done, at_most: 5}", "study.yaml:6: seeds.until is \"done\": input should be 'decided'"),
        ("{from: 3, at_most: 5}", "study.yaml:6: seeds.until is missing"),
        ("{from: 3, until: decided, at_mots: 5}", "unknown key seeds.at_mots; did you mean seeds.at_most?"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_its_line(tmp_path: Path, seeds: str, said: str) -> None:
    text = STUDY.replace("{from: 2, until: decided, at_most: 4}", seeds)
    with pytest.raises(ConfigError) as caught:
        parse_study(text, [], where="study.yaml", folder=tmp_path)
    assert said in str(caught.value)


def test_a_plan_without_a_pair_is_refused(tmp_path: Path) -> None:
    text = STUDY.replace("arms: {plain: {}, dropout: {model.dropout: 0.4}}\n", "")
    with pytest.raises(ConfigError, match="needs a pair of arms"):
        parse_study(text, [], where="study.yaml", folder=tmp_path)


def test_a_pair_that_no_number_of_seeds_decides_is_refused(tmp_path: Path) -> None:
    text = STUDY.replace("{model.dropout: 0.4}", "{training.early_stopping: {restore_best: true}}")
    with pytest.raises(
        ConfigError, match="no number of seeds decides between dropout and plain: one of them alone ends"
    ):
        parse_study(text, [], where="study.yaml", folder=tmp_path)
    parse_study(text, ["training.early_stopping={restore_best: true}"], where="study.yaml", folder=tmp_path)
