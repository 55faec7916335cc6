"""docs/training.md names every option and default as the configuration has it."""

import re
from pathlib import Path
from typing import get_args

import pytest
from pydantic_core import PydanticUndefined
from ruamel.yaml import YAML

from diascope.config import TrainingConfig
from diascope.config.training import Cosine, EarlyStopping, Exponential, OneCycle, Plateau, Step
from diascope.training.optimizers import OPTIMIZERS

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")


def test_the_example_is_a_section_that_can_be_used():
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    config = TrainingConfig(**YAML(typ="safe").load(text.replace("1e-3", "0.001"))["training"])
    assert config.early_stopping.restore_best


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_has_a_row(name):
    assert f"\n| `{name}`" in PAGE


@pytest.mark.parametrize("schedule", [Step, Exponential, Cosine, Plateau, OneCycle])
def test_every_schedule_has_a_row_with_its_defaults(schedule):
    fields = dict(schedule.model_fields)
    (kind,) = get_args(fields.pop("kind").annotation)
    (row,) = re.findall(rf"\n(\| `{kind}`.*)\n", PAGE)
    found = {key: float(value) for key, value in re.findall(r"`(\w+): ([\d.e-]+)`", row)}
    assert found == {key: field.default for key, field in fields.items()}


def test_the_defaults_of_early_stopping():
    (text,) = re.findall(r"`early_stopping: 10` is `(.*?)`", PAGE)
    assert EarlyStopping(**YAML(typ="safe").load(text)) == TrainingConfig(early_stopping=10).early_stopping
    assert all(field.default is not PydanticUndefined for field in EarlyStopping.model_fields.values())
