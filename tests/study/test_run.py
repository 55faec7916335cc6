"""Options of a run that are checked before any training."""

from pathlib import Path

import pytest

from diascope.app.run import Options, make_executor, slow_precision
from diascope.core.errors import ConfigError
from diascope.study.executors.ray import Resources
from diascope.studyfile import Study, parse_study


def make_study(*settings: str) -> Study:
    text = "name: a\ndata: {source: a.csv}\narms: {one: {}, two: {training.precision: bf16}}"
    return parse_study(text, list(settings), where="a", folder=Path.cwd())


def test_bf16_on_a_processor_without_it_is_said() -> None:
    (finding,) = slow_precision(make_study(), "cpu", "AVX2")
    assert finding.code == "slow-precision"
    assert finding.evidence["arms"] == ["two"]


def test_bf16_elsewhere_and_fp32_are_no_finding() -> None:
    assert slow_precision(make_study(), "cuda", "AVX2") == []
    assert slow_precision(make_study(), "cpu", "AVX512") == []
    assert slow_precision(make_study("arms.two={training.precision: fp32}"), "cpu", "AVX2") == []


@pytest.mark.parametrize("options", [Options(executor="dask"), Options(jobs=0), Options(ray=Resources("auto"))])
def test_options_that_cannot_work_are_refused(options: Options) -> None:
    with pytest.raises(ConfigError):
        make_executor(make_study(), options)
