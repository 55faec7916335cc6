"""The trained loss against formulas in NumPy: smoothing as Keras', weights as Keras' class_weight, mixed classes."""

import numpy as np
import pytest
import torch
from scipy.special import log_expit, log_softmax

from diascope.training.losses import MixedClasses, TrainingLoss

RANDOM = np.random.default_rng(0)
CLASSES = np.array([0, 1, 1, 0, 1, 0])
WEIGHTS = {2: np.array([0.25, 1.5]), 4: np.array([0.5, 3.0, 0.0, 1.0])}


def logits(classes: int) -> np.ndarray:
    return RANDOM.normal(size=(6, 1 if classes == 2 else classes)) * 3


def log_probabilities(outputs: np.ndarray) -> np.ndarray:
    """(B, K), K = 2 for one logit."""
    if outputs.shape[1] == 1:
        return np.hstack([log_expit(-outputs), log_expit(outputs)])
    return log_softmax(outputs, axis=1)


def expected(outputs: np.ndarray, wanted: np.ndarray, smoothing: float, weights: np.ndarray | None) -> float:
    """Mean over images of w[class] times the cross-entropy against y (1 - s) + s / K."""
    log_p = log_probabilities(outputs)
    classes = log_p.shape[1]
    target = np.eye(classes)[wanted] * (1 - smoothing) + smoothing / classes
    losses = -(target * log_p).sum(axis=1)
    return float((losses * (1 if weights is None else weights[wanted])).mean())


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_smoothing_and_weights(classes, smoothing, weighted):
    outputs, weights = logits(classes), WEIGHTS[classes] if weighted else None
    loss = TrainingLoss(smoothing, torch.from_numpy(weights) if weighted else None)
    found = loss(torch.from_numpy(outputs), torch.from_numpy(CLASSES)).item()
    assert found == pytest.approx(expected(outputs, CLASSES, smoothing, weights), rel=1e-12)


def test_smoothed_binary_loss_is_the_number_that_keras_gives():
    """keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1): targets 0.95 and 0.05, by hand."""
    loss = TrainingLoss(0.1)(torch.tensor([[0.0], [2.0]], dtype=torch.float64), torch.tensor([0, 1]))
    by_hand = (np.log(2) + np.log1p(np.exp(-2)) + 0.05 * 2) / 2
    assert loss.item() == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_mixed_classes_are_a_mean_of_two_losses(classes, weighted):
    outputs, weights = logits(classes), WEIGHTS[classes] if weighted else None
    partners, share = CLASSES[[3, 2, 0, 5, 4, 1]], 0.3
    targets = MixedClasses(torch.from_numpy(CLASSES), torch.from_numpy(partners), share)
    found = TrainingLoss(0.1, torch.from_numpy(weights) if weighted else None)(torch.from_numpy(outputs), targets)
    both = [expected(outputs, of, 0.1, weights) for of in (CLASSES, partners)]
    assert found.item() == pytest.approx(share * both[0] + (1 - share) * both[1], rel=1e-12)


def test_equal_weights_change_nothing():
    outputs = torch.from_numpy(logits(4))
    plain, weighted = TrainingLoss(), TrainingLoss(weights=torch.ones(4, dtype=torch.float64))
    targets = torch.from_numpy(CLASSES)
    assert weighted(outputs, targets).item() == pytest.approx(plain(outputs, targets).item(), rel=1e-12)


def test_a_class_of_weight_zero_teaches_nothing():
    outputs = torch.from_numpy(logits(4)).requires_grad_()
    TrainingLoss(weights=torch.from_numpy(WEIGHTS[4]))(outputs, torch.tensor([0, 2, 2, 1, 2, 3])).backward()
    assert (outputs.grad.abs().sum(1) > 0).tolist() == [True, False, False, True, False, True]
