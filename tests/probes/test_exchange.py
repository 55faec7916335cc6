"""Cue conflicts on networks whose rule is known: shares are those of the rule, and what no network reads is 0."""

import numpy as np
import pytest
import torch
from probes.probing_cases import CORNER, MIDDLE, SIZE, Looks, signs, with_model
from torch import Tensor, nn

from diascope.probes import Subject, brightness, erasing, swapping
from diascope.probes.exchange import Exchange, within
from diascope.probes.probe_verdicts import judged
from diascope.probes.regions import corners, edge_middles, ring
from diascope.probes.swapping import inner_end

LABELS = (np.arange(120) // 2 % 2).astype(np.int64)


class Sum(nn.Module):
    """Adds up what two parts of the image say."""

    def __init__(self, of_corner: float, of_middle: float) -> None:
        super().__init__()
        self.corner, self.middle = Looks(CORNER), Looks(MIDDLE)
        self.of_corner, self.of_middle = of_corner, of_middle

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.of_corner * self.corner(images) + self.of_middle * self.middle(images)
        return logits


class Bright(nn.Module):
    """Calls an image by its mean brightness."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(60.0))

    def forward(self, images: Tensor) -> Tensor:
        return self.scale * (images.mean(dim=(1, 2, 3)) - 0.47)[:, None]


def exchange_of(probed: Subject) -> Exchange:
    found = Exchange.of(probed)
    assert isinstance(found, Exchange)
    return found


@pytest.mark.parametrize(("of_corner", "of_middle"), [(1.0, 0.0), (0.3, 0.3), (0.1, 0.4), (0.0, 1.0)])
def test_the_share_is_that_of_the_rule(of_corner: float, of_middle: float) -> None:
    """Both parts tell the classes apart equally well, so that the network's weights say what each decides."""
    pixels = signs(LABELS, corner=1.0, middle=1.0)
    for place in (CORNER, MIDDLE):  # without noise the shares are exact
        pixels[:, place[0], place[1]] = np.where(LABELS, 190, 60)[:, None, None, None]
    exchange = exchange_of(with_model(Sum(of_corner, of_middle), pixels, LABELS))
    conflict = exchange.conflict("corners", within(corners(SIZE, SIZE)))
    share = exchange.share(conflict)
    assert share is not None
    assert share.value == pytest.approx(of_corner / (of_corner + of_middle), abs=1e-4)


def test_the_whole_image_takes_all_and_nothing_takes_nothing() -> None:
    exchange = exchange_of(with_model(Looks(MIDDLE), signs(LABELS, corner=0.5, middle=0.9), LABELS))
    everything, nothing = np.ones((SIZE, SIZE), dtype=bool), np.zeros((SIZE, SIZE), dtype=bool)
    shares = [exchange.share(exchange.conflict("it", within(mask))) for mask in (everything, nothing)]
    assert [round(share.value, 6) for share in shares if share] == pytest.approx([1.0, 0.0], abs=0.02)


def test_of_three_classes_the_answer_is_the_donors() -> None:
    """The network reads in the corner which of three levels of gray it has."""

    class Levels(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            corner = images[:, :, *CORNER].mean(dim=(1, 2, 3))[:, None]
            return -50 * (corner - torch.tensor([0.2, 0.5, 0.8])) ** 2

    labels = (np.arange(120) // 2 % 3).astype(np.int64)
    pixels = signs(labels % 2, corner=0.5, middle=0.5)
    pixels[:, CORNER[0], CORNER[1]] = np.array([51, 128, 204])[labels][:, None, None, None]
    exchange = exchange_of(with_model(Levels(), pixels, labels, classes=("a", "b", "c")))
    masks = (corners(SIZE, SIZE), edge_middles(SIZE, SIZE))
    conflicts = [exchange.conflict("it", within(mask)) for mask in masks]
    shares = [effect.value for conflict in conflicts if (effect := exchange.share(conflict))]
    assert shares == pytest.approx([1, 0], abs=0.01)
    assert [conflict.follows for conflict in conflicts] == [1, 0]


def test_a_null_moves_p_and_not_the_value() -> None:
    exchange = exchange_of(with_model(Sum(0.3, 0.3), signs(LABELS, corner=1.0, middle=1.0), LABELS))
    conflict = exchange.conflict("corners", within(corners(SIZE, SIZE)))
    against = [exchange.share(conflict, null=null) for null in (0.0, 0.5, 0.9)]
    values = [effect.value for effect in against if effect]
    assert values == pytest.approx([values[0]] * 3)
    first, second, third = (effect.p for effect in against if effect)
    assert first < 0.001 < second < 0.999 < third


def test_swapped_corners_take_the_answer_along() -> None:
    probed = with_model(Looks(CORNER), signs(LABELS, corner=1.0, middle=0.5), LABELS)
    found, frame = swapping.probe(probed)
    assert found.effect is not None
    assert found.evidence["other_class"] == 1.0
    assert found.evidence["same_class"] == 0.0
    assert found.effect.value == pytest.approx(1.0, abs=0.05)
    assert judged([found, frame])[0].evidence["verdict"] == "possible"  # an exchange alone
    assert judged([found, frame, *erasing.probe(probed)])[0].evidence["verdict"] == "found"


def test_swapped_corners_that_no_one_looks_at() -> None:
    """The images hold the mark, and the network does not read it."""
    found = swapping.probe(with_model(Looks(MIDDLE), signs(LABELS, corner=1.0, middle=1.0), LABELS))
    assert {finding.evidence["verdict"] for finding in judged(found)} == {"not found"}
    assert [one.effect.value for one in found if one.effect] == pytest.approx([0, 0], abs=0.01)


def test_what_is_everywhere_is_no_shortcut() -> None:
    """A texture: every pixel says as much as any other, and the network takes their mean."""
    random = np.random.default_rng(0)
    pixels = (random.normal(110 + 20 * LABELS[:, None, None, None], 20, (120, SIZE, SIZE, 1))).clip(0, 255)
    found = swapping.probe(with_model(Bright(), pixels.astype(np.uint8), LABELS))
    assert [one.evidence["share"] for one in found] == pytest.approx([one.evidence["area"] for one in found], abs=0.03)
    assert {finding.evidence["verdict"] for finding in judged(found)} == {"not found"}


def test_a_sign_that_reaches_the_edge_all_around_is_not_one_of_the_corners() -> None:
    """Corners say more than their area does, and the mid-edges beside them as much."""
    edge = ring(SIZE, SIZE, 0, 0.2)

    class Edge(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return 60 * (images[:, :, torch.from_numpy(edge)].mean(dim=(1, 2)) - 0.47)[:, None]

    pixels = signs(LABELS, corner=0.5, middle=0.5)
    pixels[:, edge] = np.where(LABELS, 140, 100)[:, None, None]
    found = swapping.probe(with_model(Edge(), pixels, LABELS))[0]
    assert found.evidence["share"] > found.evidence["area"] + 0.05
    assert judged([found])[0].evidence["verdict"] == "not found"


def test_swapping_needs_groups_of_each_class() -> None:
    few = LABELS[:8]
    found = swapping.probe(with_model(Looks(CORNER), signs(few, corner=1.0, middle=0.5), few))
    assert {one.outcome for one in found} == {"skipped"}


def test_brightness_that_decides() -> None:
    pixels = (signs(LABELS, corner=0.5, middle=0.5) * np.where(LABELS, 1.1, 0.9)[:, None, None, None]).astype(np.uint8)
    (found,) = brightness.probe(with_model(Bright(), pixels, LABELS))
    assert found.effect is not None
    assert found.effect.value == pytest.approx(1.0, abs=0.1)
    assert judged([found])[0].evidence["verdict"] == "found"


def test_brightness_that_no_one_reads() -> None:
    """It tells the classes apart; the network compares the middle with what is around it."""

    class Contrast(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            middle = images[:, :, *MIDDLE].mean(dim=(1, 2, 3))
            return (30 * (middle / images.mean(dim=(1, 2, 3)) - 1))[:, None]

    pixels = signs(LABELS, corner=0.5, middle=1.0) * np.where(LABELS, 1.1, 0.9)[:, None, None, None]
    (found,) = brightness.probe(with_model(Contrast(), pixels.clip(0, 255).astype(np.uint8), LABELS))
    assert found.evidence["gray_level"]["value"] > 0.9
    assert judged([found])[0].evidence["verdict"] == "not found"


def test_exposed_like_has_the_brightness_of_the_donor() -> None:
    pixels = signs(LABELS[:6], corner=0.5, middle=0.5)
    donor = (pixels[0] * 0.5).astype(np.uint8)
    found = brightness.exposed_like(pixels, donor)
    assert found.mean(axis=(1, 2, 3)) == pytest.approx(donor.mean(), abs=1)


def test_controls_do_not_meet_their_parts() -> None:
    assert not (corners(50, 40) & edge_middles(50, 40)).any()
    outer, inner = ring(100, 100, 0, 0.06), ring(100, 100, 0.06, inner_end(0.06))
    assert not (outer & inner).any()
    assert outer.mean() == pytest.approx(inner.mean(), abs=0.02)
