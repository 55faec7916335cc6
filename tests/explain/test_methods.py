"""The methods against closed forms, the papers' formulas and brute force, on networks small enough to do by hand."""

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam
from torch import Tensor, nn
from torch.nn.functional import interpolate

from diascope.core.errors import ConfigError
from diascope.explain import METHODS, attribute, class_logit, predicted_targets
from diascope.explain.integrated_gradients import even, integrated_gradients
from diascope.explain.layer import map_size
from diascope.explain.methods import check_method
from diascope.explain.occlusion import occlusion
from diascope.training.scores import probabilities


class Pooled(nn.Module):
    """A convolution, the mean over all places, and a dense layer: Grad-CAM has a closed form."""

    def __init__(self, outputs: int, channels: int = 1, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(channels, 3, 3, padding=1, stride=2)
        self.dense = nn.Linear(3, outputs)

    def forward(self, images: Tensor) -> Tensor:
        return self.dense(self.conv(images).mean(dim=(2, 3)))


class Curved(nn.Module):
    """With ReLU, pooling and flattening: gradients differ from place to place."""

    def __init__(self, outputs: int, *, inplace: bool = False, size: int = 8) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.relu = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=inplace)
        self.drop, self.norm = nn.Dropout(0.5), nn.BatchNorm2d(4)
        self.pool, self.dense = nn.MaxPool2d(2), nn.Linear(4 * (size // 2) ** 2, outputs)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.pool(self.relu(self.conv(images)))
        return self.dense(self.drop(self.norm(maps)).flatten(1))


def images(count: int = 3, size: int = 8, channels: int = 1) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def convolved(model: Pooled, pictures: Tensor) -> np.ndarray:
    """The convolution with stride 2 and a border of one pixel, place by place."""
    kernel, bias = (weight.detach().double().numpy() for weight in (model.conv.weight, model.conv.bias))
    padded = np.pad(pictures.double().numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)))
    half = pictures.shape[2] // 2
    maps = np.zeros((len(pictures), len(kernel), half, half))
    for y in range(half):
        for x in range(half):
            patch = padded[:, :, 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
            maps[:, :, y, x] = np.einsum("ncyx,kcyx->nk", patch, kernel) + bias
    return maps


@pytest.mark.parametrize(("outputs", "target", "sign"), [(1, 1, 1), (1, 0, -1), (4, 2, 1)])
def test_grad_cam_of_one_convolution_is_its_closed_form(outputs: int, target: int, sign: int) -> None:
    model, pictures = Pooled(outputs, channels=2), images(channels=2)
    maps = convolved(model, pictures)
    weights = sign * model.dense.weight.detach().double().numpy()[0 if outputs == 1 else target] / maps[0, 0].size
    coarse = np.maximum(np.einsum("k,nkyx->nyx", weights, maps), 0)
    expected = interpolate(torch.from_numpy(coarse)[:, None], (8, 8), mode="bilinear", align_corners=False)[:, 0]
    found = attribute(model, pictures, torch.full((3,), target), "grad-cam")
    assert found.dtype == np.float32
    assert expected.max() > 0
    np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-7)


def test_grad_cam_is_captums() -> None:
    model, pictures = Curved(5).eval(), images()
    targets = torch.tensor([0, 3, 4])
    coarse = LayerGradCam(model, model.pool).attribute(pictures, targets, relu_attributions=True)
    expected = interpolate(coarse, (8, 8), mode="bilinear", align_corners=False)[:, 0].detach()
    np.testing.assert_allclose(attribute(model, pictures, targets, "grad-cam", layer="pool"), expected, atol=1e-7)


def paper_plus_plus(model: nn.Module, layer: nn.Module, picture: Tensor, target: int) -> np.ndarray:
    """Equations 10, 15 and 16 of the paper with Y = exp(S), its derivatives taken by autograd one after the other.

    The factor exp(S), the same everywhere, is divided out; the maps behind a ReLU are not negative.
    """
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda module, given, output: kept.append(output))
    score = class_logit(model(picture.requires_grad_()), torch.tensor([target]))[0]
    handle.remove()
    maps = kept[0]
    first = torch.autograd.grad(score, maps)[0][0]  # dS/dA; S is piecewise linear in A, so higher ones vanish
    y, a = score.exp().detach(), maps.detach()[0]
    result = torch.zeros(a.shape[1:], dtype=a.dtype)
    for k in range(len(a)):
        d1, d2, d3 = (y * first[k] ** n for n in (1, 2, 3))
        weight = torch.zeros((), dtype=a.dtype)
        for i in range(a.shape[1]):
            for j in range(a.shape[2]):
                below = 2 * d2[i, j] + (a[k] * d3[i, j]).sum()
                alpha = d2[i, j] / below if below != 0 else torch.zeros((), dtype=a.dtype)
                weight = weight + alpha * torch.relu(d1[i, j])
        result += weight * a[k]
    return (torch.relu(result) / y).numpy()


@pytest.mark.parametrize("target", [0, 1])
def test_grad_cam_plus_plus_is_the_papers_formula(target: int) -> None:
    model, pictures = Curved(1).double().eval(), images().double()
    found = attribute(model, pictures, torch.full((3,), target), "grad-cam++", layer="relu")
    for row in range(3):
        expected = paper_plus_plus(model, model.relu, pictures[row : row + 1].clone(), target)
        assert expected.max() > 0
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-7)


def test_the_derivatives_that_the_formula_takes_are_those_of_the_exponential() -> None:
    """What both sides above take for granted: for a linear S the n-th derivative of exp(S) is exp(S) g^n."""
    place, slope = torch.tensor(0.7, requires_grad=True, dtype=torch.float64), 1.3
    value = (slope * place + 0.2).exp()
    for n in (1, 2, 3):
        (value,) = torch.autograd.grad(value, place, create_graph=True)
        assert value.item() == pytest.approx(np.exp(slope * 0.7 + 0.2) * slope**n)


def test_integrated_gradients_are_complete_and_the_more_so_with_more_steps() -> None:
    model, pictures = Curved(1).double().eval(), 4 * images(4).double()
    targets = torch.tensor([0, 1, 1, 0])
    with torch.no_grad():
        expected = class_logit(model(pictures), targets) - class_logit(model(even(pictures)), targets)
    errors = [
        (integrated_gradients(model, pictures, targets, steps=steps).sum(dim=(1, 2)) - expected).abs().max().item()
        for steps in (4, 32, 256)
    ]
    assert expected.abs().max() > 0.1
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-2 * expected.abs().max()


def test_integrated_gradients_of_a_linear_network_are_weight_times_difference() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
    pictures = images()
    weight = model[1].weight.detach().view(1, 8, 8)
    expected = weight * (pictures - pictures.mean(dim=(2, 3), keepdim=True))[:, 0]
    found = attribute(model, pictures, torch.ones(3, dtype=torch.int64), "integrated-gradients")
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("size", [8, 20])
def test_occlusion_is_the_brute_force_loop(size: int) -> None:
    model, pictures = Curved(1, size=size).eval(), images(2, size)
    targets = torch.tensor([1, 0])
    side = max(1, round(size / 8))
    step = max(1, side // 2)
    starts = [*range(0, size - side, step), size - side]
    found = occlusion(model, pictures, targets).numpy()
    for row in range(2):
        total, covers = np.zeros((size, size)), np.zeros((size, size))
        with torch.no_grad():
            whole = class_logit(model(pictures[row : row + 1]), targets[row : row + 1]).item()
            for y in starts:
                for x in starts:
                    covered = pictures[row : row + 1].clone()
                    covered[..., y : y + side, x : x + side] = pictures[row].mean()
                    fall = whole - class_logit(model(covered), targets[row : row + 1]).item()
                    total[y : y + side, x : x + side] += fall
                    covers[y : y + side, x : x + side] += 1
        np.testing.assert_allclose(found[row], total / covers, atol=1e-5)


def test_occlusion_runs_so_many_covered_images_at_a_time_and_no_more() -> None:
    sizes: list[int] = []
    model = Curved(1).eval()
    model.register_forward_pre_hook(lambda module, given: sizes.append(len(given[0])))
    first = occlusion(model, images(), torch.tensor([0, 1, 1]), batch=7)
    assert max(sizes) <= 7
    torch.testing.assert_close(first, occlusion(model, images(), torch.tensor([0, 1, 1]), batch=300))


@pytest.mark.parametrize("method", METHODS)
def test_batches_change_nothing(method: str) -> None:
    model, pictures, targets = Curved(3), images(5), torch.tensor([0, 1, 2, 1, 0])
    together = attribute(model, pictures, targets, method)
    np.testing.assert_allclose(attribute(model, pictures, targets, method, batch_size=2), together, atol=1e-6)
    assert attribute(model, pictures[:0], targets[:0], method).shape == (0, 8, 8)


@pytest.mark.parametrize("method", METHODS)
def test_the_network_is_in_evaluation_mode_meanwhile_and_left_as_it_was(method: str) -> None:
    model, pictures, targets = Curved(1).train(), images(), torch.tensor([0, 1, 1])
    model.norm.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = attribute(model, pictures, targets, method)
    assert np.array_equal(first, attribute(model, pictures, targets, method)), "dropout was on"
    assert model.training
    assert model.drop.training
    assert not model.norm.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("method", METHODS)
def test_a_network_that_sees_nothing_gives_an_empty_map_and_no_nan(method: str) -> None:
    model = Curved(1)
    nn.init.zeros_(model.dense.weight)
    found = attribute(model, images(), torch.tensor([0, 1, 1]), method)
    assert np.abs(found).max() == 0


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++"])
def test_a_relu_that_writes_over_the_layer_changes_nothing(method: str) -> None:
    targets = torch.tensor([0, 1, 1])
    plain = attribute(Curved(1), images(), targets, method, layer="conv")
    assert np.array_equal(attribute(Curved(1, inplace=True), images(), targets, method, layer="conv"), plain)
    assert plain.max() > 0


def test_the_first_class_of_one_logit_is_minus_it() -> None:
    outputs, targets = torch.tensor([[2.0], [3.0]]), torch.tensor([0, 1])
    assert class_logit(outputs, targets).tolist() == [-2.0, 3.0]
    assert class_logit(outputs[:, 0], targets).tolist() == [-2.0, 3.0]
    assert class_logit(torch.tensor([[1.0, 2.0, 5.0]]), torch.tensor([2])).tolist() == [5.0]
    with pytest.raises(ValueError, match="network of 2"):
        class_logit(outputs, torch.tensor([0, 2]))


def test_probabilities_and_predictions() -> None:
    one = probabilities(torch.tensor([[0.0], [2.0]]))
    np.testing.assert_allclose(one, [[0.5, 0.5], [1 - 1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-2))]])
    assert predicted_targets(one, 1).tolist() == [0, 1], "an even chance is not enough for the positive class"
    np.testing.assert_allclose(probabilities(torch.tensor([[1.0, 1.0, 1.0]])), [[1 / 3] * 3])


def test_errors_name_what_there_is() -> None:
    with pytest.raises(ConfigError, match=r"did you mean 'grad-cam"):
        check_method("gradcam")
    with pytest.raises(ConfigError, match=r"occlusion explains no layer.*grad-cam and grad-cam\+\+"):
        attribute(Curved(1), images(), torch.tensor([0, 1, 1]), "occlusion", layer="conv")
    with pytest.raises(ConfigError, match=r"no such layer.*conv"):
        attribute(Curved(1), images(), torch.tensor([0, 1, 1]), layer="convolution")
    with pytest.raises(ConfigError, match=r"gives \(3, 1\)"):
        attribute(Curved(1), images(), torch.tensor([0, 1, 1]), layer="dense")
    assert map_size(Curved(1), images(1), "pool") == (4, 4)
