"""The randomization test: planted edge detectors must be flagged, and a trained network must not."""

import numpy as np
import pytest
import torch
from scipy.stats import pearsonr, spearmanr
from torch import Tensor, nn

from diascope.config import ModelConfig, PhantomConfig
from diascope.data import phantoms
from diascope.data.resize import resize
from diascope.explain import attribute
from diascope.explain.randomization import SURVIVES, _sentence, randomization, randomize, similarity, weighted_layers
from diascope.explain.study_images import inputs
from diascope.models import build_model

SIZE = 32
SOBEL = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]])


class EdgeNetwork(nn.Module):
    """A fixed Sobel filter whose mean is the logit: nothing in it was learned."""

    cam_layer = "edges"

    def __init__(self) -> None:
        super().__init__()
        self.edges = nn.Conv2d(1, 2, 3, padding=1, bias=False)
        kernel = torch.stack([SOBEL, SOBEL.T])[:, None]
        del self.edges.weight
        self.edges.register_buffer("weight", kernel)

    def forward(self, images: Tensor) -> Tensor:
        return self.edges(images).abs().mean(dim=(1, 2, 3))[:, None]


def edges(model: nn.Module, images: Tensor, targets: Tensor) -> np.ndarray:
    """An explanation that looks at the image alone."""
    both = torch.stack([SOBEL, SOBEL.T])[:, None]
    return torch.nn.functional.conv2d(images, both, padding=1).abs().sum(dim=1).numpy()


@pytest.fixture(scope="module")
def drawn() -> tuple[Tensor, Tensor]:
    """Skin phantoms (N, 1, 32, 32) that are easy to tell, and their classes."""
    config = PhantomConfig(images=96, size=48, difficulty=0.1, images_per_group=1)
    pixels, labels = [], []
    for number in range(96):
        phantom = phantoms.draw("skin", config, number)
        gray = phantom.pixels.mean(axis=2, keepdims=True).astype(np.uint8)
        pixels.append(resize(gray, SIZE, SIZE, "stretch"))
        labels.append(phantom.label == "melanoma")
    return inputs(np.stack(pixels)), torch.tensor(labels, dtype=torch.int64)


@pytest.fixture(scope="module")
def trained(drawn: tuple[Tensor, Tensor]) -> nn.Module:
    images, labels = drawn
    config = ModelConfig(name="alexnet", base_channels=4, normalization="batch")
    model = build_model(config, channels=1, classes=2, image_size=(SIZE, SIZE), seed=0).train()
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(20):
        for rows in torch.randperm(len(images), generator=order).split(16):
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(model(images[rows])[:, 0], labels[rows].float())
            loss.backward()
            optimizer.step()
    accuracy = ((model(images)[:, 0] > 0) == (labels == 1)).float().mean()
    assert accuracy > 0.95
    return model.eval()


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "integrated-gradients"])
def test_a_trained_network_passes(trained: nn.Module, drawn: tuple[Tensor, Tensor], method: str) -> None:
    images, labels = drawn[0][:8], drawn[1][:8]
    before = {name: value.clone() for name, value in trained.state_dict().items()}
    found = randomization(trained, images, labels, lambda *given: attribute(*given, method), stages=2)
    assert found["survives"] is False
    assert found["stages"][-1]["layers"] == found["layers"] == len(weighted_layers(trained))
    assert "depend on what the network has learned" in found["sentence"]
    assert all(torch.equal(value, before[name]) for name, value in trained.state_dict().items())


def test_an_explanation_that_ignores_the_network_is_flagged(trained: nn.Module, drawn: tuple[Tensor, Tensor]) -> None:
    found = randomization(trained, drawn[0][:4], drawn[1][:4], edges, stages=3)
    assert found["survives"] is True
    assert [stage["spearman"] for stage in found["stages"]] == pytest.approx([1, 1, 1])
    assert "Do not use them" in found["sentence"]


@pytest.mark.parametrize("method", ["integrated-gradients", "occlusion"])
def test_a_network_that_learned_nothing_is_flagged(drawn: tuple[Tensor, Tensor], method: str) -> None:
    targets = torch.ones(4, dtype=torch.int64)
    found = randomization(EdgeNetwork(), drawn[0][:4], targets, lambda *given: attribute(*given, method), draws=1)
    assert found["layers"] == 0
    assert found["survives"] is True


def test_empty_maps_test_nothing(drawn: tuple[Tensor, Tensor]) -> None:
    model = build_model(ModelConfig(base_channels=2), channels=1, classes=2, image_size=(SIZE, SIZE), seed=0)
    nn.init.zeros_(model.classifier.output.weight)
    found = randomization(model, drawn[0][:2], drawn[1][:2], lambda *given: attribute(*given, "grad-cam"))
    assert found["survives"] is None
    assert found["stages"] == []
    assert "empty" in found["sentence"]


@pytest.mark.parametrize(
    ("correlation", "said"),
    [(0.4972, "0.497"), (0.49996, "0.49996"), (np.nextafter(0.5, 0), "0.4999999999999999"), (0.5, "0.50"),
     (0.5004, "0.50"), (-0.083, "−0.08")],
)  # fmt: skip
def test_a_rounded_number_does_not_contradict_its_sentence(correlation: float, said: str) -> None:
    survives = bool(correlation >= SURVIVES)
    sentence = _sentence([{"layers": 8, "spearman": correlation, "pearson": 0.0}], survives)
    assert f"(rank correlation {said} between the maps before and after, " in sentence
    assert (f"less than {SURVIVES})" in sentence) is not survives


def test_similarity_is_scipys() -> None:
    random = np.random.default_rng(0)
    one = random.random((9, 7)).astype(np.float32)
    other = np.maximum(one + random.normal(0, 0.4, one.shape), 0.3).astype(np.float32)  # with ties
    ranks, values = similarity(one, other)
    assert ranks == pytest.approx(spearmanr(one.ravel(), other.ravel()).statistic)
    assert values == pytest.approx(pearsonr(one.ravel(), other.ravel()).statistic)
    assert similarity(one, np.zeros_like(one)) == (0, 0)


def test_random_weights_keep_the_size_of_signals() -> None:
    layer = nn.Conv2d(16, 32, 3)
    nn.init.constant_(layer.weight, 0.2)
    bias = layer.bias.detach().clone()
    randomize(layer, torch.Generator().manual_seed(0))
    assert layer.weight.square().mean().sqrt().item() == pytest.approx(0.2, rel=0.05)
    assert layer.weight.mean().abs() < 0.02
    assert torch.equal(layer.bias.sort().values, bias.sort().values)
    assert not torch.equal(layer.bias, bias)


def test_the_same_seed_gives_the_same_numbers(trained: nn.Module, drawn: tuple[Tensor, Tensor]) -> None:
    given = (trained, drawn[0][:3], drawn[1][:3], lambda *given: attribute(*given, "grad-cam"))
    first = randomization(*given, draws=2, stages=2)
    assert randomization(*given, draws=2, stages=2) == first
    assert randomization(*given, draws=2, stages=2, seed=1)["stages"] != first["stages"]
