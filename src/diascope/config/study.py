"""A whole study file, and the configuration of one run."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from diascope.config.augmentation import AugmentationConfig
from diascope.config.data import DataConfig, SplitConfig
from diascope.config.model import ModelConfig
from diascope.config.report import CompareConfig, ReportConfig
from diascope.config.search import SearchConfig
from diascope.config.section import Section, all_differ
from diascope.config.training import TrainingConfig

ARM_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"


def _seed_list(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return tuple(range(value))
    return tuple(value) if isinstance(value, list) else value


Seeds = Annotated[
    tuple[Annotated[int, Field(ge=0)], ...],
    Field(min_length=1),
    BeforeValidator(_seed_list, json_schema_input_type=int | list[int]),
    AfterValidator(all_differ),
]


class StudyConfig(Section):
    """One question: a data set, a base configuration, and the arms to compare."""

    diascope: Literal[1] = Field(1, description="version of this format")
    name: str = Field(min_length=1)
    question: str = ""
    data: DataConfig
    split: SplitConfig = SplitConfig()
    model: ModelConfig = ModelConfig()
    augmentation: AugmentationConfig = AugmentationConfig()
    training: TrainingConfig = TrainingConfig()
    seeds: Seeds = Field((0, 1, 2), validate_default=False, description="how many seeds, or a list of them")
    arms: dict[Annotated[str, Field(pattern=ARM_NAME)], dict[str, Any]] = Field(
        {"baseline": {}}, min_length=1, description="a name, and the keys in which it differs from the base"
    )
    compare: CompareConfig = CompareConfig()
    report: ReportConfig = ReportConfig()
    search: SearchConfig | None = Field(None, description="spaces for diascope tune")

    @model_validator(mode="after")
    def _pairs_are_of_arms(self) -> Self:
        for pair in self.compare.pairs or ():
            for name in pair:
                if name not in self.arms:
                    raise ValueError(
                        f"compare.pairs names {name!r}, which is not one of the arms {', '.join(self.arms)}"
                    )
        return self


class RunConfig(Section):
    """All that decides what one training does: an arm's configuration, resolved, with its fold and seed."""

    data: DataConfig
    split: SplitConfig
    model: ModelConfig
    augmentation: AugmentationConfig
    training: TrainingConfig
    fold: int = Field(ge=0)
    seed: int = Field(ge=0)
