"""Damaged files, as Hypothesis draws them: whatever a file holds, it is read, or refused with a DiascopeError.

DIASCOPE_FUZZ is how many files each test draws; `make fuzz` draws thousands, other ones each time.
"""

import csv
import json
import os
import shutil
from functools import cache
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from study_folders import write_study

from diascope.config import DataConfig
from diascope.core.errors import DiascopeError
from diascope.data.index import open_index
from diascope.report.summary import summarize
from diascope.runs.claim import is_claimed
from diascope.runs.record import StudyRecord
from diascope.studyfile import parse_study

MANY = int(os.environ.get("DIASCOPE_FUZZ", "0"))
fuzzed = settings(
    max_examples=MANY or 25,
    derandomize=not MANY,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
STUDY = """diascope: 1
name: moles
question: Does dropout help?
data: {source: moles.csv, group: lesion, classes: [nevus, melanoma], image_size: 64, where: {site: [arm, leg]}}
split: {kind: kfold, folds: 3}
model: {name: alexnet, dropout: 0.1}
augmentation: {rotate: {range: [-10, 10]}}
training: {epochs: 3, schedule: {kind: cosine}, optimizer: {name: adam}}
seeds: {from: 2, until: decided, at_most: 8}
arms: {plain: {}, dropout: {model.dropout: 0.4}}
report: {metric: auroc, compare: [[dropout, plain]]}
"""
MANIFEST = """path,label,lesion,split
a.png,nevus,1,training
b.png,nevus,1,training
c.png,melanoma,2,validation
d.png,nevus,3,validation
"""
CLAIM = '{"token": "a", "place": "here", "process": 1, "born": 1.5}'
PIECES = (
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r",
    b"\n",
    b'"',
    b"'",
    b",",
    b"{",
    b"}",
    b"[",
    b":",
    b"- ",
    b"\\",
    b"&a ",
    b"*a",
)
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 0.5, 10**30, -1e308, float("nan"), float("inf"), "", " ", "\ud800", "x" * 1000, "../a"),
    *([], [[]], [None], [1, "a"], {}, {"a": None}, {"": {}}, "1", "nan", "2026-01-01", "/dev/zero"),
)


@st.composite
def torn(draw: st.DrawFn, data: bytes) -> bytes:
    """The bytes with a few pieces overwritten, put in, taken out, repeated, or with their end cut off."""
    changed = bytearray(data)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(changed)))
        end = min(len(changed), start + draw(st.integers(0, 12)))
        match draw(st.integers(0, 4)):
            case 0:
                changed[start:end] = draw(st.sampled_from(PIECES) | st.binary(max_size=8))
            case 1:
                del changed[start:end]
            case 2:
                changed[start:start] = changed[start:end] * draw(st.integers(1, 60))
            case 3:
                del changed[start:]
            case 4:
                changed[start:start] = draw(st.sampled_from(PIECES))
    return bytes(changed)


@st.composite
def other_json(draw: st.DrawFn, data: bytes) -> bytes:
    """The same tree with one value replaced, or taken out."""
    tree = json.loads(data)
    places = list(_places(tree))
    if not places:
        return json.dumps(draw(st.sampled_from(VALUES))).encode()
    holder, key = draw(st.sampled_from(places))
    if draw(st.booleans()):
        holder[key] = draw(st.sampled_from(VALUES))
    else:
        del holder[key]
    return json.dumps(tree).encode()


def _places(tree: Any) -> Any:
    pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in list(pairs):
        yield tree, key
        yield from _places(value)


@st.composite
def other_table(draw: st.DrawFn, data: bytes) -> bytes:
    """The same table with one cell replaced, a row twice, or a column taken out."""
    rows = list(csv.reader(StringIO(data.decode())))
    row = draw(st.integers(0, min(len(rows) - 1, 3)))
    column = draw(st.integers(0, len(rows[0]) - 1))
    match draw(st.integers(0, 2)):
        case 0:
            cells = ["", "-1", "0", "nan", "inf", "1e400", "x", '"', "'=a", "../../a", "a\0b", "é", "x" * 5000]
            rows[row][column] = draw(st.sampled_from([*cells, *rows[0], *rows[-1]]))
        case 1:
            rows.insert(row, rows[-1])
        case 2:
            rows = [cells[:column] + cells[column + 1 :] for cells in rows]
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def damaged(name: str, data: bytes) -> st.SearchStrategy[bytes]:
    kinds = {".json": other_json, ".csv": other_table}
    better = kinds.get(Path(name).suffix)
    return torn(data) | better(data) if better else torn(data)


@cache
def home() -> Path:
    return Path(mkdtemp(prefix="diascope-fuzz-"))


@cache
def study() -> tuple[Path, dict[str, bytes]]:
    """A folder with every file of a study that is text, and these files."""
    folder = write_study(home() / "study", seeds=2, epochs=4, per_class=(10, 10))
    summarize(StudyRecord(folder))
    files = [file for file in sorted(folder.rglob("*")) if file.suffix in (".json", ".csv", ".yaml")]
    first = [file for file in files if "runs" not in file.parts or file.match("baseline/fold0-seed0/*")]
    return folder, {str(file.relative_to(folder)): file.read_bytes() for file in first}


@fuzzed
@given(st.data())
def test_a_damaged_file_of_a_study_folder(data: st.DataObject) -> None:
    folder, files = study()
    name = data.draw(st.sampled_from(sorted(files)))
    (folder / name).write_bytes(data.draw(damaged(name, files[name])))
    try:
        summarize(StudyRecord(folder))
    except DiascopeError as error:
        assert str(error).encode()  # noqa: PT017  (it may be read, too)
    finally:
        (folder / name).write_bytes(files[name])


@fuzzed
@given(torn(STUDY.encode()))
def test_a_damaged_study_file(text: bytes) -> None:
    try:
        parse_study(text.decode(errors="surrogateescape"), [], where="x.yaml", folder=Path("/home/me"))
    except DiascopeError as error:
        assert str(error).encode()  # noqa: PT017


@fuzzed
@given(damaged("m.csv", MANIFEST.encode()))
def test_a_damaged_manifest(data: bytes) -> None:
    file = home() / "manifest" / "m.csv"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(data)
    for name in "abcd":
        (file.parent / f"{name}.png").write_bytes(b"")
    try:
        open_index(DataConfig(source=str(file), group="lesion"))
    except DiascopeError as error:
        assert str(error).encode()  # noqa: PT017


@fuzzed
@given(damaged("claim.json", CLAIM.encode()))
@example(b"[" * 100_000)
def test_a_damaged_claim(data: bytes) -> None:
    folder = home() / "claimed"
    folder.mkdir(exist_ok=True)
    (folder / "claim.json").write_bytes(data)
    try:
        assert is_claimed(folder) in (True, False)
    except DiascopeError as error:
        assert "claim.json" in str(error)  # noqa: PT017


def teardown_module() -> None:
    shutil.rmtree(home())
