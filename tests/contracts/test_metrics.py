"""What every metric of the registry keeps to, and that a new one takes a file and a line."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

import diascope
from diascope import metrics
from diascope.metrics.arrays import Flags, Judged, checked

DOCUMENTED = Path(__file__).parents[2] / "docs" / "metrics.md"
RANGES = {(0, 1), (-1, 1), (0, None), (None, None)}  # the scales that intervals of arms are drawn on
SETS = (st.integers(0, 2**16), st.integers(2, 4), st.integers(0, 30), st.integers(1, 9))
every_metric = pytest.mark.parametrize("name", metrics.REGISTRY)


def _of_each(condition: Callable[[Flags, Flags], np.bool_]) -> Callable[[Judged], bool]:
    """A condition on truth and call (N,) that must hold for the positive class of two, for every class of more."""
    return lambda judged: all(condition(judged.labels == k, judged.predicted == k) for k in judged.against_rest)


def _overlap(judged: Judged) -> bool:
    if not _two_classes(judged):
        return False
    p, truth = judged.probabilities[:, judged.positive], judged.labels == judged.positive
    return bool(p[truth].min() < p[~truth].max() and p[~truth].min() < p[truth].max())


def _two_classes(judged: Judged) -> bool:
    return judged.classes == 2 and len(set(judged.labels)) == 2


# What the words of `needs` say. A metric with a need of its own adds a line.
THERE = {
    "images": lambda judged: len(judged.labels) > 0,
    "images of every class": lambda judged: len(set(judged.labels)) == judged.classes,
    "positive images": _of_each(lambda truth, called: truth.any()),
    "negative images": _of_each(lambda truth, called: (~truth).any()),
    "images predicted positive": _of_each(lambda truth, called: called.any()),
    "images predicted negative": _of_each(lambda truth, called: (~called).any()),
    "images that are positive or predicted so": _of_each(lambda truth, called: (truth | called).any()),
    "at least two true and two predicted classes": (
        lambda judged: len(set(judged.labels)) > 1 and len(set(judged.predicted)) > 1
    ),
    "images of both classes": _two_classes,
    "two classes whose probabilities overlap": _overlap,
}


def _drawn(seed: int, classes: int, images: int, levels: int) -> Judged:
    """Labels of some or all classes, probabilities with ties: the fewer levels, the more."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, random.integers(1, classes + 1), images)
    weights = random.integers(0, levels + 1, (images, classes)) + 0.5 + random.integers(0, 3) * np.eye(classes)[labels]
    probabilities = weights / weights.sum(axis=1, keepdims=True)
    return checked(labels, probabilities, int(random.integers(0, classes)))


def _within(value: float, low: float | None, high: float | None) -> bool:
    return (low is None or value >= low - 1e-12) and (high is None or value <= high + 1e-12)


@every_metric
def test_its_words_are_given_and_documented(name: str) -> None:
    metric = metrics.REGISTRY[name]
    assert metric.label
    assert metric.meaning
    assert f"\n| {metric.label}" in DOCUMENTED.read_text(encoding="utf-8")
    assert (metric.low, metric.high) in RANGES
    assert _within(metric.best, metric.low, metric.high)
    assert metric.needs in THERE, "say in THERE when it is"


@every_metric
@settings(deadline=None, max_examples=60)
@given(*SETS)
def test_its_value_is_in_range_and_none_where_its_need_is_missing(
    name: str, seed: int, classes: int, images: int, levels: int
) -> None:
    metric, judged = metrics.REGISTRY[name], _drawn(seed, classes, images, levels)
    value = metric.value(judged)
    assert (value is not None) == THERE[metric.needs](judged)
    assert value is None or _within(value, metric.low, metric.high)


@every_metric
@settings(deadline=None, max_examples=40)
@given(*SETS, st.sampled_from([1, 2, 5]))
def test_its_interval_holds_the_value_and_is_in_range(
    name: str, seed: int, classes: int, images: int, levels: int, size: int
) -> None:
    metric, judged = metrics.REGISTRY[name], _drawn(seed, classes, images, levels)
    groups = None if size == 1 else np.arange(images) // size
    found = metrics.intervals(
        judged.labels, judged.probabilities, judged.positive, groups=groups, names=[name], draws=100
    )[name]
    assert found.value == metric.value(judged)
    if found.low is None or found.high is None:
        assert found.low is found.high
        return
    assert name in metrics.WITH_INTERVAL
    assert found.value is not None
    assert _within(found.value, found.low, found.high)
    assert _within(found.low, metric.low, metric.high)
    assert _within(found.high, metric.low, metric.high)


@pytest.mark.parametrize("name", [name for name, metric in metrics.REGISTRY.items() if metric.left_out])
@settings(deadline=None, max_examples=60)
@given(*SETS, st.integers(1, 4))
def test_its_closed_form_is_the_value_without_each_case(
    name: str, seed: int, classes: int, images: int, levels: int, size: int
) -> None:
    metric, judged = metrics.REGISTRY[name], _drawn(seed, classes, images + 2 * size, levels)
    cases = np.random.default_rng(seed).permutation(np.arange(len(judged.labels)) // size)
    if metric.value(judged) is None or (left := metric.left_out(judged, cases)) is None:  # type: ignore[misc]
        return
    again = [
        metrics.score(name, judged.labels[kept], judged.probabilities[kept], judged.positive)
        for kept in (cases != case for case in range(cases.max() + 1))
    ]
    np.testing.assert_allclose(left, np.array(again, dtype=np.float64), rtol=1e-9, atol=1e-12)  # None becomes NaN


@every_metric
@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_best_where_the_classifier_is_perfect(name: str, classes: int) -> None:
    metric, labels = metrics.REGISTRY[name], np.arange(60) % classes
    if metric.best in (metric.low, metric.high):
        assert metrics.score(name, labels, np.eye(classes)[labels], 1) == metric.best
        worse = metrics.score(name, labels, np.eye(classes)[(labels + (np.arange(60) < 20)) % classes], 1)
        assert worse is not None
        assert worse > metric.best if name in metrics.LOWER_IS_BETTER else worse < metric.best
    elif classes == 2:  # its best value says that probabilities are right, not that they are sure
        random = np.random.default_rng(0)
        p = expit(random.normal(size=20_000))
        right = (random.random(20_000) < p).astype(int)
        assert metrics.score(name, right, np.column_stack([1 - p, p]), 1) == pytest.approx(metric.best, abs=0.1)


def test_arms_are_compared_by_what_has_a_direction_and_an_interval() -> None:
    assert set(metrics.REGISTRY) - set(metrics.COMPARED) == {"calibration_slope", "calibration_intercept", "ece"}
    assert set(metrics.REGISTRY) - set(metrics.WITH_INTERVAL) == {"ece"}
    assert {"loss", "brier", "ece"} == metrics.LOWER_IS_BETTER


NEW_FILE = '''
"""Youden's index."""

from diascope.metrics.decisions import BALANCED_ACCURACY
from diascope.metrics.metric import Metric
from diascope.metrics.units import Limits


def _value(judged):
    balanced = BALANCED_ACCURACY.value(judged)
    return None if balanced is None or judged.classes > 2 else 2 * balanced - 1


def _limits(question, value):
    return Limits(max(-1, value - 0.1), min(1, value + 0.1), question.units.count(question.everyone), "planted")


YOUDEN = Metric("Youden's index", "sensitivity + specificity - 1", *(-1, 1, 1), value=_value, limits=_limits)
'''
ASKED = """
import json
import numpy as np
from diascope import metrics
from diascope.compare.jackknife import pseudo_values
from diascope.config import CompareConfig, StudyConfig
from diascope.report.page import METRICS

labels, p = np.arange(40) % 2, np.random.default_rng(0).random(40)
judged = labels, np.column_stack([1 - p, p]), 1
print(json.dumps({
    "file": metrics.__file__,
    "score": metrics.scores(*judged)["youden"],
    "halves": metrics.scores(*judged)["balanced_accuracy"],
    "interval": metrics.intervals(*judged)["youden"].method,
    "pseudo": pseudo_values("youden", *judged, np.arange(40)).values.mean(),
    "chosen": CompareConfig(metric="youden").metric,
    "schema": StudyConfig.model_json_schema()["$defs"]["CompareConfig"]["properties"]["metric"],
    "meaning": METRICS["youden"],
}))
"""


def test_a_new_metric_is_a_file_and_a_line(tmp_path: Path) -> None:
    package = tmp_path / "diascope"
    shutil.copytree(Path(diascope.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "metrics" / "youden.py").write_text(NEW_FILE)
    registry = package / "metrics" / "registry.py"
    line = "REGISTRY: dict[str, Metric] = {\n"
    before, after = registry.read_text().split(line)
    new = "from diascope.metrics.youden import YOUDEN\n", '    "youden": YOUDEN,\n'
    registry.write_text(f"{before}{new[0]}{line}{new[1]}{after}")
    done = subprocess.run(
        [sys.executable, "-B", "-c", ASKED], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert Path(found["file"]).is_relative_to(tmp_path)
    assert found["score"] == pytest.approx(2 * found["halves"] - 1)
    assert found["pseudo"] == pytest.approx(found["score"])
    assert (found["interval"], found["chosen"]) == ("planted", "youden")
    assert "youden" in found["schema"]["anyOf"][0]["enum"]
    assert found["meaning"] == "sensitivity + specificity - 1"
