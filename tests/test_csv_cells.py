"""No cell that Diascope writes is a formula to a spreadsheet, and each is read back as it was."""

import csv
import json
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from planted_images import Planted
from study_folders import MakeStudy

from diascope.audit.audit_files import write_manifest
from diascope.config import DataConfig
from diascope.core.csv_cells import csv_text, guard, unguard, unguard_frame
from diascope.data.index import open_index
from diascope.runs.folder import RunFolder
from diascope.runs.judged_rows import write_test_rows
from diascope.runs.record import StudyRecord

FORMULAS = ["=1+1", "@SUM(A1)", "-2+3", "+cmd|' /C calc'!A0", "\t=1", "\r=1", "\n=1", "-x", "＝1", "=", "'=1", "''-x"]
PLAIN = ["", "-", "+", "-0.3", "+1", "-1e-05", "-.5", "'", "'a", "a=b", "3", "é", "x,y", 'a"b']


@pytest.mark.parametrize("cell", FORMULAS[:9])
def test_a_formula_is_text_to_a_spreadsheet(cell: str) -> None:
    (read,) = next(csv.reader(StringIO(csv_text([[cell]]), newline="")))
    assert read == f"'{cell}"


@pytest.mark.parametrize("cell", PLAIN)
def test_numbers_signs_and_other_texts_stay_as_they_are(cell: str) -> None:
    assert guard(cell) == cell


def test_what_is_a_number_is_written_as_one() -> None:
    assert csv_text([[-0.3, float("-inf"), -1]]) == "-0.3,-inf,-1\n"


@given(st.text(alphabet="'=+-@\t\r\n1.eE a＝", max_size=8) | st.text())
@example("'=")
def test_every_text_comes_back(cell: str) -> None:
    assert unguard(guard(cell)) == cell
    assert not guard(cell).startswith(("=", "@")) or len(cell) == 1


def test_a_table_comes_back() -> None:
    columns = [*FORMULAS[:2], "label"]
    cells = FORMULAS + PLAIN[1:]
    text = csv_text([columns, *([cell] * 3 for cell in cells)])
    frame = unguard_frame(pd.read_csv(StringIO(text), dtype=str, keep_default_na=False), [*pd.read_csv(StringIO(text))])
    assert [*frame] == columns
    assert frame["label"].tolist() == cells


def test_the_files_of_a_study_hold_no_formula_and_are_read_back(make_study: MakeStudy, tmp_path: Path) -> None:
    study = make_study(arms={"a": {}}, seeds=1, columns={"@age": lambda number: "=1+1" if number else "-4"})
    images = Planted(tmp_path / "images", 8)
    images.column("@age", lambda number: FORMULAS[number])
    (tmp_path / "images" / "=x.png").write_bytes((tmp_path / "images" / "0000.png").read_bytes())
    images.rows[0]["path"], images.rows[0]["label"] = "=x.png", "-benign"
    images.rows[1]["label"] = "-benign"
    index = open_index(DataConfig(source=str(images.manifest())))
    index.save(study / "index.csv")
    folds = {"kind": "holdout", "folds": [{"training": index.paths[:4], "validation": index.paths[4:]}]}
    (study / "folds.json").write_text(json.dumps(folds))
    table = StudyRecord(study).index
    assert table["path"].tolist() == index.paths
    assert table["@age"].tolist() == index.columns["@age"]
    assert set(table["label"]) == set(index.classes)
    _holds_no_formula(study / "index.csv")

    run = RunFolder(study / "runs" / "a" / "fold0-seed0")
    rows = [[kept, "validation", "=x.png", "@g", "-benign", 0.25, -0.0] for kept in ("last", "best")]
    run.write_predictions(("-benign", "m"), rows)
    write_test_rows(run.predictions, "best", ("-benign", "m"), [["=y.png", "@h", "m", 1e-05, 1.0]])
    _holds_no_formula(run.predictions)
    record = StudyRecord(study).runs[0]
    assert record.predictions["path"].tolist() == ["=x.png", "=x.png", "=y.png"]
    assert record.predictions["group"].tolist() == ["@g", "@g", "@h"]
    assert record.predictions["p_-benign"].tolist() == [0.25, 0.25, 1e-05]


def test_the_manifest_of_an_audit_holds_no_formula_and_is_read_back(tmp_path: Path) -> None:
    images = Planted(tmp_path / "=images", 8)
    images.column("@age", lambda number: FORMULAS[number])
    audited = images.audited(split=False)
    file = write_manifest(audited, tmp_path)
    assert file is not None
    _holds_no_formula(file)
    again = open_index(DataConfig(source=str(file)))
    assert again.columns["@age"] == audited.index.columns["@age"]
    assert [Path(path).name for path in again.paths] == audited.index.paths
    assert again.paths[0].startswith("=images/")


def _holds_no_formula(file: Path) -> None:
    with file.open(newline="", encoding="utf-8") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert any(cell.startswith("'") for cell in cells)
    assert not [cell for cell in cells if cell[:1] in ("=", "@", "+", "-") and not _is_number(cell)]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
