"""Statistics of batch normalization for evaluation: those of the current weights, however short the training was."""

import copy

import pytest
import torch
from torch import nn

from diascope.config import ModelConfig
from diascope.models import build_model
from diascope.training.batch_statistics import recompute, score_both_modes
from diascope.training.evaluation import forward

SIZE = (16, 16)


def own() -> nn.Module:
    """A network as a user writes it: PyTorch's own layers, which average over 10 steps, and dropout."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 14 * 14, 6),
        nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 1),
    )  # fmt: skip


def built(name: str) -> nn.Module:
    if name == "own":
        return own()
    keys = {"dropout": 0.5} if name == "resnet" else {"dropout": 0.5, "dense": (8,), "spatial_dropout": 0.3}
    config = ModelConfig(name=name, base_channels=2, normalization="batch", **keys)
    size = (32, 32) if name == "vgg" else SIZE
    return build_model(config, channels=1, classes=2, image_size=size, seed=0)


def side(count: int, size: tuple[int, int] = SIZE, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Images that are brighter for the second class, in another range than the initial statistics assume."""
    classes = torch.arange(count) % 2
    noise = torch.rand(count, 1, *size, generator=torch.Generator().manual_seed(seed))
    return 20 + noise + classes.view(-1, 1, 1, 1), classes


@pytest.mark.parametrize("name", ["alexnet", "vgg", "resnet", "own"])
def test_evaluation_mode_gives_what_a_batch_of_all_images_gives(name: str) -> None:
    model = built(name)
    images, classes = side(24, (32, 32) if name == "vgg" else SIZE)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    recompute(model, [(images, classes)], precision="fp32")
    assert not model.training
    evaluated, _ = forward(model, [(images, classes)], "fp32")
    by_batch = copy.deepcopy(model).train()
    for module in by_batch.modules():
        if "Dropout" in type(module).__name__:
            module.eval()
    with torch.no_grad():
        expected = by_batch(images)
    # PyTorch's own layers keep the variance with n - 1, which in BatchNorm1d of 24 images is a fiftieth more.
    torch.testing.assert_close(
        evaluated, expected, rtol=0.05 if name == "own" else 1e-3, atol=1e-2 if name == "own" else 1e-4
    )
    weights = dict(model.named_parameters())
    assert all(torch.equal(before[key], value) for key, value in weights.items())
    assert any(not torch.equal(before[key], value) for key, value in model.state_dict().items() if "running" in key)


def test_batches_count_by_their_images_and_earlier_statistics_not_at_all() -> None:
    model = nn.Sequential(nn.BatchNorm2d(1, momentum=0.01), nn.Flatten(), nn.Linear(256, 1))
    layer = model[0]
    layer.running_mean.fill_(1e6)
    images, classes = side(10)
    recompute(model, [(images[:7], classes[:7]), (images[7:], classes[7:])], precision="fp32")
    torch.testing.assert_close(layer.running_mean, images.mean((0, 2, 3)))
    parts = [part.var((0, 2, 3)) * len(part) / 10 for part in (images[:7], images[7:])]
    torch.testing.assert_close(layer.running_var, sum(parts))
    assert layer.momentum == 0.01


def test_what_does_not_learn_stays_as_it_is() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm, self.output = nn.BatchNorm2d(1), nn.Linear(256, 1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.output(self.norm(images).flatten(1))

        def train(self, mode: bool = True) -> "Frozen":
            super().train(mode)
            self.norm.train(False)
            return self

    model, (images, classes) = Frozen(), side(8)
    before = copy.deepcopy(model.state_dict())
    recompute(model, [(images, classes)], precision="fp32")
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert score_both_modes(model, [(images, classes)], precision="fp32") is None


def test_a_last_batch_of_one_image_is_left_out_where_it_cannot_be_normalized() -> None:
    model, (images, classes) = own(), side(9)
    modes = score_both_modes(model, [(images[:8], classes[:8]), (images[8:], classes[8:])], precision="fp32")
    assert modes == score_both_modes(model, [(images[:8], classes[:8])], precision="fp32")


def test_both_modes_are_scored_and_nothing_moves() -> None:
    model, (images, classes) = built("alexnet"), side(24)
    head = model.classifier.output
    before = copy.deepcopy(model.state_dict())
    modes = score_both_modes(model, [(images, classes)], precision="fp32")
    assert modes is not None
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    recompute(model, [(images, classes)], precision="fp32")
    now = score_both_modes(model, [(images, classes)], precision="fp32")
    assert now is not None
    assert (
        now.evaluation.loss
        == pytest.approx(now.training.loss, rel=1e-3)
        == pytest.approx(modes.training.loss, rel=1e-3)
    )
    head.bias.data.fill_(1e3)  # both modes call every image the second class
    assert score_both_modes(model, [(images, classes)], precision="fp32").evaluation.balanced_accuracy == 0.5  # type: ignore[union-attr]
