"""What a user may write in a study file, as typed, frozen models; canonical JSON out; the identity of a run.

`studyfile.py` reads the YAML, applies overrides and turns validation errors into messages with a line and a remedy.
"""

from diascope.config.augmentation import AugmentationConfig, Transformation
from diascope.config.data import DataConfig, PhantomConfig, SplitConfig
from diascope.config.model import ModelConfig, own_model
from diascope.config.report import CompareConfig, ReportConfig
from diascope.config.run_identity import WITHOUT_EFFECT, as_recorded, canonical_json, run_id, same_as_planned
from diascope.config.search import SearchConfig, Space
from diascope.config.section import Section
from diascope.config.study import SEED_KINDS, RunConfig, SeedsUntilDecided, StudyConfig
from diascope.config.training import (
    Constant,
    Cosine,
    EarlyStopping,
    Exponential,
    OneCycle,
    Plateau,
    Schedule,
    Step,
    TrainingConfig,
)

__all__ = [
    "SEED_KINDS",
    "WITHOUT_EFFECT",
    "AugmentationConfig",
    "CompareConfig",
    "Constant",
    "Cosine",
    "DataConfig",
    "EarlyStopping",
    "Exponential",
    "ModelConfig",
    "OneCycle",
    "PhantomConfig",
    "Plateau",
    "ReportConfig",
    "RunConfig",
    "Schedule",
    "SearchConfig",
    "Section",
    "SeedsUntilDecided",
    "Space",
    "SplitConfig",
    "Step",
    "StudyConfig",
    "TrainingConfig",
    "Transformation",
    "as_recorded",
    "canonical_json",
    "own_model",
    "run_id",
    "same_as_planned",
]
