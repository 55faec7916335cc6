"""Short trainings with batch normalization: scored fairly by default, and an alarm where moving averages lag behind."""

import json
import shutil
from pathlib import Path

import pytest
from judged_studies import draw_images, train

from diascope.compare.curves import pair_readings
from diascope.config import RunConfig, run_id
from diascope.report.answer import answer, verdicts
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord
from diascope.study.images import read_images
from diascope.study.plan import plan
from diascope.studyfile import load_study, parse_study

STUDY = """name: short
data: {source: images/manifest.csv, group: group, classes: [nevus, melanoma], image_size: 28, channels: 1}
split: {kind: holdout, validation: 0.3}
model: {base_channels: 4, normalization: batch}
training: {epochs: 8, learning_rate: 3e-3}
seeds: 1
arms: {recomputed: {}, moving: {training.evaluation_statistics: moving}}
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("short")
    draw_images(home / "images", 80)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("DIASCOPE_CACHE", str(home / "cache"))
        return train(home, text=STUDY)


def test_the_alarm_names_the_arm_whose_moving_averages_lag_behind(study: Path) -> None:
    summary = summarize(StudyRecord(study))
    modes = {name: arm["runs"][0]["training_images"] for name, arm in summary["arms"].items()}
    lost = {name: scores["training"]["accuracy"] - scores["evaluation"]["accuracy"] for name, scores in modes.items()}
    assert lost["moving"] > 0.1 > lost["recomputed"]
    alarms = [warning for warning in summary["warnings"] if warning.startswith("Evaluation mode fails")]
    assert len(alarms) == 1
    assert "in 1 of 1 runs moving classifies its own training images far worse" in alarms[0]
    assert summary["warnings"][0] == alarms[0]


def test_an_arm_that_fails_in_evaluation_mode_is_not_called_worse(study: Path) -> None:
    summary = summarize(StudyRecord(study))
    (found,) = summary["comparisons"]
    lower = found | {"arm": "moving", "against": "recomputed", "verdict": "worse"}
    (read,) = verdicts(summary | {"comparisons": [lower]})
    assert read["verdict"] == "evaluation"
    assert read["title"] == "moving scores lower than recomputed, but fails in evaluation mode"
    assert answer(summary | {"comparisons": [lower]}).endswith(f"But {read['title']}.")
    (higher,) = verdicts(summary | {"comparisons": [lower | {"verdict": "better"}]})
    assert higher["verdict"] == "better"


def test_no_gap_of_a_failing_arm_is_read_as_a_virtue(study: Path) -> None:
    record = StudyRecord(study)
    assert pair_readings(record, "moving", "recomputed")["differences"]["gap_loss"]["mean"] is not None
    sentences = summarize(record)["curves"]["sentences"]
    assert not any("moving" in sentence for sentence in sentences[:-1])
    assert sentences[-1] == "The curves of moving are not read, because evaluation mode fails there: see the warnings."


def test_a_folder_from_before_the_key_holds_moving_averages(study: Path, tmp_path: Path) -> None:
    """It is reported as before, and a plan of today's default says what is different."""
    older = tmp_path / "older"
    shutil.copytree(study, older)
    line = "  evaluation_statistics: recomputed\n"
    assert line in (older / "study.yaml").read_text()
    (older / "study.yaml").write_text((older / "study.yaml").read_text().replace(line, ""))
    for file in older.glob("runs/*/*/config.json"):
        tree = json.loads(file.read_text())
        del tree["config"]["training"]["evaluation_statistics"]
        file.write_text(json.dumps(tree | {"run_id": "of the earlier version"}))
        done = json.loads(file.with_name("done.json").read_text())
        file.with_name("done.json").write_text(json.dumps(done | {"run_id": "of the earlier version"}))
    record = StudyRecord(older)
    assert {run.state for run in record.runs} == {"done"}
    assert {arm.training.evaluation_statistics for arm in record.arm_configs} == {"moving"}

    (study.parent / "now.yaml").write_text(STUDY)
    now = load_study(study.parent / "now.yaml")
    why = {cell.task.arm: cell.why for cell in plan(now, read_images(now), older)}
    assert why["recomputed"] == 'training.evaluation_statistics was "moving" and is "recomputed"'


@pytest.mark.parametrize(
    ("model", "identity", "by_default"),
    [
        ("{name: alexnet}", "015d963d56a53974", "015d963d56a53974"),
        ("{name: alexnet, normalization: batch}", "01eaa91b4d93256e", "74a5ad8cb00b419a"),
        ("{name: resnet}", "27af037d63302b75", "e235e462e149cc08"),
        ("{name: net.py:net}", "ff63c529c504d45d", "9165644de1c1491f"),
    ],
)
def test_moving_averages_keep_the_identity_that_runs_had_before_the_key(
    model: str, identity: str, by_default: str
) -> None:
    """Identities as of the version before the key; networks without batch normalization have no other one."""

    def identity_with(statistics: str) -> str:
        text = f"name: a\ndata: {{source: a.csv, channels: 1}}\nmodel: {model}\n"
        setting = [f"training.evaluation_statistics={statistics}"]
        study = parse_study(text, setting, where="a", folder=Path("/x"))
        arm = study.arms[0]
        sections = {name: getattr(arm, name) for name in ("data", "model", "augmentation", "training")}
        return run_id(RunConfig(**sections, split=study.split, fold=0, seed=0), "content")

    assert identity_with("moving") == identity
    assert identity_with("recomputed") == by_default
