"""A whole study file, and the configuration of one run."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator

from diascope.config.augmentation import AugmentationConfig
from diascope.config.data import DataConfig, SplitConfig
from diascope.config.model import ModelConfig
from diascope.config.report import CompareConfig, ReportConfig
from diascope.config.search import SearchConfig
from diascope.config.section import Section, Seed, all_differ
from diascope.config.training import TrainingConfig
from diascope.core.seeding import stream_seed

GROWTH, NEAR = 1.6, 1.25
MOST_SEEDS, MOST_ARMS = 1_000, 1_000
SEED_KINDS = ("a list of seeds", "seeds until decided")  # how pydantic's messages call the two
ARM_NAME = r"^[A-Za-z0-9][A-Za-z0-9._+-]*$"


def _seed_list(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        if value > MOST_SEEDS:
            raise ValueError(f"{value:,} seeds are too many; the most are {MOST_SEEDS:,}")
        return tuple(range(value))
    return tuple(value) if isinstance(value, list) else value


Seeds = Annotated[
    tuple[Seed, ...],
    Field(min_length=1, max_length=MOST_SEEDS),
    BeforeValidator(_seed_list, json_schema_input_type=int | list[int]),
    AfterValidator(all_differ),
]


class SeedsUntilDecided(Section):
    """Seeds that are added in planned looks, until every verdict is decided or there are `at_most`."""

    model_config = ConfigDict(serialize_by_alias=True)

    first: int = Field(alias="from", ge=2, description="seeds at the first look")
    until: Literal["decided"] = Field(description="better, worse or, where a margin is stated, equivalent")
    at_most: int = Field(ge=2, le=MOST_SEEDS, description="seeds at the last look")

    @model_validator(mode="after")
    def _from_is_less(self) -> Self:
        if self.first >= self.at_most:
            raise ValueError(f"at_most must be above from: {self.at_most} is not above {self.first}")
        return self

    @property
    def looks(self) -> tuple[int, ...]:
        """Seeds at each planned look: GROWTH times as many as at the one before; no look shortly before the last."""
        found = [self.first]
        while (following := max(found[-1] + 1, round(GROWTH * found[-1]))) * NEAR <= self.at_most:
            found.append(following)
        return (*found, self.at_most)


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
    seeds: Annotated[
        Annotated[Seeds, Tag(SEED_KINDS[0])] | Annotated[SeedsUntilDecided, Tag(SEED_KINDS[1])],
        Discriminator(lambda value: SEED_KINDS[isinstance(value, dict | SeedsUntilDecided)]),
    ] = Field(
        (0, 1, 2),
        validate_default=False,
        description="how many seeds, or a list of them, or {from: 3, until: decided, at_most: 20}",
    )
    arms: dict[Annotated[str, Field(pattern=ARM_NAME)], dict[str, Any]] = Field(
        {"baseline": {}},
        min_length=1,
        max_length=MOST_ARMS,
        description="a name, and the keys in which it differs from the base",
    )
    compare: CompareConfig = CompareConfig()
    report: ReportConfig = ReportConfig()
    search: SearchConfig | None = Field(None, description="spaces for diascope tune")

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(arm, against) in the study's order: `compare.pairs`, else every arm against the first."""
        if self.compare.pairs is not None:
            return tuple((arm, against) for arm, against in self.compare.pairs)
        first, *others = self.arms
        return tuple((arm, first) for arm in others)

    @property
    def most_seeds(self) -> int:
        """How many seeds are trained at most."""
        return self.seeds.at_most if isinstance(self.seeds, SeedsUntilDecided) else len(self.seeds)

    @property
    def planned_looks(self) -> tuple[int, ...]:
        """How many seeds there are at each look that is planned; of a number or list of seeds there is one look."""
        return self.seeds.looks if isinstance(self.seeds, SeedsUntilDecided) else (len(self.seeds),)

    def first_seeds(self, count: int) -> tuple[int, ...]:
        """The seeds of a look at so many."""
        return tuple(range(count)) if isinstance(self.seeds, SeedsUntilDecided) else self.seeds[:count]

    @model_validator(mode="after")
    def _there_is_something_to_decide(self) -> Self:
        if isinstance(self.seeds, SeedsUntilDecided) and not self.pairs and self.search is None:
            raise ValueError("seeds.until: decided needs a pair of arms that is compared, and there is none")
        return self

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
    seed: Seed

    @property
    def run_seed(self) -> int:
        """What the run's random streams derive from: its seed and its fold.

        The folds of a seed begin with weights and orders of their own: a start that fails then counts as one run that
        failed, not as all folds of a seed, and the spread over folds holds what it is taken to hold.
        """
        return self.seed if self.fold == 0 else stream_seed(self.seed, "fold", self.fold)

    @property
    def precision(self) -> Literal["fp32", "bf16"]:
        """In which its network judges; a logistic regression does in full, whatever the precision of the features."""
        return "fp32" if self.model.head == "logistic" else self.training.precision
