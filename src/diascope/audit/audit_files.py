"""What an audit leaves for programs: findings.json, files.csv, and a manifest whose groups keep duplicates together."""

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from diascope.audit.duplicates import duplicates_of
from diascope.audit.facts import Audited
from diascope.audit.regrouping import COLUMN
from diascope.core.csv_cells import csv_text
from diascope.core.findings import Finding
from diascope.data.index import Files


def write_findings(findings: Sequence[Finding], folder: Path) -> None:
    """findings.json, as a study has it, and files.csv: path, action, why, code."""
    folder.mkdir(parents=True, exist_ok=True)
    tree = [finding.model_dump(mode="json") for finding in findings]
    text = json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)
    (folder / "findings.json").write_text(text + "\n", encoding="utf-8")
    files = [
        (file["path"], file["action"], file["why"], finding.code)
        for finding in findings
        if finding.outcome == "issue"
        for file in finding.evidence.get("files", ())
    ]
    _write_csv(folder / "files.csv", ("path", "action", "why", "code"), files)


def write_manifest(audited: Audited, folder: Path) -> Path | None:
    """manifest.csv: the source as a manifest with a column duplicate_group; None where images are no files.

    Images are in one group when they show one picture or share a value of data.group, or of a column duplicate_group
    that the source has already, directly or through others.
    """
    index = audited.index
    if not isinstance(index.origin, Files):
        return None
    root = index.origin.root.resolve()
    header = ["path", audited.config.label, COLUMN]
    columns: list[Sequence[str]] = [
        [os.path.relpath(root / path, folder.resolve()).replace(os.sep, "/") for path in index.paths],
        [index.classes[label] for label in index.labels.tolist()],
        _group_names(
            index.paths, duplicates_of(audited).one.tolist(), index.groups or [], index.columns.get(COLUMN, [])
        ),
    ]
    if index.groups is not None and audited.config.group is not None and audited.config.group not in header:
        header.append(audited.config.group)
        columns.append(index.groups)
    if index.splits is not None:
        header.append("split")
        columns.append(index.splits)
    for name, cells in index.columns.items():
        if name not in header:
            header.append(name)
            columns.append(cells)
    _write_csv(folder / "manifest.csv", header, zip(*columns, strict=True))
    return folder / "manifest.csv"


def _group_names(paths: list[str], *groupings: Sequence[object]) -> list[str]:
    """Of each image the path of the first image of its group, which holds whole groups of every grouping."""
    above = list(range(len(paths)))

    def first(row: int) -> int:
        while above[row] != row:
            above[row] = above[above[row]]
            row = above[row]
        return row

    for names in groupings:
        seen: dict[object, int] = {}
        for row, name in enumerate(names):
            one, other = sorted((first(row), first(seen.setdefault(name, row))))
            above[other] = one
    return [paths[first(row)] for row in range(len(paths))]


def _write_csv(file: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    file.write_text(csv_text([header, *rows]), encoding="utf-8", newline="")
