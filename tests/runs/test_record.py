"""The read-only view of a study folder: what it shows, and what it says of damage."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from diascope.core.errors import RunError
from diascope.runs.folder import ADDED_COLUMNS, HISTORY_COLUMNS
from diascope.runs.record import RunRecord, StudyRecord, predicted_classes, sample_stem

MakeStudy = Callable[..., Path]


def test_a_finished_study_shows_its_arms_runs_and_tables(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study())
    assert record.arms == ("baseline", "dropout")
    assert record.study.question == "Does dropout raise validation accuracy?"
    assert [(run.arm, run.fold, run.seed) for run in record.runs[:4]] == [
        ("baseline", 0, 0),
        ("baseline", 0, 1),
        ("baseline", 0, 2),
        ("dropout", 0, 0),
    ]
    run = record.runs[0]
    assert (run.state, run.name, run.done["epochs"]) == ("done", "fold0-seed0", 12)
    assert run.history["epoch"].tolist() == list(range(1, 13))
    assert predicted_classes(run.predictions) == record.classes == ("nevus", "melanoma")
    assert set(run.predictions["checkpoint"]) == {"last", "best"}
    assert run.config["seed"] == 0
    assert len(run.run_id) == 16
    assert run.provenance["torch"] == "2.15.0"
    assert record.positive == "melanoma"
    assert record.findings == ()
    assert len(record.index) == 80
    assert record.strays == ()


def test_folds_and_seeds_of_a_kfold_study_are_all_runs(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(folds=3, seeds=2, epochs=2))
    assert len(record.runs_of("dropout")) == 6
    assert all(run.state == "done" for run in record.runs)


def test_numbers_come_back_as_they_were_written(make_study: MakeStudy) -> None:
    run = StudyRecord(make_study()).runs[0]
    written = (run.folder / "predictions.csv").read_text().splitlines()[1].split(",")
    assert [repr(float(value)) for value in run.predictions.iloc[0, -2:]] == written[-2:]


def test_texts_stay_texts(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(classes=["0", "NA"]))
    assert record.runs[0].predictions["label"].unique().tolist() == ["0", "NA"]
    assert record.index["label"].unique().tolist() == ["0", "NA"]


@pytest.mark.parametrize(("written", "expected"), [("no", ("nevus", "melanoma")), ("nothing", ("melanoma", "nevus"))])
def test_classes_that_the_study_leaves_open(make_study: MakeStudy, written: str, expected: tuple[str, ...]) -> None:
    """In the order of the predictions where there are any, else sorted."""
    folder = make_study(data={"classes": None})
    if written == "nothing":
        shutil.rmtree(folder / "runs")
    assert StudyRecord(folder).classes == expected


def test_missing_and_unfinished_runs_have_a_state(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs/baseline/fold0-seed0")
    (folder / "runs/baseline/fold0-seed1/done.json").unlink()
    missing, unfinished, done = StudyRecord(folder).runs_of("baseline")
    assert (missing.state, unfinished.state, done.state) == ("missing", "unfinished", "done")
    assert unfinished.done == {}
    assert len(missing.history) == 0


def test_a_run_of_another_configuration_is_stale(make_study: MakeStudy) -> None:
    folder = make_study()
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("model.dropout: 0.4", "model.dropout: 0.5"))
    record = StudyRecord(folder)
    assert [run.state for run in record.runs] == ["done"] * 3 + ["stale"] * 3


def test_where_the_images_lie_makes_no_run_stale(make_study: MakeStudy) -> None:
    folder = make_study()
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("phantom:skin", "elsewhere"))
    assert all(run.state == "done" for run in StudyRecord(folder).runs)


def test_a_failed_run_tells_why(make_study: MakeStudy) -> None:
    folder = make_study()
    run = folder / "runs/baseline/fold0-seed0"
    (run / "done.json").unlink()
    (run / "error.txt").write_text("Traceback\n  ...\nValueError: no\n")
    failed, other = StudyRecord(folder).runs[:2]
    assert (failed.state, failed.failure) == ("unfinished", "ValueError: no")
    assert other.failure == ""


def test_samples_belong_to_their_class(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(classes=["a", "a-b", "c/d"]))
    assert [path.name for path in record.samples("a")] == ["a-0.png", "a-1.png", "a-2.png", "a-3.png"]
    assert len(record.samples("a-b")) == len(record.samples("c/d")) == 4
    assert record.samples("e") == ()


def test_no_class_hides_its_files() -> None:
    assert [sample_stem(name) for name in ("a.b", ".a", "..", "../a")] == ["a.b", "_a", "_.", "_._a"]


def test_the_half_written_last_line_of_a_running_history_is_left_out(make_study: MakeStudy) -> None:
    folder = make_study()
    run = folder / "runs/baseline/fold0-seed0"
    (run / "done.json").unlink()
    with (run / "history.csv").open("a") as file:
        file.write("13,0.0001,0.3")
    assert len(StudyRecord(folder).runs[0].history) == 12


def test_run_folders_that_the_study_does_not_ask_for(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.copytree(folder / "runs/baseline/fold0-seed0", folder / "runs/baseline/fold0-seed9")
    record = StudyRecord(folder)
    assert [path.name for path in record.strays] == ["fold0-seed9"]
    assert len(record.runs) == 6


def test_a_folder_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no study.yaml in it.*--out"):
        StudyRecord(tmp_path)
    with pytest.raises(RunError, match="there is no such folder"):
        StudyRecord(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("history.csv", "epoch,what\n1,2\n", "no column learning_rate"),
        ("history.csv", "", "not a table"),
        ("history.csv", None, "this file is missing"),
        ("predictions.csv", "checkpoint,side,path,group,label,p_a,p_b\nlast,validation,x,,a,0.5,\n", "column p_b"),
        ("predictions.csv", "checkpoint,side,path,group,label,p_a,p_b\nlast,validation,x,,a,0.5,no\n", "column p_b"),
        ("predictions.csv", "checkpoint,side,path,group,label,p_a\nlast,validation,x,,a,1.0\n", "fewer than two"),
        ("predictions.csv", "checkpoint,side,path,group,label,p_a,p_b\nlast,validation,x,,c,0.5,0.5\n", "a class"),
        ("predictions.csv", "checkpoint,side,path,group,label,p_a,p_b\nlast,validation,x,,a,0.5,0.", "cut off"),
        ("predictions.csv", "checkpoint,side,path,group,label,p_a,p_b\nlast,test,x,,a,0.5,nan\n", "outside 0 to 1"),
        ("config.json", "{", "not JSON"),
        ("config.json", "[" * 100_000, "not JSON"),
        ("config.json", "[]", "no JSON object"),
        ("config.json", "{}", "no run_id"),
        ("config.json", '{"run_id": "RUN_ID", "config": {"data": {}}}', "data.source: Field required"),
        ("done.json", "{", "not JSON"),
        ("done.json", '{"run_id": "RUN_ID", "epochs": "12"}', "epochs: Input should be a valid integer"),
    ],
)
def test_a_damaged_file_of_a_run_is_named_with_the_remedy(
    make_study: MakeStudy, file: str, content: str | None, message: str
) -> None:
    folder = make_study()
    path = folder / "runs/baseline/fold0-seed0" / file
    run_id = StudyRecord(folder).runs[0].run_id
    path.unlink() if content is None else path.write_text(content.replace("RUN_ID", run_id))
    run = StudyRecord(folder).runs[0]
    with pytest.raises(RunError, match=message) as caught:
        _ = (run.state, run.done, run.history, run.predictions)
    assert str(path) in str(caught.value)
    assert f"delete the folder {path.parent}" in caught.value.remedy


def test_the_mark_of_an_earlier_run_does_not_finish_another_one(make_study: MakeStudy) -> None:
    """A power loss may bring back done.json of the run that was cleared away."""
    folder = make_study()
    done = folder / "runs/baseline/fold0-seed0" / "done.json"
    done.write_text(json.dumps({**json.loads(done.read_text()), "run_id": "0123456789abcdef"}))
    assert StudyRecord(folder).runs[0].state == "unfinished"


def test_a_history_with_a_hole_is_damaged(make_study: MakeStudy) -> None:
    folder = make_study()
    path = folder / "runs/baseline/fold0-seed0/history.csv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4] + lines[5:]))
    with pytest.raises(RunError, match="not 1, 2, 3"):
        _ = StudyRecord(folder).runs[0].history


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("folds.json", "{}", "damaged: kind: Field required"),
        ("folds.json", json.dumps({"kind": "holdout", "folds": []}), "folds: List should have at least 1 item"),
        ("folds.json", '{"kind": "holdout", "folds": [{"training": ["x"], "validation": []}]}', "names 'x', which"),
        ("folds.json", None, "missing"),
        ("index.csv", "file\n", "no column path or label"),
        ("findings.json", "3", "not a list of findings"),
        ("findings.json", json.dumps([{"code": "x"}]), "not a list of findings"),
    ],
)
def test_a_damaged_file_of_the_study_is_named(
    make_study: MakeStudy, file: str, content: str | None, message: str
) -> None:
    folder = make_study()
    (folder / file).unlink() if content is None else (folder / file).write_text(content)
    record = StudyRecord(folder)
    with pytest.raises(RunError, match=message) as caught:
        _ = (record.folds, record.index, record.findings)
    assert str(folder / file) in str(caught.value)


def test_a_history_of_an_older_version_lacks_two_columns(tmp_path: Path) -> None:
    columns = [column for column in HISTORY_COLUMNS if column not in ADDED_COLUMNS]
    lines = [",".join(columns), ",".join("1" for _ in columns)]
    (tmp_path / "history.csv").write_text("\n".join(lines) + "\n")
    history = RunRecord("a", 0, 0, tmp_path).history
    assert tuple(history) == HISTORY_COLUMNS
    assert history.drop(columns=list(ADDED_COLUMNS)).notna().all(axis=None)
    assert history[list(ADDED_COLUMNS)].isna().all(axis=None)
