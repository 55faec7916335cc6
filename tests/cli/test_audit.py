"""diascope audit, and the audit before a study: exit codes, what is written, and that a leak stops training."""

import csv
import json
import re
import shlex

import pytest
from PIL import Image
from planted_images import Planted, crop
from typer.testing import CliRunner

from diascope.app.audit import audit_source
from diascope.cli import app
from diascope.config import DataConfig
from diascope.core.errors import DataError
from diascope.data.index import open_index
from diascope.report.page import write_report
from diascope.studyfile import parse_study


def run(*arguments: str):
    return CliRunner().invoke(app, ["audit", *arguments])


def rows(file):
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def leaky(tmp_path):
    """A data set of which images 0 and 24 are nearly the same, on two sides."""
    planted = Planted(tmp_path / "images")
    planted.change(0, crop, "copy.png")
    planted.column("split", lambda number: "validation" if number // 2 % 4 == 3 or number == 24 else "training")
    planted.manifest()
    return planted


def test_clean_images_exit_with_0_and_leave_a_page_that_needs_nothing_else(tmp_path):
    said = run("phantom:skin", "--set", "data.phantom.images=40", "--out", str(tmp_path / "out"))
    assert said.exit_code == 0, said.output
    page = (tmp_path / "out" / "audit.html").read_text()
    assert not re.search(r'(src|href)="(https?:|//)', page)
    findings = json.loads((tmp_path / "out" / "findings.json").read_text())
    for finding in findings:
        assert finding["code"] in page
    assert rows(tmp_path / "out" / "files.csv") == []


def test_warnings_exit_with_1(tmp_path):
    planted = Planted(tmp_path / "images")
    planted.column("patient", lambda number: f"p{number // 2}")
    planted.change(0, crop, "copy.png")
    planted.add("equal.png", planted.pixels(0), planted.rows[0]["label"])
    planted.rows[-1]["patient"] = planted.rows[-2]["patient"] = "p0"
    said = run(str(planted.manifest()), "--group", "patient", "--out", str(tmp_path / "out"))
    assert said.exit_code == 1, said.output
    assert "warning: 1 picture is there more than once" in said.output
    assert "info: 1 pair of images" in said.output


def test_a_leak_exits_with_3_and_the_manifest_that_it_writes_repairs_it(leaky, tmp_path):
    out = tmp_path / "out"
    said = run(str(leaky.folder / "manifest.csv"), "--out", str(out))
    assert said.exit_code == 3, said.output
    assert {(row["path"], row["code"]) for row in rows(out / "files.csv")} >= {("copy.png", "leak-duplicates")}
    page = (out / "audit.html").read_text()
    assert page.index("leak-duplicates") < page.index("near-duplicates")
    assert page.count("data:image/png;base64,") >= 4
    assert page.count('<code class="code">diascope audit ') == 2  # what is wrong, and all checks
    assert "`" not in page
    table = rows(out / "manifest.csv")
    assert table[24]["duplicate_group"] == table[0]["duplicate_group"]
    assert len({row["duplicate_group"] for row in table}) == 24
    again = ("--group", "duplicate_group", "--set", "split.kind=holdout", "--out", str(tmp_path / "again"))
    said = run(str(out / "manifest.csv"), *again)
    assert said.exit_code == 1, said.output  # a corner tells the classes apart: letters by chance
    assert "info: 1 pair of images (1 of them within one group" in said.output  # still there, on one side
    assert len(open_index(DataConfig(source=str(tmp_path / "again" / "manifest.csv"), group="duplicate_group"))) == 25


def test_a_split_that_cannot_be_made_is_an_error_and_the_other_checks_are_done(tmp_path):
    planted = Planted(tmp_path / "images", 8)
    said = run(str(planted.manifest()), "--out", str(tmp_path / "out"), "--set", "split.kind=given")
    assert said.exit_code == 3
    assert "cannot be made" in said.output
    assert "leak-duplicates" in (tmp_path / "out" / "audit.html").read_text()


def folders_of_gray(folder, *sizes):
    """Folders a, b, ... with so many even gray images each, no two of one level."""
    levels = iter(range(0, 250, 3))
    for name, size in zip("abc", sizes, strict=False):
        (folder / name).mkdir(parents=True)
        for number in range(size):
            Image.new("L", (48, 48), next(levels)).save(folder / name / f"{number}.png")
    return folder


def test_a_data_set_of_blank_images_only_is_called_blank(tmp_path):
    said = run(str(folders_of_gray(tmp_path / "gray", 20, 20)), "--out", str(tmp_path / "out"))
    assert said.exit_code == 1, said.output
    assert "warning: 40 images of 40 are blank" in said.output


def test_of_two_images_or_one_that_can_be_read_all_that_can_be_said_is_said(tmp_path):
    source = folders_of_gray(tmp_path / "gray", 1, 1)
    said = run(str(source), "--out", str(tmp_path / "out"))
    assert said.exit_code == 3, said.output
    assert "2 images of 2 are blank" in said.output
    (source / "b" / "0.png").write_bytes(b"nothing")
    said = run(str(source), "--out", str(tmp_path / "out"))
    assert said.exit_code == 3, said.output
    assert "1 image of 1 is blank" in said.output


def test_one_class_is_an_error_that_says_so(tmp_path):
    with pytest.raises(DataError, match="only one class, 'a'"):
        open_index(DataConfig(source=str(folders_of_gray(tmp_path / "gray", 20))))


def test_help_has_an_example():
    said = run("--help").output
    assert "Example: diascope audit" in said
    assert "phantom:skin" in said


def test_a_leak_stops_a_study_before_anything_is_written_unless_it_is_allowed(leaky, tmp_path):

    from diascope.app.run import Options, train

    text = f"""
name: leaky
data: {{source: {leaky.folder}/manifest.csv, image_size: 16}}
model: {{base_channels: 2}}
training: {{epochs: 1}}
seeds: 1
"""
    options = Options("serial", device="cpu")
    study = parse_study(text, [], where="leaky.yaml", folder=tmp_path)
    with pytest.raises(DataError, match=r"0000\.png and copy\.png.*data\.allow=\[leak-duplicates\]"):
        train(study, tmp_path / "study", options)
    assert not (tmp_path / "study").exists()
    study = parse_study(text, ["data.allow=[leak-duplicates]"], where="leaky.yaml", folder=tmp_path)
    assert not train(study, tmp_path / "study", options).failed
    found = {finding["code"]: finding for finding in json.loads((tmp_path / "study" / "findings.json").read_text())}
    assert (found["leak-duplicates"]["severity"], found["leak-duplicates"]["outcome"]) == ("warning", "issue")
    page = write_report(tmp_path / "study").read_text()
    assert "copy.png" in page[page.index('id="findings"') : page.index('id="configuration"')]


def advised(findings):
    """The words after `diascope audit` of the first command that the sentences of leaks name."""
    sentences = [finding.sentence for finding in findings if finding.severity == "error"]
    (command, *_) = re.findall(r"`diascope audit ([^`]*)`", " ".join(sentences))
    return shlex.split(command)


def audited(source, folder, *settings):
    """The findings on the data set and its split into halves, as a study has it."""
    text = "name: a\ndata: {source: .}\nsplit: {kind: holdout, validation: 0.4}\n"
    study = parse_study(text, [f"data.source={json.dumps(str(source))}", *settings], where="a", folder=folder)
    return audit_source(study, folder / "findings", all_text=False)


@pytest.mark.parametrize("group", ["patient", "the patient", None])
def test_who_obeys_a_leaks_command_to_the_letter_has_no_leak_of_pictures_or_patients_left(tmp_path, monkeypatch, group):
    planted = Planted(tmp_path / "my images")
    for number in range(0, 24, 3):
        planted.change(number, crop, f"again-{number}.png")
    name = group or "patient"
    planted.column(name, lambda number: f"p{number // 2}" if number < 24 else f"q{number}")
    for row in planted.rows:
        row["kind of lesion"] = row.pop("label")
    settings = ["data.label=kind of lesion", *([] if group is None else [f"data.group={group}"])]
    found = audited(planted.manifest(), tmp_path, *settings)
    assert "leak-duplicates" in {finding.code for finding in found if finding.severity == "error"}
    monkeypatch.chdir(tmp_path)
    arguments = advised(found)
    assert arguments[arguments.index("--group") + 1] == name
    run(*arguments)
    found = audited(tmp_path / "audit" / "manifest.csv", tmp_path, settings[0], "data.group=duplicate_group")
    assert [finding.sentence for finding in found if finding.severity == "error"] == []


def test_groups_that_do_not_hold_the_pictures_groups_are_joined_with_them(tmp_path, monkeypatch):
    planted = Planted(tmp_path / "images")
    planted.column("patient", lambda number: f"p{number // 2}")
    planted.column("duplicate_group", lambda number: f"g{(number + 1) // 2 % 12}" if number < 9 else f"h{number}")
    found = audited(planted.manifest(), tmp_path, "data.group=duplicate_group", "split.seed=1")
    assert "leak-groups" in {finding.code for finding in found if finding.severity == "error"}
    monkeypatch.chdir(tmp_path)
    run(*advised(found))
    again = audited(tmp_path / "audit" / "manifest.csv", tmp_path, "data.group=duplicate_group", "split.seed=1")
    assert [finding.sentence for finding in again if finding.severity == "error"] == []
    groups = [row["duplicate_group"] for row in rows(tmp_path / "audit" / "manifest.csv")]
    assert len(set(groups[:10])) == 1


def test_what_is_allowed_is_no_part_of_a_runs_identity():
    from diascope.config import RunConfig, run_id

    def identity(*settings):
        arm = parse_study("name: a\ndata: {source: 'phantom:skin'}\n", list(settings), where="a", folder=None).arms[0]
        parts = {name: getattr(arm, name) for name in ("data", "model", "augmentation", "training")}
        from diascope.config import SplitConfig

        return run_id(RunConfig(**parts, split=SplitConfig(), fold=0, seed=0), "content")

    assert identity() == identity("data.allow=[leak-groups]")
    assert identity() != identity("data.channels=3")
