"""Replicas: several small dense networks of one shape, trained together as one batched program.

A step of one such network is bound by Python and dispatch, not by arithmetic. Here the parameters of R networks are
stacked for an epoch, and forward and backward pass are a few batched products. Everything else stays each network's
own: order of the data, dropout, loss, learning rate, optimizer, early stopping. So it learns what it would learn alone,
but for rounding.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from diascope.config import TrainingConfig
from diascope.training.evaluation import Batch, evaluate, validate
from diascope.training.loop import Epoch, Stochastic, dropout_generator
from diascope.training.losses import MixedClasses, Targets
from diascope.training.mixup import Mixup
from diascope.training.optimizers import KERAS_EPSILON, KerasAdam
from diascope.training.scores import Scores, ValidationScores, running_scores
from diascope.training.state import TrainingState


@dataclass(frozen=True)
class Replica:
    """One training among several: what `loop.train` takes. Its batches are features (B, inputs) and classes (B,)."""

    state: TrainingState
    batches: Callable[[int], Iterable[Batch]]
    validation: Iterable[Batch]
    subset: Iterable[Batch]
    config: TrainingConfig
    class_weights: Tensor | None = None
    steps: int | None = None


def shape_key(model: nn.Module) -> tuple[tuple[int, ...], ...] | None:
    """Networks with the same key can be trained together, on one device in one precision; None: with no other.

    Only a plain nn.Sequential of dense layers, with ReLU and perhaps dropout between them, has a key.
    """
    if re.fullmatch("(LRD?)*L", "".join(map(_letter, _layers(model)))) is None:
        return None
    return tuple(tuple(parameter.shape) for parameter in model.parameters())


def _layers(model: nn.Module) -> list[nn.Module]:
    if type(model) is nn.Sequential:  # no subclass: its forward could be another
        return [layer for part in model for layer in _layers(part)]
    return [model]


def _letter(layer: nn.Module) -> str:
    """L: dense layer, R: ReLU, D: dropout of single values, ?: anything else."""
    if type(layer) is nn.Linear:
        learns = layer.bias is not None and layer.bias.requires_grad and layer.weight.requires_grad
        return "L" if learns and layer.weight.dtype == torch.float32 else "?"
    if isinstance(layer, Stochastic):
        return "D" if hasattr(layer, "rate") and not getattr(layer, "spatial", False) else "?"
    return "R" if type(layer) is nn.ReLU else "?"


def _dropout_rates(model: nn.Module) -> list[float]:
    """Of the dropout after each hidden layer, 0 where there is none."""
    rates: list[float] = []
    for layer in _layers(model):
        if isinstance(layer, nn.ReLU):
            rates.append(0.0)
        elif isinstance(layer, Stochastic):
            rates[-1] = float(layer.rate)  # type: ignore[arg-type]
    return rates


def _always(_: int) -> bool:
    return True


def train_together(
    replicas: Sequence[Replica], *, wanted: Callable[[int], bool] = _always
) -> Iterator[dict[int, Epoch]]:
    """Train each replica up to its own end, in rounds of an epoch of each: yields {number of the replica: its epoch}.

    Whenever this yields, all states are as `loop.train` would have left them, and may be saved. `wanted(number)` is
    asked before each round; a replica that is not wanted stays as it is. The seconds of an epoch are those of its
    round, divided by the replicas in it. Raises ValueError for networks that cannot be trained together.
    """
    keys = {(shape_key(each.state.model), each.state.device, each.config.precision) for each in replicas}
    if len(keys) > 1 or any(key[0] is None for key in keys):
        raise ValueError("cannot train these together: group them by shape_key(model), device and precision")
    longest_first = sorted(range(len(replicas)), key=lambda number: -(replicas[number].steps or 0))
    while going_on := [number for number in longest_first if not _finished(replicas[number]) and wanted(number)]:
        yield dict(zip(going_on, _round([replicas[number] for number in going_on]), strict=True))


def _finished(replica: Replica) -> bool:
    return replica.state.finished(replica.config)


def _round(replicas: list[Replica]) -> list[Epoch]:
    """An epoch of each."""
    started = perf_counter()
    found = [_noted(replica, training) for replica, training in zip(replicas, _train_epoch(replicas), strict=True)]
    seconds = (perf_counter() - started) / len(replicas)
    return [Epoch(*scores, seconds) for scores in found]


def _noted(replica: Replica, training: Scores) -> tuple[int, float, Scores, Scores, ValidationScores]:
    """All that an Epoch says but its seconds, taken into account by the state."""
    state, precision = replica.state, replica.config.precision
    state.epoch += 1
    watched = evaluate(state.model, replica.subset, precision=precision)
    validated = validate(state.model, replica.validation, precision=precision)
    state.note_validation(validated, replica.config)
    return state.epoch, state.learning_rate, training, watched, validated


@torch.no_grad()
def _train_epoch(replicas: list[Replica]) -> list[Scores]:
    """One pass of each over its training side. Nothing is read back from the device before the end."""
    with _stacked([replica.state.model for replica in replicas], replicas[0].config.precision) as network:
        passes = [_Pass(replica) for replica in replicas]
        tables = torch.stack([loss_table(each, network.classes) for each in replicas])
        while learning := [number for number, each in enumerate(passes) if each.advance()]:
            going = passes[: learning[-1] + 1]  # the longest come first: few of these have had their last batch
            coefficients = loss_coefficients(tables[: len(going)], [each.targets for each in going])
            logits = network.learn(going, coefficients).unbind()
            for number in learning:
                passes[number].step(logits[number])
    return [each.scores() for each in passes]


class _Pass:
    """A replica's way through its training side: its own order, random numbers, learning rates and optimizer."""

    def __init__(self, replica: Replica) -> None:
        state, config = replica.state, replica.config
        if config.has_horizon and replica.steps is None:
            raise ValueError(f"schedule {config.schedule.kind} needs to know how many batches an epoch has: pass steps")
        self._replica, self._batches = replica, iter(replica.batches(state.epoch))
        self._mixup = Mixup(config.mixup, seed=state.seed, epoch=state.epoch) if config.mixup else None
        self._optimize = _stepper(state.optimizer)
        self._generator, self.rates = dropout_generator(state), _dropout_rates(state.model)
        self._logits: list[Tensor] = []
        self._trained_on: list[Targets] = []
        inputs = next(state.model.parameters()).shape[1]
        self._nothing = torch.empty(0, inputs, device=state.device), torch.empty(0, device=state.device).long()
        self.inputs: Tensor = self._nothing[0]  # of the current batch
        self.targets: Targets = self._nothing[1]

    def advance(self) -> bool:
        """Take the next batch, or one without rows if there is none."""
        batch = next(self._batches, None)
        if batch is None:
            self.inputs, self.targets = self._nothing
        elif self._mixup is None:
            self.inputs, self.targets = batch
        else:
            self.inputs, self.targets = self._mixup(*batch)
        return batch is not None

    def draw_dropout(self, layer: int, kept: Tensor) -> None:
        """Fill the rows of the batch in `kept` (B, width), ones, as the dropout after this hidden layer would."""
        rate = self.rates[layer]
        if rate:
            kept[: len(self.inputs)].bernoulli_(1 - rate, generator=self._generator).div_(1 - rate)

    def step(self, logits: Tensor) -> None:
        """Take the optimizer's step, and note the logits (B and perhaps more, outputs) from before it."""
        state, config = self._replica.state, self._replica.config
        state.schedule_step(config, len(self._logits), self._replica.steps or 1)
        if config.gradient_clipping is not None:
            nn.utils.clip_grad_norm_(state.model.parameters(), config.gradient_clipping)
        self._optimize()
        self._logits.append(logits[: len(self.inputs)])
        self._trained_on.append(self.targets)

    def scores(self) -> Scores:
        """Those of the whole epoch."""
        steps, done = self._replica.steps, len(self._logits)
        if steps not in (None, done):
            raise ValueError(f"an epoch was to have {steps} batches and has {done}: the schedule would be wrong")
        return running_scores(self._logits, self._trained_on)


class _Network:
    """R networks as one, from the stacks of their parameters: weight (R, out, in) and bias (R, out) of each layer."""

    def __init__(self, stacks: list[Tensor], gradients: list[Tensor], precision: str) -> None:
        self._layers = list(zip(stacks[::2], stacks[1::2], strict=True))
        self._gradients = list(zip(gradients[::2], gradients[1::2], strict=True))
        self._type = torch.bfloat16 if precision == "bf16" else torch.float32  # as autocast would have it
        self.classes = max(2, stacks[-1].shape[1])

    def learn(self, going: list[_Pass], coefficients: Tensor) -> Tensor:
        """Set the gradients of the first R' networks, those of `going`; returns their logits (R', B, outputs)."""
        layers = [(w[: len(going)].to(self._type), b[: len(going), None].to(self._type)) for w, b in self._layers]
        values = [_padded([each.inputs for each in going]).to(self._type)]  # (R', B, inputs)
        kept: list[Tensor | None] = []
        for number, (weight, bias) in enumerate(layers[:-1]):
            values.append(torch.baddbmm(bias, values[-1], weight.mT).relu_())
            kept.append(_dropout(number, going, values[-1]))
        logits = torch.baddbmm(layers[-1][1], values[-1], layers[-1][0].mT).float()
        errors = loss_gradient(logits, coefficients).to(self._type)
        for number in reversed(range(len(layers))):
            self._note(number, errors, values[number])
            if number:
                errors = _back(errors, layers[number][0], values[number], kept[number - 1])
        return logits

    def _note(self, layer: int, errors: Tensor, values: Tensor) -> None:
        """Gradients of a layer from those of its outputs (R', B, out) and from its inputs (R', B, in)."""
        weight, bias = (gradient[: len(errors)] for gradient in self._gradients[layer])
        if self._type == torch.float32:
            torch.bmm(errors.mT, values, out=weight)
        else:
            weight.copy_(torch.bmm(errors.mT, values))
        bias.copy_(errors.sum(dim=1))


def _dropout(layer: int, going: list[_Pass], values: Tensor) -> Tensor | None:
    """Drop some of `values` (R', B, width) in place; returns their factors, None where no network has dropout."""
    if not any(each.rates[layer] for each in going):
        return None
    kept = torch.ones_like(values)
    for each, own in zip(going, kept.unbind(), strict=True):
        each.draw_dropout(layer, own)
    values.mul_(kept)
    return kept


def _back(errors: Tensor, weight: Tensor, values: Tensor, kept: Tensor | None) -> Tensor:
    """Gradients of a layer's outputs -> of those of the layer before, whose ReLU and dropout gave `values`."""
    before = torch.bmm(errors, weight)
    if kept is not None:
        before.mul_(kept)
    result: Tensor = torch.ops.aten.threshold_backward(before, values, 0)
    return result


@contextmanager
def _stacked(models: list[nn.Module], precision: str) -> Iterator[_Network]:
    """The models as one. Meanwhile their parameters and gradients are views of stacks; then they own their memory."""
    parameters = [list(model.parameters()) for model in models]
    stacks = [torch.stack([each.detach() for each in same]) for same in zip(*parameters, strict=True)]
    gradients = [torch.empty_like(stack) for stack in stacks]
    for number, own in enumerate(parameters):
        for parameter, stack, gradient in zip(own, stacks, gradients, strict=True):
            parameter.data, parameter.grad = stack[number], gradient[number]
    try:
        yield _Network(stacks, gradients, precision)
    finally:
        for parameter in (each for own in parameters for each in own):
            parameter.data, parameter.grad = parameter.detach().clone(), None


def loss_table(replica: Replica, classes: int) -> Tensor:
    """(K + 1, K): row k is the smoothed and weighted target of an image of class k; the last, zeros, of none."""
    smoothing, weights = replica.config.label_smoothing, replica.class_weights
    wanted = torch.eye(classes) * (1 - smoothing) + smoothing / classes
    if weights is not None:
        wanted *= weights.to(wanted)[:, None]
    return pad(wanted, (0, 0, 0, 1)).to(replica.state.device)


def loss_coefficients(tables: Tensor, targets: Sequence[Targets]) -> Tensor:
    """c (R, B, K) such that minus the sum of c[r] times the log-probabilities is the loss of replica r's batch.

    Rows beyond the end of a batch are 0.
    """
    mixed = any(isinstance(each, MixedClasses) for each in targets)
    parts = [each.parts() if isinstance(each, MixedClasses) else [(each, 1.0), (each, 0.0)] for each in targets]
    found = _part(tables, [first for first, _ in parts])
    return found + _part(tables, [second for _, second in parts]) if mixed else found


def _part(tables: Tensor, parts: Sequence[tuple[Tensor, float]]) -> Tensor:
    classes = _padded([each for each, _ in parts], nothing=tables.shape[2])  # (R, B)
    shares = torch.tensor([share / max(1, len(each)) for each, share in parts], device=tables.device)
    return tables.gather(1, classes[:, :, None].expand(-1, -1, tables.shape[2])) * shares[:, None, None]


def _padded(rows: list[Tensor], nothing: float = 0) -> Tensor:
    """R tensors (B or fewer, ...) as one (R, B, ...)."""
    if len({len(each) for each in rows}) == 1:
        return torch.stack(rows)  # several times faster
    return pad_sequence(rows, batch_first=True, padding_value=nothing)


def loss_gradient(logits: Tensor, coefficients: Tensor) -> Tensor:
    """Of the loss with regard to the logits (R, B, outputs); one output is the logit of the second of two classes."""
    total = coefficients.sum(dim=2, keepdim=True)
    if logits.shape[2] == 1:
        return torch.sigmoid(logits) * total - coefficients[:, :, 1:]
    return torch.softmax(logits, dim=2) * total - coefficients


def _stepper(optimizer: torch.optim.Optimizer) -> Callable[[], object]:
    """What takes a step; as long as the gradients stay where they are."""
    if isinstance(optimizer, KerasAdam) and optimizer.state:  # its first epoch makes the state
        return _AdamStep(optimizer)
    return optimizer.step


class _AdamStep:
    """`KerasAdam.step` without what PyTorch does around its kernel, which takes longer than the kernel."""

    def __init__(self, optimizer: KerasAdam) -> None:
        self._one = torch.ones(())  # a number would be made into a tensor for each of the counts
        self._parts = [(group, self._tensors(optimizer, group["params"])) for group in optimizer.param_groups]

    def _tensors(self, optimizer: KerasAdam, parameters: list[Tensor]) -> list[list[Any]]:
        states = [optimizer.state[parameter] for parameter in parameters]
        moments = [[state[name] for state in states] for name in ("exp_avg", "exp_avg_sq")]
        gradients, counts = [parameter.grad for parameter in parameters], [state["step"] for state in states]
        return [parameters, gradients, *moments, [], counts]

    def __call__(self) -> None:
        for group, tensors in self._parts:
            beta1, beta2 = group["betas"]
            group["steps"] += 1
            group["eps"] = KERAS_EPSILON / sqrt(1 - beta2 ** group["steps"])
            torch._foreach_add_(tensors[-1], self._one)
            kernel = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
            rule = {name: group[name] for name in ("lr", "weight_decay", "eps", "amsgrad", "maximize")}
            kernel(*tensors, beta1=beta1, beta2=beta2, **rule)
