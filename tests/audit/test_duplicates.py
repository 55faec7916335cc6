"""Near-duplicates: what counts as one, what does not, and that the search is not quadratic."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_images import CHANGES, OPTIONS, Planted
from scipy.fft import dctn

from diascope.audit import duplicates
from diascope.audit.alignment import agreement
from diascope.audit.candidates import LIMIT, TABLES, candidates
from diascope.audit.duplicates import find_duplicates
from diascope.audit.perceptual import ORIENTATIONS, hashes, oriented


def thumbnails(images: int, seed: int = 0) -> np.ndarray:
    """Smooth noise: each image another, none near another."""
    random = np.random.default_rng(seed)
    waves = random.normal(size=(images, 12, 12)) / (1 + np.add.outer(np.arange(12), np.arange(12)))
    basis = np.cos(np.pi * np.arange(12)[:, None] * (np.arange(64) + 0.5) / 64)
    smooth = basis.T @ waves @ basis
    smooth = (smooth - smooth.mean((1, 2), keepdims=True)) / smooth.std((1, 2), keepdims=True)
    return np.clip(128 + 40 * smooth + random.normal(0, 3, smooth.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_image_is_found_and_nothing_else(tmp_path, change):
    planted = Planted(tmp_path, 30)
    planted.change(3, CHANGES[change], "changed.png", **OPTIONS.get(change, {}))
    found = find_duplicates(planted.audited(split=False).facts)
    assert found.pairs.tolist() == [[3, 30]]
    assert found.one[3] == found.one[30]
    assert len(set(found.one.tolist())) == 30


@given(st.integers(0, ORIENTATIONS - 1), st.integers(0, 2**16))
@settings(max_examples=25, deadline=None)
def test_hashes_of_orientations_are_those_of_turned_images(orientation, seed):
    images = thumbnails(6, seed)
    turned = np.stack([oriented(image, orientation) for image in images])
    orientations, _ = hashes(images)
    both, crops = hashes(np.concatenate([images, turned]))
    far = np.bitwise_count(both[:6, orientation] ^ crops[6:, 0])
    assert far.max() == 0  # the same images in the same set: what is turned is turned back exactly
    assert orientations.shape == (6, ORIENTATIONS)


def test_hashes_are_signs_of_the_cosine_transform():
    images = thumbnails(50)
    values = images - images.mean((1, 2), keepdims=True)
    waves = dctn(values / (images.std((1, 2), keepdims=True) + 1), axes=(1, 2), norm="ortho")[:, :8, :8]
    all_turned = []
    for orientation in range(ORIENTATIONS):
        turned = np.stack([oriented(image, orientation) for image in images]).astype(float)
        turned -= turned.mean((1, 2), keepdims=True)
        turned /= images.std((1, 2))[:, None, None] + 1
        all_turned.append(dctn(turned, axes=(1, 2), norm="ortho")[:, :8, :8])
    signs = waves - np.mean(all_turned, axis=(0, 1)) > 0
    _, crops = hashes(images)
    bits = np.unpackbits(crops[:, :1].astype(">u8").view(np.uint8), axis=1).astype(bool)
    assert (bits[:, 1:] == signs.reshape(50, 64)[:, 1:]).mean() > 0.999  # but for rounding


@pytest.mark.parametrize("images", [500, 1500])
def test_the_number_of_comparisons_grows_with_the_number_of_images_only(images):
    found = candidates(*hashes(thumbnails(images)))
    assert found.compared <= images * ORIENTATIONS * LIMIT * TABLES
    assert found.compared < images**2 / 2


def test_a_crowd_of_like_images_does_not_make_it_quadratic():
    crowd = np.repeat(thumbnails(1), 2000, axis=0)
    crowd ^= np.random.default_rng(0).integers(0, 2, crowd.shape, dtype=np.uint8)
    found = candidates(*hashes(crowd))
    assert found.compared <= 2000 * ORIENTATIONS * LIMIT * TABLES
    assert len(found.first) <= 2000 * 2 * 16


def test_agreement_is_one_for_an_image_and_itself_and_near_nothing_for_another():
    images = thumbnails(20)
    rows, zeros = np.arange(20), np.zeros(20, np.int64)
    assert agreement(images, rows, rows, zeros, zeros) == pytest.approx(1, abs=1e-4)
    assert np.abs(agreement(images, rows, np.roll(rows, 1), zeros, zeros)).max() < 0.8


def test_phantoms_of_one_group_are_no_duplicates_although_they_show_one_lesion(tmp_path):
    planted = Planted(tmp_path, 60, per_group=2)
    assert len(find_duplicates(planted.audited(split=False).facts).pairs) <= 1


def test_blank_images_are_counted_and_not_compared(tmp_path):
    planted = Planted(tmp_path, 10)
    for level in (0, 100, 101):
        planted.add(f"blank-{level}.png", np.full((40, 40, 3), level, np.uint8), "nevus")
    found = find_duplicates(planted.audited(split=False).facts)
    assert (len(found.pairs), found.blank) == (0, 3)


@pytest.mark.parametrize("varied", [0, 1, 2])
def test_where_hardly_an_image_shows_anything_there_is_nothing_to_compare(tmp_path, varied):
    planted = Planted(tmp_path, 8)
    planted.rows = planted.rows[:varied]
    for level in range(8):
        planted.add(f"blank-{level}.png", np.full((48, 48), 20 * level, np.uint8), ("nevus", "melanoma")[level % 2])
    found = find_duplicates(planted.audited(split=False).facts)
    assert (len(found.pairs), found.blank) == (0, 8)


def test_pairs_are_aligned_in_blocks_and_each_keeps_its_agreement(tmp_path, monkeypatch):
    planted = Planted(tmp_path, 30)
    for number in range(6):
        planted.change(number, lambda pixels: pixels[::-1], f"turned-{number}.png")
    facts = planted.audited(split=False).facts
    whole = find_duplicates(facts)
    assert whole.aligned > 8
    monkeypatch.setattr(duplicates, "_BLOCK", 4)
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "other"))
    said = []
    found = find_duplicates(facts, lambda done, total: said.append(done))
    assert said == [*range(4, whole.aligned, 4), whole.aligned]
    assert found.pairs.tolist() == whole.pairs.tolist() == [[number, 30 + number] for number in range(6)]
    np.testing.assert_allclose(found.agreement, whole.agreement)


def test_the_search_is_kept(tmp_path):
    planted = Planted(tmp_path, 10)
    planted.change(0, lambda pixels: pixels[::-1], "turned.png")
    facts, said = planted.audited(split=False).facts, []
    first = find_duplicates(facts, lambda done, total: said.append((done, total)))
    assert said
    assert said[-1][0] == said[-1][1]
    said.clear()
    again = find_duplicates(facts, lambda done, total: said.append((done, total)))
    assert not said
    assert again.pairs.tolist() == first.pairs.tolist() == [[0, 10]]
