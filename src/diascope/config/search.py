"""The section `search`: the hyper-parameters that `diascope tune` tries.

search:
  trials: 30
  space:
    training.learning_rate: {low: 1e-5, high: 1e-2, log: true}
    training.batch_size: [4, 8, 16]
    model.depth: {low: 8, high: 32, step: 6}
"""

import json
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from diascope.config.section import Section, Seed

MOST_PROBED = 64
MOST_CHOICES, MOST_SPACES = 1_000, 100


class Space(Section):
    """The values of one key: a list of choices, or the numbers from low to high (whole ones where both ends are)."""

    choices: tuple[Any, ...] | None = Field(
        None, min_length=2, max_length=MOST_CHOICES, description="values, in no order"
    )
    low: int | float | None = None
    high: int | float | None = None
    step: int | float | None = Field(None, gt=0, description="distance of the values; default: any, or 1")
    log: bool = Field(False, description="search on a logarithmic scale")

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.step is not None or self.log:
                raise ValueError("write either a list of choices or low and high")
            texts = [json.dumps(choice) for choice in self.choices]
            if twice := [text for text in texts if texts.count(text) > 1]:
                raise ValueError(f"duplicate value {twice[0]}")
            return self
        if self.low is None or self.high is None:
            raise ValueError("write a list of choices, or {low: ..., high: ...}")
        if self.low >= self.high:
            raise ValueError(f"low is {self.low:g} and high {self.high:g}: low must be the smaller")
        if self.log and self.low <= 0:
            raise ValueError(f"log needs a low above 0, not {self.low:g}")
        if self.log and self.step is not None:
            raise ValueError("log and step exclude one another")
        if self.step is not None and self.step > self.high - self.low:
            raise ValueError(f"step {self.step:g} leaves low as the only value")
        return self

    @property
    def whole(self) -> bool:
        """Whether the values are whole numbers."""
        return all(isinstance(end, int) for end in (self.low, self.high, self.step or 1))

    def values(self, most: int) -> tuple[Any, ...] | None:
        """Every value in order, or None where they are more than `most`."""
        if self.choices is not None:
            return self.choices if len(self.choices) <= most else None
        if self.low is None or self.high is None or not (self.whole or self.step):
            return None
        step = self.step or 1
        steps = (self.high - self.low) / step + 1e-9
        if steps >= most:
            return None
        # a decimal step, 0.1 say, has no exact binary value: rounding keeps 0.3 from becoming 0.30000000000000004
        return tuple(round(self.low + place * step, 12) for place in range(int(steps) + 1))

    def probed(self) -> tuple[Any, ...]:
        """The values that are tried for validity before a search begins: all, where they are few, else the ends."""
        return self.values(MOST_PROBED) or self.ends()

    def ends(self) -> tuple[Any, ...]:
        """The choices, or low and high."""
        return self.choices or (self.low, self.high)


def _read_space(value: Any) -> Any:
    if isinstance(value, Space):
        return value
    tree = value if isinstance(value, dict) else {"choices": value}
    return {key: tuple(found) if isinstance(found, list) else found for key, found in tree.items()}


Spaces = Annotated[
    dict[str, Annotated[Space, BeforeValidator(_read_space, json_schema_input_type=list[Any] | Space)]],
    Field(min_length=1, max_length=MOST_SPACES),
]


class SearchConfig(Section):
    """What `diascope tune` varies, how long, and what it judges by."""

    space: Spaces = Field(description="dotted keys: a list of choices, or {low, high}")
    trials: int = Field(30, ge=1, le=100_000, description="configurations to try")
    folds: int = Field(3, ge=2, le=20, description="inner folds, made of the training side alone")
    seed: Seed = Field(0, description="of the sampler, of the inner folds and of every trial's training")
    pruner: Literal["median", "none"] = Field("median", description="median: end trials that fall behind early")
    warmup_trials: int = Field(
        8, ge=1, le=100_000, description="trials drawn at random, and never pruned, before TPE begins"
    )
