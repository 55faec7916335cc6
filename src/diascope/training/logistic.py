"""Logistic regression by scikit-learn as the one layer of a head: fitted to the end at once, and told as one epoch."""

import warnings
from collections.abc import Iterable, Iterator
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diascope.config import TrainingConfig
from diascope.core.errors import RunError
from diascope.training.evaluation import Batch, evaluate, validate
from diascope.training.loop import Epoch
from diascope.training.state import TrainingState

MOST_ITERATIONS = 10_000


def fit(
    state: TrainingState,
    training: Iterable[Batch],
    validation: Iterable[Batch],
    subset: Iterable[Batch],
    config: TrainingConfig,
    inverse_regularization: float,
    class_weights: Tensor | None = None,
) -> Iterator[Epoch]:
    """Fit the linear layer of `state.model` to the features (B, F) of `training`, unless that is done; one epoch.

    Features are standardized by their mean and SD on the training side, which the weights then hold. L2 penalty with
    scikit-learn's C. It is judged in float32, as scikit-learn would. Raises RunError where it does not converge.
    """
    if state.epoch:
        return
    started = perf_counter()
    features, classes = (torch.cat(parts).cpu().numpy() for parts in zip(*training, strict=True))
    weights, biases = _solve(features, classes, inverse_regularization, class_weights)
    (layer,) = (module for module in state.model.modules() if isinstance(module, nn.Linear))
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weights))
        layer.bias.copy_(torch.from_numpy(biases))
    state.epoch = 1
    learned = evaluate(state.model, training, precision="fp32")
    watched = evaluate(state.model, subset, precision="fp32")
    validated = validate(state.model, validation, precision="fp32")
    state.note_validation(validated, config)
    yield Epoch(1, state.learning_rate, learned, watched, validated, perf_counter() - started)


def _solve(
    features: NDArray[np.float32], classes: NDArray[np.int64], inverse_regularization: float, weights: Tensor | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (outputs, F) and biases (outputs,) for plain features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    of_images = None if weights is None else weights.cpu().numpy()[classes]
    model = LogisticRegression(C=inverse_regularization, max_iter=MOST_ITERATIONS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ConvergenceWarning)
            model.fit(scaler.fit_transform(features.astype(np.float64)), classes, sample_weight=of_images)
    except ConvergenceWarning as warning:
        what = f"the logistic regression has not converged after {MOST_ITERATIONS:,} iterations"
        raise RunError(what, remedy="lower model.inverse_regularization") from warning
    found = model.coef_ / scaler.scale_
    return found, model.intercept_ - found @ scaler.mean_
