"""Which layer a class activation map explains, by its own choice and by a name."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from diascope.config import ModelConfig
from diascope.core.errors import ConfigError
from diascope.explain import attribute
from diascope.explain.layer import captured, layer_name, map_size
from diascope.models import build_model
from diascope.models.pretrained import Pooling, Pretrained

SIZES = {"test_vit": 160}


def build(backbone: str, mode: str = "features", **keys: object) -> Pretrained:
    told = {"name": "pretrained", "backbone": backbone, "weights": "random", "mode": mode, "dense": (), **keys}
    size = SIZES.get(backbone, 64)
    model = build_model(ModelConfig(**told), channels=3, classes=3, image_size=(size, size), seed=0)
    assert isinstance(model, Pretrained)
    return model.eval()


def images(backbone: str) -> Tensor:
    size = SIZES.get(backbone, 64)
    return torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))


def pooled(model: Pretrained, given: Tensor) -> tuple[Tensor, nn.Linear]:
    """What reaches the pooling, and the one dense layer behind it."""
    seen: list[Tensor] = []
    pool = model.tail.pool if hasattr(model.tail, "pool") else model.frozen.pool
    handle = pool.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0]))
    with torch.no_grad():
        model(given)
    handle.remove()
    return seen[0], [module for module in model.tail.modules() if isinstance(module, nn.Linear)][-1]


@pytest.mark.parametrize("mode", ["features", "finetune"])
@pytest.mark.parametrize(
    "backbone", ["resnet10t", "test_resnet", "densenet121", "test_efficientnet", "test_convnext", "mambaout_femto"]
)
def test_the_last_blocks_maps_are_explained_and_not_a_branch(backbone: str, mode: str) -> None:
    """Behind the mean over the places and one dense layer, Grad-CAM is the maps weighted by that layer (CAM)."""
    model, given = build(backbone, mode), images(backbone)
    values, dense = pooled(model, given)
    if backbone == "mambaout_femto":
        values = values.movedim(3, 1)
    assert map_size(model, given[:1], layer_name(model)) == values.shape[2:]
    of_classes = torch.einsum("nchw,kc->knhw", values, dense.weight)
    target = int(of_classes.amax((1, 2, 3)).argmax())  # random weights may speak against another everywhere
    coarse = of_classes[target].clamp(min=0) / values[0, 0].numel()
    expected = interpolate(coarse[:, None].detach(), (64, 64), mode="bilinear")[:, 0].numpy()
    found = attribute(model, given, torch.tensor([target, target]))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())
    assert expected.max() > 0


@pytest.mark.parametrize("mode", ["features", "finetune"])
def test_tokens_are_explained_place_by_place_without_the_class_token(mode: str) -> None:
    model, given = build("test_vit", mode), images("test_vit")
    tokens, dense = pooled(model, given)
    coarse = (tokens[:, 1:] @ dense.weight[2]).clamp(min=0).reshape(2, 1, 10, 10) / 100
    expected = interpolate(coarse.detach(), (160, 160), mode="bilinear")[:, 0].numpy()
    found = attribute(model, given, torch.tensor([2, 2]))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5 * expected.max())
    assert expected.max() > 0
    assert map_size(model, given[:1], layer_name(model, "blocks.1")) == (10, 10)


def test_a_grid_is_filled_row_by_row() -> None:
    tokens = torch.arange(7.0).view(1, 7, 1)
    assert Pooling("average", prefix=1, grid=(2, 3)).maps(tokens).tolist() == [[[[1, 2, 3], [4, 5, 6]]]]
    assert torch.equal(Pooling("average", prefix=0, grid=(2, 3)).maps(tokens), tokens), "seven fill no grid of six"


@pytest.mark.parametrize("layer", [None, "blocks.1"])
def test_tokens_of_no_known_place_are_refused(layer: str | None) -> None:
    model = build("test_vit")
    model.frozen.pool.grid = None
    with pytest.raises(ConfigError, match=r"gives \(2, 101, 64\).*integrated-gradients or occlusion"):
        attribute(model, images("test_vit"), torch.tensor([0, 1]), layer=layer)


@pytest.mark.parametrize(("mode", "part"), [("features", "frozen"), ("finetune", "tail")])
@pytest.mark.parametrize(("backbone", "last"), [("vgg11", 18), ("vgg11_bn", 25)])
def test_a_vgg_is_explained_before_its_last_pooling(backbone: str, last: int, mode: str, part: str) -> None:
    model = build(backbone, mode)
    assert layer_name(model) == f"{part}.backbone.features.{last}"
    assert isinstance(model.get_submodule(layer_name(model)), nn.Conv2d)
    assert map_size(model, images(backbone)[:1], layer_name(model)) == (4, 4)
    assert pooled(model, images(backbone))[0].shape[2:] == (2, 2)


def test_a_new_residual_network_gives_a_map_though_its_branches_give_nothing_yet() -> None:
    model = build_model(ModelConfig(name="resnet", depth=8), channels=3, classes=2, image_size=(32, 32), seed=0)
    targets = torch.tensor([0, 1])
    given = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    both = [attribute(model, given, 1 - targets), attribute(model, given, targets)]
    assert (np.maximum(*both).max(axis=(1, 2)) > 0).all()
    branch = attribute(model, given, targets, layer="stage3.block1.residue.conv2")
    assert branch.max() == 0


def test_the_end_of_a_name_is_enough() -> None:
    model, tuned = build("resnet18"), build("resnet18", "finetune")
    assert layer_name(model, "layer4") == "frozen.backbone.layer4"
    for name in ("layer4", "backbone.layer4", "tail.backbone.layer4"):
        assert layer_name(tuned, name) == "tail.backbone.layer4"
    assert layer_name(tuned, "layer3") == "frozen.backbone.layer3"
    assert layer_name(model, "layer4.1.conv2") == "frozen.backbone.layer4.1.conv2"


def test_a_name_that_several_end_with_or_none_is_refused() -> None:
    model = build("resnet18")
    with pytest.raises(
        ConfigError, match=r"9 layers whose names end so.*take one of frozen.backbone.conv1, .*layer1.0"
    ):
        layer_name(model, "conv1")
    with pytest.raises(ConfigError, match=r"no such layer; did you mean 'layer[1-4]'"):
        layer_name(model, "layr4")
    with pytest.raises(ConfigError, match=r"no such layer; did you mean 'frozen.backbone.layer[1-4]'"):
        layer_name(model, "frozn.backbone.layer4")
    with pytest.raises(ConfigError, match=r"no such layer; did you mean 'layer4'"):
        layer_name(model, "ayer4")  # part of a word is no end of a name


def test_a_block_that_was_traced_is_explained_by_what_it_gives() -> None:
    model, given = build("resnet10t", layer=-1), images("resnet10t")
    with captured(model, "frozen.backbone.layer3") as third, captured(model, "frozen.backbone.layer4") as fourth:
        model(given)
    assert third[0].shape == (2, 256, 4, 4)
    assert torch.equal(fourth[0], pooled(model, given)[0])
    targets = torch.tensor([0, 1])
    by_name = attribute(model, given, targets, layer="layer4")
    assert np.array_equal(by_name, attribute(model, given, targets))
    assert np.array_equal(by_name, attribute(deepcopy(model), given, targets, layer="layer4"))


def test_a_layer_that_is_not_called_is_refused() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.idle = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)

        def forward(self, given: Tensor) -> Tensor:
            return self.used(given).mean((2, 3))

    with pytest.raises(ConfigError, match="layer idle: the network does not call it"):
        attribute(Idle(), images("test_resnet"), torch.tensor([0, 1]), layer="idle")


def test_what_only_holds_layers_is_none() -> None:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = nn.ModuleList([nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3)])

    assert layer_name(Listed(), "1") == "parts.1"
    with pytest.raises(ConfigError, match="Listed has no such layer"):
        layer_name(Listed(), "parts")
