"""The section `training`: how the network learns."""

from string import Formatter
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from diascope.config.section import Epochs, Section


class Constant(Section):
    """The same learning rate throughout. No schedule has a default for `kind`: an identity never leaves it out."""

    kind: Literal["constant"]


class Step(Section):
    """The learning rate times `factor` every `every` epochs."""

    kind: Literal["step"]
    every: Epochs = Field(30, ge=1, description="epochs from one change to the next")
    factor: float = Field(0.1, gt=0, lt=1)


class Exponential(Section):
    """The learning rate times `factor` each epoch."""

    kind: Literal["exponential"]
    factor: float = Field(0.95, gt=0, lt=1)


class Cosine(Section):
    """Up in a straight line over `warmup` epochs, then down along half a cosine to the end of the training."""

    kind: Literal["cosine"]
    warmup: float = Field(0, ge=0, description="epochs")
    minimum: float = Field(0.0, ge=0, lt=1, description="where it ends, as a share of learning_rate")


class Plateau(Section):
    """The learning rate times `factor` when the validation loss has not improved for more than `patience` epochs."""

    kind: Literal["plateau"]
    patience: Epochs = Field(10, ge=0, description="epochs")
    factor: float = Field(0.1, gt=0, lt=1)
    min_delta: float = Field(1e-4, ge=0, description="an improvement is larger than this")
    minimum: float = Field(0.0, ge=0, lt=1, description="the least it comes to, as a share of learning_rate")


class OneCycle(Section):
    """Up to learning_rate over the share `rise` of the training, and down again (Smith 2018)."""

    kind: Literal["one_cycle"]
    rise: float = Field(0.3, gt=0, lt=1, description="share of the training in which it rises")
    start: float = Field(0.04, gt=0, lt=1, description="where it starts, as a share of learning_rate")
    end: float = Field(1e-4, gt=0, lt=1, description="where it ends, as a share of where it starts")


def _kind(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


Schedule = Annotated[
    Annotated[Constant | Step | Exponential | Cosine | Plateau | OneCycle, Field(discriminator="kind")],
    BeforeValidator(_kind),
]
STATISTICS_IMAGES = 128  # that batch normalization gets its statistics for evaluation from: each gives a value a pixel
HORIZON = ("cosine", "one_cycle")  # the schedules that need to know from the start when the training ends


class EarlyStopping(Section):
    """End a run whose validation side has not improved for `patience` epochs."""

    metric: Literal["loss", "accuracy", "balanced_accuracy", "auroc"] = Field(
        "loss", description="of the validation side; it also decides which epoch counts as the best"
    )
    patience: Epochs = Field(10, ge=1, description="epochs without improvement after which the run ends")
    min_delta: float = Field(0.0, ge=0, description="an improvement is larger than this")
    restore_best: bool = Field(False, description="the run ends with the weights of its best epoch")


def _metric(value: Any) -> Any:
    return {"patience": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _known_placeholders(path: str) -> str:
    """A path that can be filled in: {fold} and {seed}, and of a format no more than 03d, say."""
    for _, name, form, conversion in Formatter().parse(path):
        if name is not None and (name not in ("fold", "seed") or len(form or "") > 3 or conversion):
            raise ValueError(f"unknown placeholder {{{name}{f':{form}' if form else ''}}}; use {{fold}} and {{seed}}")
    path.format(fold=0, seed=0)
    return path


class TrainingConfig(Section):
    """How the network learns."""

    epochs: Epochs = Field(50, ge=1)
    batch_size: int = Field(8, ge=1, le=1_000_000)
    optimizer: Literal["adam", "adamw", "sgd", "rmsprop"] = "adam"
    learning_rate: float = Field(1e-4, gt=0)
    momentum: float = Field(0.0, ge=0, lt=1, description="sgd and rmsprop")
    nesterov: bool = Field(False, description="sgd with momentum")
    weight_decay: float = Field(
        0.0,
        ge=0,
        description="not on normalization and biases. adamw: decoupled (Loshchilov and Hutter 2019); others: L2",
    )
    schedule: Schedule = Field(
        Constant(kind="constant"), description="of the learning rate: a kind, or a section with kind"
    )
    gradient_clipping: float | None = Field(None, gt=0, description="the largest norm of all gradients together")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="share of the target spread over all classes")
    mixup: float = Field(0.0, ge=0, description="alpha of the Beta distribution; 0: no mixup (Zhang et al. 2018)")
    class_weights: Literal["none", "balanced", "effective"] | dict[str, Annotated[float, Field(ge=0)]] = Field(
        "none",
        description="weight of each class in the loss, from the training side of each fold: balanced: inversely to its "
        "images; effective: to their effective number (Cui et al. 2019, beta 0.999); or {class: weight}",
    )
    sampler: Literal["shuffle", "balanced"] = Field(
        "shuffle",
        description="balanced: each class equally often; images take turns, those of a rare class come several times",
    )
    early_stopping: Annotated[EarlyStopping, BeforeValidator(_metric)] | None = Field(
        None, description="a number of epochs (patience), or a section"
    )
    start_from: Annotated[str, AfterValidator(_known_placeholders)] | None = Field(
        None,
        description="whose best weights to begin with: arm:NAME, the same fold and seed of another arm; or a run "
        "folder, in which {fold} and {seed} stand for this run's",
    )
    evaluation_statistics: Literal["recomputed", "moving"] = Field(
        "recomputed",
        description="means and variances that batch normalization evaluates with: recomputed: from training images and "
        "the current weights, after every epoch; moving: the layers' own moving averages, as in Keras and PyTorch",
    )
    precision: Literal["fp32", "bf16"] = "fp32"
    threads: int = Field(1, ge=1, le=256, description="processor threads of one run; they decide the last bits")

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise ValueError(f"{self.optimizer} has no momentum, which is for sgd and rmsprop")
        if self.nesterov and not (self.optimizer == "sgd" and self.momentum):
            raise ValueError("nesterov is for optimizer sgd with momentum, 0.9 say")
        if self.optimizer == "adamw" and not self.weight_decay:
            raise ValueError("adamw without weight_decay is adam: set weight_decay, 0.01 say, or use adam")
        if self.sampler == "balanced" and self.class_weights != "none":
            raise ValueError("sampler balanced and class_weights both make up for unequal classes: set one of them")
        if isinstance(self.schedule, Cosine) and self.schedule.warmup >= self.epochs:
            raise ValueError(f"schedule.warmup is {self.schedule.warmup:g}, but there are only {self.epochs} epochs")
        return self

    @property
    def restores_best(self) -> bool:
        """Whether a run ends with the weights of its best epoch, which the validation side chose."""
        return self.early_stopping is not None and self.early_stopping.restore_best

    @property
    def has_horizon(self) -> bool:
        """Whether what happens in an epoch depends on how many there will be."""
        return self.schedule.kind in HORIZON
