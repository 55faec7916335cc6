"""Scores of a side against scikit-learn, and what is reported of mixed images."""

from math import isnan

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from diascope.training.losses import MixedClasses
from diascope.training.scores import probabilities, running_scores, validation_scores


def outputs(classes: int, images: int = 60) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(classes)
    targets = random.integers(classes, size=images)
    logits = random.normal(size=(images, 1 if classes == 2 else classes))
    logits[np.arange(images), 0 if classes == 2 else targets] += targets if classes == 2 else 1
    return torch.from_numpy(logits).float(), torch.from_numpy(targets)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_validation_scores_are_those_of_scikit_learn(classes):
    logits, targets = outputs(classes)
    p, y = probabilities(logits), targets.numpy()

    found = validation_scores(logits, targets)

    assert found.loss == pytest.approx(log_loss(y, p), rel=1e-9)
    assert found.accuracy == accuracy_score(y, p.argmax(1))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(y, p.argmax(1)), rel=1e-12)
    areas = roc_auc_score(y, p[:, 1]) if classes == 2 else roc_auc_score(y, p, multi_class="ovr")
    assert found.auroc == pytest.approx(areas, rel=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_class_without_images_leaves_undefined_what_needs_it(classes):
    logits, _ = outputs(classes)
    found = validation_scores(logits, torch.zeros(len(logits), dtype=torch.int64))
    assert isnan(found.balanced_accuracy)
    assert isnan(found.auroc)
    assert 0 < found.accuracy < 1


@pytest.mark.parametrize("classes", [2, 3])
def test_a_network_that_ran_away_has_undefined_scores_and_no_crash(classes):
    logits, targets = outputs(classes)
    logits[5] = float("nan")
    found = validation_scores(logits, targets)
    assert isnan(found.loss)
    assert isnan(found.balanced_accuracy)
    assert isnan(found.auroc)


@pytest.mark.parametrize("classes", [2, 4])
def test_mixed_images_count_for_both_classes_by_their_shares(classes):
    logits, targets = outputs(classes, 16)
    partners = targets.flip(0)
    mixed = MixedClasses(targets[:10], partners[:10], 0.3)

    found = running_scores([logits[:10], logits[10:]], [mixed, targets[10:]])

    p = probabilities(logits)
    labels = np.r_[targets.numpy(), partners[:10].numpy()]
    shares = np.r_[np.full(10, 0.3), np.ones(6), np.full(10, 0.7)]
    twice = np.r_[p, p[:10]]
    assert found.loss == pytest.approx(log_loss(labels, twice, sample_weight=shares, labels=range(classes)), rel=1e-6)
    assert found.accuracy == pytest.approx(accuracy_score(labels, twice.argmax(1), sample_weight=shares), rel=1e-12)
