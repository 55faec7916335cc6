"""Columns of a manifest that go with the label."""

from dataclasses import replace

import numpy as np
import pytest
from fact_sets import audited, index_of, plain_facts
from real_data import REAL, needs_real_data
from scipy.stats import chi2_contingency

from diascope.audit.columns import column_predicts_label
from diascope.audit.facts import Audited
from diascope.config import DataConfig
from diascope.core.findings import Finding
from diascope.data.index import open_index

RANDOM = np.random.default_rng(9)
LABELS = np.arange(200) % 2


def findings(**columns: list[str]) -> list[Finding]:
    return column_predicts_label(audited(index_of(LABELS, columns=columns), plain_facts(200)))


def as_cells(values: np.ndarray) -> list[str]:
    return [str(value) for value in values]


def test_a_column_that_goes_with_the_label_is_named_with_its_table() -> None:
    site = np.where(RANDOM.random(200) < 0.85, LABELS, 1 - LABELS)
    (found,) = findings(site=as_cells(site), sex=as_cells(RANDOM.integers(0, 2, 200)))
    assert found.evidence["column"] == "site"
    assert found.severity == "warning"
    table = np.array([list(row.values()) for row in found.evidence["images_per_level"].values()])
    assert table.sum() == 200
    v = np.sqrt(chi2_contingency(table, correction=False).statistic / 200)
    assert found.evidence["cramers_v"] == pytest.approx(v)


def test_columns_that_do_not_are_quiet_and_identifiers_are_skipped() -> None:
    (found,) = findings(
        sex=as_cells(RANDOM.integers(0, 2, 200)),
        note=[f"seen by doctor {i}" for i in range(200)],
        number=as_cells(np.arange(200) + 1000 * LABELS),
        same=["x"] * 200,
    )
    assert found.outcome == "passed"
    assert sorted(found.evidence["skipped"]) == ["note", "number", "same"]
    assert set(found.evidence["auroc"]) == {"sex"}


def test_numbers_may_have_gaps() -> None:
    age = np.round(RANDOM.normal(50 + 15 * LABELS, 10)).astype(int)
    cells = ["" if i % 17 == 0 else str(one) for i, one in enumerate(age)]
    (found,) = findings(age=cells)
    assert found.evidence["quartiles"]["age"]["b"][1] > found.evidence["quartiles"]["age"]["a"][1] + 8


def test_a_column_that_is_the_label_is_said_to_be() -> None:
    (found,) = findings(diagnosis=["mole" if label else "none" for label in LABELS])
    assert found.severity == "info"
    assert "in other words" in found.sentence


def test_nothing_to_look_at() -> None:
    assert findings()[0].outcome == "not applicable"


@needs_real_data
def test_real_x_rays_hardware_goes_with_fractures() -> None:
    config = DataConfig(source=str(REAL / "bone" / "metadata.csv"), group="dup_group")
    index = open_index(config)
    index = replace(index, columns={name: index.columns[name] for name in ("hardware", "orig_mode", "multiscan")})
    found = column_predicts_label(Audited(index, plain_facts(1), config))  # this check looks at no picture
    named = {finding.evidence["column"]: finding for finding in found}
    assert named["hardware"].severity == "warning"
    assert named["hardware"].evidence["level"]["value"] == "1"
    assert named["hardware"].evidence["level"]["share"] > 0.95
    assert named["orig_mode"].severity == "info"
    assert "multiscan" not in named
