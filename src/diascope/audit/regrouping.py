"""What to do so that no side of a split divides a picture or a patient: commands to copy, for this source."""

import shlex

from diascope.audit.facts import Audited
from diascope.data.index import Files
from diascope.data.split import REDRAW

COLUMN = "duplicate_group"  # of the manifest that an audit writes: what must lie on one side


def audit_command(audited: Audited, group: str | None) -> str:
    """The command whose manifest.csv has groups of images that show one picture or share a value of `group`."""
    config = audited.config
    words = ["diascope", "audit", config.source]
    words += [] if config.label == "label" else ["--label", config.label]
    words += [] if group is None else ["--group", group]
    words += [] if config.frame is None else ["--set", f"data.frame={config.frame}"]
    return shlex.join([*words, "--out", "audit"])


def group_duplicates(audited: Audited, group: str | None) -> str:
    """How to have pictures, and what shares a value of `group`, on one side; "" where images are no files."""
    if not isinstance(audited.index.origin, Files):
        return ""
    return (
        f"`{audit_command(audited, group)}` writes audit/manifest.csv: name this file as data.source and its column as "
        f"data.group: {COLUMN}{_redrawn(audited)}"
    )


def group_by(audited: Audited, name: str, cells: list[str]) -> str:
    """How to have what shares a value of this column on one side, and what data.group keeps together as well."""
    groups = audited.index.groups
    if groups is None or len(set(zip(groups, cells, strict=True))) == len(set(groups)):
        return f"Set data.group: {name}{_redrawn(audited)}"
    return f"Groups of data.group have several values of it, so that neither holds the other: {_both(audited, name)}"


def _both(audited: Audited, name: str) -> str:
    return group_duplicates(audited, name) or f"make one column of both{_redrawn(audited)}"


def allowed(audited: Audited, code: str) -> str:
    """The option that accepts this leak, and those that are accepted already."""
    codes = dict.fromkeys((*audited.config.allow, code))
    return shlex.join(["--set", f"data.allow=[{','.join(codes)}]"])


def _redrawn(audited: Audited) -> str:
    """What else it takes where sides are given, which would divide groups that were made after them."""
    given = audited.folds is not None and audited.folds.kind == "given"
    return f", and {REDRAW}" if given else ""
