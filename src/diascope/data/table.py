"""SourceTable: what a source says of its images, before classes get their order; the words for sides."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from diascope.core.findings import Finding

SIDES = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""How people call the three sides, in lower case, and how Diascope calls them."""


@dataclass(frozen=True)
class SourceTable:
    """One entry an image in every list: path, name of its class, group, side, and what else the source says."""

    paths: list[str]
    labels: list[str]
    groups: list[str] | None = None
    splits: list[str] | None = None
    columns: dict[str, list[str]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()

    def subset(self, rows: Iterable[int]) -> "SourceTable":
        """The images in `rows`, in that order."""
        chosen = list(rows)

        def pick(cells: list[str] | None) -> list[str] | None:
            return None if cells is None else [cells[row] for row in chosen]

        return replace(
            self,
            paths=[self.paths[row] for row in chosen],
            labels=[self.labels[row] for row in chosen],
            groups=pick(self.groups),
            splits=pick(self.splits),
            columns={name: [cells[row] for row in chosen] for name, cells in self.columns.items()},
        )


def side_of(name: str) -> str | None:
    """training, validation or test for any usual spelling; None for other words."""
    return SIDES.get(name.strip().lower())
