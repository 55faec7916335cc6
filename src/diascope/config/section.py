"""What every section of a study file has in common, and the kinds of values that several sections take."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of all sections: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def all_differ(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("duplicate value")
    return values


Seed = Annotated[int, Field(ge=0, lt=2**63)]
Epochs = Annotated[int, Field(le=1_000_000)]  # and what is counted in them
Probability = Annotated[float, Field(ge=0, lt=1)]
