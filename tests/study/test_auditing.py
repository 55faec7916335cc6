"""The audit of a study whose arms draw different phantoms: each drawing is audited, and named by its arm."""

from pathlib import Path

from diascope.report.audit_page import shown_findings
from diascope.study.auditing import audit_study, keep_pictures
from diascope.study.images import read_images
from diascope.studyfile import parse_study

TEXT = """
name: letters
data: {source: phantom:skin, phantom: {images: 120, size: 48, seed: 1}, image_size: 48}
split: {kind: holdout}
arms:
  plain: {}
  letters: {data.phantom: {shortcut: letters, rate: 1}}
  wider: {model.base_channels: 16}
  same-letters: {data.phantom: {shortcut: letters, rate: 1}, model.base_channels: 16}
"""


def test_each_drawing_is_audited_once_and_told_of_by_its_first_arm(tmp_path: Path) -> None:
    study = parse_study(TEXT, [], where="a test", folder=tmp_path)
    pictures: dict[str, bytes] = {}
    found = audit_study(study, read_images(study), pictures)

    corners = [finding for finding in found if finding.code == "corners-predict-label"]
    assert [finding.evidence.get("arm") for finding in corners] == [None, "letters"]
    plain, letters = corners
    assert (plain.outcome, letters.outcome, letters.severity) == ("passed", "issue", "warning")
    assert letters.sentence.startswith("Images of arm letters: The upper right corner alone tells the classes apart")
    assert all(finding.outcome == "issue" for finding in found if "arm" in finding.evidence)

    files = [image["file"] for shown in letters.evidence["pictures"] for image in shown["images"]]
    assert files
    keep_pictures(pictures, tmp_path / "audit", instead=tmp_path / "audit")
    assert all((tmp_path / "audit" / file).is_file() for file in files)
    assert any(shown["pictures"] for shown in shown_findings([letters], tmp_path / "audit"))
