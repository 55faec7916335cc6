"""Which columns of the user's manifest go with the label: hospital, device, hardware, region of the body."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.audit.association import Sample, take_sample
from diascope.audit.confounders import Clue, columns_of, judge
from diascope.audit.facts import Audited
from diascope.audit.thumbnail_features import of_levels, of_numbers
from diascope.core.findings import Finding
from diascope.core.statistics import holm

CODE = "column-predicts-label"
_MOST_VALUES = 20  # of a column that is taken as it is; with more it must be numbers
_SAME = 0.99  # AUROC of a column that says the class in other words
_EMPTY = "(empty)"


def column_predicts_label(audited: Audited) -> list[Finding]:
    """A finding for each column that goes with the label, or one that says that none does."""
    index, sample = audited.index, take_sample(audited.index)
    clues = {name: clue for name, cells in index.columns.items() if (clue := _clue(name, cells)) is not None}
    skipped = [name for name in index.columns if name not in clues]
    if sample is None or not clues:
        why = "every class has images of fewer than 10 groups" if clues else "there is none with few values or numbers"
        sentence = f"No column of the source was set against the classes: {why}."
        evidence: dict[str, Any] = {"skipped": skipped}
        return [Finding(code=CODE, severity="info", outcome="not applicable", sentence=sentence, evidence=evidence)]
    findings = _weigh(clues, audited, sample)
    issues = [finding for finding in findings if finding.outcome == "issue"]
    if issues:
        return issues
    sentence = f"No column of the source tells the classes apart: {', '.join(clues)}."
    tried = {finding.evidence["column"]: finding.evidence["auroc"] for finding in findings}
    evidence = {"auroc": tried, "skipped": skipped}
    return [Finding(code=CODE, severity="info", outcome="passed", sentence=sentence, evidence=evidence)]


def _clue(name: str, cells: list[str]) -> Clue | None:
    """A column of few values, or of numbers; None for free text, identifiers, and what is the same for all."""
    filled = [cell.strip() or _EMPTY for cell in cells]
    values = set(filled)
    if len(values) == 1:
        return None
    remedy = "If it can be seen in the images, a network may read it instead of the class: compare within "
    if len(values) <= _MOST_VALUES and len(values) < len(cells) / 2:
        return Clue(CODE, f"Column {name}", f"{remedy}its values (report.subgroups: [{name}]).", levels=filled)
    numbers = _numbers(cells)
    if numbers is None or len(np.unique(numbers[~np.isnan(numbers)])) == len(numbers):  # an identifier
        return None
    absent = np.isnan(numbers)
    known = np.where(absent, np.nanmedian(numbers), numbers)
    features = np.concatenate([of_numbers(known), of_levels([str(one) for one in absent])], axis=1)
    return Clue(CODE, f"Column {name}", f"{remedy}like values of it.", numbers={name: known}, features=features)


def _numbers(cells: list[str]) -> NDArray[np.float64] | None:
    """The cells as numbers, NaN where they are empty; None where one is no number, or most are empty."""
    try:
        numbers = np.array([float(cell) if cell.strip() else np.nan for cell in cells])
    except ValueError:
        return None
    numbers[np.isinf(numbers)] = np.nan
    return numbers if np.isnan(numbers).mean() < 0.5 else None


def _weigh(clues: dict[str, Clue], audited: Audited, sample: Sample) -> list[Finding]:
    found = {name: sample.associate(columns_of(clue, sample), len(clues)) for name, clue in clues.items()}
    adjusted = holm([one.p for one in found.values()])
    findings = []
    for (name, one), p in zip(found.items(), adjusted, strict=True):
        finding = judge(clues[name], one, p, audited.index, sample)
        evidence = {"column": name, **finding.evidence, **_cramer(clues[name], sample)}
        changes: dict[str, Any] = {"evidence": evidence}
        if finding.outcome == "issue" and one.auroc >= _SAME:
            sentence = f"Column {name} says the class in other words (AUROC {one.auroc:.2f}), or was noted after it."
            changes |= {"severity": "info", "sentence": sentence}
        findings.append(finding.model_copy(update=changes))
    return findings


def _cramer(clue: Clue, sample: Sample) -> dict[str, float]:
    """Cramér's V of a column of few values and the class."""
    if clue.levels is None:
        return {}
    from scipy.stats.contingency import association, crosstab

    table = crosstab(np.array(clue.levels)[sample.rows], sample.labels).count
    return {"cramers_v": float(association(table, method="cramer"))}
