"""The feature store: what makes features anew, what does not, and an extraction that is killed."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from diascope import features
from diascope.config import AugmentationConfig, ModelConfig
from diascope.core.errors import DataError, RunError
from diascope.data import store
from diascope.data.augment import build_augmentation
from diascope.features import COPIES_SEED, FeatureSource, frozen_part, is_there, obtain, open_features
from diascope.models import pretrained
from diascope.models.backbone import load_backbone
from diascope.models.pretrained import compute

CPU = torch.device("cpu")
IMAGES, SIDE = 21, 32  # two whole batches and a part of one


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def model(**keys: object) -> ModelConfig:
    told = {"name": "pretrained", "backbone": "test_resnet", "weights": "random", **keys}
    return ModelConfig(**told)  # type: ignore[arg-type]


@pytest.fixture
def source(tmp_path: Path) -> FeatureSource:
    pixels = np.random.default_rng(0).integers(0, 256, (IMAGES, SIDE, SIDE, 3)).astype(np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    store.write_manifest(tmp_path, {"source": "drawn", "images": IMAGES}, ["pixels.npy"])
    return FeatureSource(tmp_path / "pixels.npy", "content", model(), 0, "fp32", sample=tuple(range(IMAGES)))


def weights(tmp_path: Path, name: str, change: float = 0.0, **metadata: str) -> str:
    state = load_backbone("test_resnet", None, channels=3, image_size=(SIDE, SIDE), seed=0).state_dict()
    state = {key: tensor.clone() + (change if key == "conv1.0.weight" else 0) for key, tensor in state.items()}
    save_file(state, tmp_path / name, metadata or None)
    return str(tmp_path / name)


def test_features_are_what_the_frozen_part_makes_of_each_image(source: FeatureSource) -> None:
    obtain(source, CPU)
    found = open_features(source)
    assert (found.shape, found.dtype) == ((IMAGES, 96), np.float32)
    kept = {file.name for file in source.file().parent.iterdir()}
    assert kept == {"features.npy", "manifest.json", "statistics.safetensors"}
    images = torch.from_numpy(np.load(source.pixels)).permute(0, 3, 1, 2).float() / 255
    expected = compute(frozen_part(source, CPU), images, "fp32")
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_maps_are_stored_place_by_place(source: FeatureSource) -> None:
    maps = replace(source, model=model(mode="finetune"))
    obtain(maps, CPU)
    found = open_features(maps)
    assert found.shape[:3] == (IMAGES, 2, 2)
    images = torch.from_numpy(np.load(source.pixels)[:3]).permute(0, 3, 1, 2).float() / 255
    expected = compute(frozen_part(maps, CPU), images, "fp32").permute(0, 2, 3, 1)
    np.testing.assert_allclose(found[:3], expected, rtol=1e-4, atol=1e-5)


def test_half_precision_keeps_three_digits(source: FeatureSource) -> None:
    half = replace(source, model=model(feature_precision="float16"))
    for each in (source, half):
        obtain(each, CPU)
    assert open_features(half).dtype == np.float16
    np.testing.assert_allclose(open_features(half), open_features(source), rtol=1e-3, atol=1e-4)


def test_bf16_is_computed_in_bf16(source: FeatureSource) -> None:
    rough = replace(source, precision="bf16")
    for each in (source, rough):
        obtain(each, CPU)
    exact, found = open_features(source), open_features(rough)
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 6e-2  # bf16 rounds to one part in 256 in every layer, fp32 to one in 16 million


def test_nothing_is_computed_twice(source: FeatureSource, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not is_there(source)
    obtain(source, CPU)
    assert is_there(source)
    monkeypatch.setattr(features, "frozen_values", lambda *given: pytest.fail("computed again"))
    obtain(source, CPU)
    obtain(replace(source, model=model(dense=(8,), dropout=0.5)), CPU)  # another head on the same features


def test_the_same_features_have_one_key(source: FeatureSource, tmp_path: Path) -> None:
    of_file = replace(source, model=model(weights=weights(tmp_path, "a.safetensors")))
    same = [
        replace(source, model=model(dense=(8,), dropout=0.5)),
        replace(source, model=model(augmented_copies=7)),
    ]
    assert {each.key() for each in same} == {source.key()}
    same = [
        replace(of_file, model=model(weights=weights(tmp_path, "renamed.safetensors"))),
        replace(of_file, seed=1),  # the weights are not drawn
        replace(of_file, pixels=tmp_path / "elsewhere.npy"),
    ]
    assert {each.key() for each in same} == {of_file.key()}


def test_whatever_changes_the_features_changes_the_key(source: FeatureSource, tmp_path: Path) -> None:
    scale = ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    flip = AugmentationConfig(horizontal_flip=0.5)
    sources = [
        source,
        replace(source, content="another image, or another size"),
        replace(source, seed=1),
        replace(source, precision="bf16"),
        replace(source, model=model(backbone="test_efficientnet")),
        replace(source, model=model(weights=weights(tmp_path, "a.safetensors"))),
        replace(source, model=model(weights=weights(tmp_path, "b.safetensors", change=0.1))),
        replace(source, model=model(weights=weights(tmp_path, "c.safetensors", mean="0,0,0", std="1,1,1"))),
        replace(source, model=model(layer=2)),
        replace(source, model=model(pooling="flatten")),
        replace(source, model=model(pooling="both")),
        replace(source, model=model(gray="adapt")),
        replace(source, model=model(feature_precision="float16")),
        replace(source, model=model(preprocessing="none")),
        replace(source, model=model(preprocessing="none"), scale=scale),
        replace(source, model=model(mode="finetune")),
        replace(source, model=model(mode="finetune", unfreeze=2)),
        replace(source, augmentation=flip),
        replace(source, augmentation=flip, model=model(augmented_copies=2)),
        replace(source, augmentation=AugmentationConfig(horizontal_flip=0.4)),
    ]
    keys = [each.key() for each in sources]
    assert len(set(keys)) == len(keys)


def test_copies_are_augmented_images_set_after_set(source: FeatureSource) -> None:
    augmentation = AugmentationConfig(horizontal_flip=0.5, rotation=20)  # type: ignore[arg-type]
    copied = replace(source, model=model(augmented_copies=3), augmentation=augmentation)
    obtain(copied, CPU)
    found = open_features(copied)
    assert found.shape == (3 * IMAGES, 96)
    change = build_augmentation(augmentation)
    assert change is not None
    images = torch.from_numpy(np.load(source.pixels)).permute(0, 3, 1, 2).float() / 255
    for copy in range(3):
        epoch = change.epoch(IMAGES, (SIDE, SIDE), seed=COPIES_SEED, epoch=copy, device=CPU)
        expected = compute(frozen_part(copied, CPU), epoch(images, 0), "fp32")
        np.testing.assert_allclose(found[copy * IMAGES :][:IMAGES], expected, rtol=1e-4, atol=1e-5)


def test_progress_counts_to_the_end(source: FeatureSource) -> None:
    told: list[tuple[int, int]] = []
    obtain(source, CPU, lambda done, total: told.append((done, total)))
    assert told == [(0, IMAGES), (8, IMAGES), (16, IMAGES), (IMAGES, IMAGES)]


def cut_off_in_another_cache(source: FeatureSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop an extraction after 16 images."""
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "other"))
    monkeypatch.setattr(features, "_SYNC_SECONDS", 0)

    def interrupt(done: int, total: int) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain(source, CPU, interrupt)


def test_what_was_cut_off_goes_on_where_it_stopped(
    source: FeatureSource, monkeypatch: pytest.MonkeyPatch, cache: Path, tmp_path: Path
) -> None:
    whole = obtain(source, CPU).read_bytes()
    cut_off_in_another_cache(source, tmp_path, monkeypatch)
    (unfinished,) = store.entries()
    assert not unfinished.whole
    told: list[int] = []
    assert obtain(source, CPU, lambda done, total: told.append(done)).read_bytes() == whole
    assert told == [16, IMAGES]
    assert [entry.whole for entry in store.entries()] == [True]


def test_what_was_cut_off_on_one_device_goes_on_on_another_with_larger_batches(
    source: FeatureSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    obtain(source, CPU)
    whole = np.array(open_features(source))
    cut_off_in_another_cache(source, tmp_path, monkeypatch)
    monkeypatch.setattr(features, "FROZEN_BATCH", {"cpu": 10})
    told: list[int] = []
    obtain(source, CPU, lambda done, total: told.append(done))
    assert told == [10, 20, IMAGES]
    np.testing.assert_allclose(open_features(source), whole, rtol=1e-4, atol=1e-5)


def test_values_too_large_for_half_precision_are_told(source: FeatureSource, monkeypatch: pytest.MonkeyPatch) -> None:
    large = replace(source, model=model(feature_precision="float16"))
    monkeypatch.setattr(pretrained, "compute", lambda *given: compute(*given) * 1e6)
    with pytest.raises(RunError, match=r"float16 ends at 65,504; set model\.feature_precision to float32"):
        obtain(large, CPU)


def test_weights_that_are_drawn_are_those_of_a_version(source: FeatureSource, monkeypatch: pytest.MonkeyPatch) -> None:
    before = source.key()
    monkeypatch.setattr("diascope.features.version", lambda package: "9.9")
    assert source.key() != before


@pytest.mark.parametrize("damage", ["no progress", "garbage", "too short"])
def test_remains_that_cannot_be_trusted_are_computed_anew(
    source: FeatureSource, monkeypatch: pytest.MonkeyPatch, damage: str, tmp_path: Path
) -> None:
    whole = obtain(source, CPU).read_bytes()
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "other"))
    folder = source.file().parent.with_name(source.key() + ".building")
    folder.mkdir(parents=True)
    (folder / "features.npy").write_bytes(whole[:500] if damage == "too short" else whole)
    if damage != "no progress":
        (folder / "progress.json").write_text("{" if damage == "garbage" else '{"rows": 16}')
    told: list[int] = []
    assert obtain(source, CPU, lambda done, total: told.append(done)).read_bytes() == whole
    assert told[0] == 0


KILLED = """
import sys, time
import numpy as np
from pathlib import Path
import torch
from diascope import features
from diascope.config import ModelConfig
features._SYNC_SECONDS = 0
images = np.load(sys.argv[1], mmap_mode="r")
told = ModelConfig(name="pretrained", backbone="test_resnet", weights="random")
source = features.FeatureSource(Path(sys.argv[1]), "content", told, 0, "fp32", sample=tuple(range(len(images))))
slow = lambda done, total: (print(done, flush=True), time.sleep(0.3))
torch.set_num_threads(1)
features.obtain(source, torch.device("cpu"), slow)
"""


def test_killed_during_extraction_it_continues_to_the_same_bytes(
    source: FeatureSource, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    whole = obtain(source, CPU).read_bytes()
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "other"))
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(source.pixels)], stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    assert process.stdout is not None
    until = monotonic() + 60
    while process.stdout.readline().strip() != "8":
        assert monotonic() < until
    sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not is_there(source)
    told: list[int] = []
    assert obtain(source, CPU, lambda done, total: told.append(done)).read_bytes() == whole
    assert told[0] in (8, 16)


@pytest.mark.parametrize("damage", ["cut", "empty", "garbage", "folder", "another file"])
def test_damaged_features_are_computed_anew(source: FeatureSource, damage: str) -> None:
    file = obtain(source, CPU)
    whole = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(whole[:100])
        case "empty":
            file.write_bytes(b"")
        case "garbage":
            file.write_bytes(whole[:10] + b"{[(" * 40)
        case "folder":
            file.unlink()
            file.mkdir()
        case "another file":
            with file.open("wb") as stream:
                np.savez(stream, features=np.zeros(3))
    assert not is_there(source)
    assert obtain(source, CPU).read_bytes() == whole


def test_missing_features_are_named(source: FeatureSource) -> None:
    with pytest.raises(DataError, match="is gone from the cache; run the same command again"):
        open_features(source)


def test_decoded_images_that_are_gone_are_told_as_such(source: FeatureSource) -> None:
    source.pixels.unlink()
    with pytest.raises(DataError, match=r"pixels\.npy: is gone from the cache, or cannot be read \(.*same command"):
        obtain(source, CPU)


@pytest.mark.parametrize("name", ["features.npy", "progress.json"])
def test_a_folder_in_place_of_a_file_of_an_unfinished_build_is_named(source: FeatureSource, name: str) -> None:
    place = source.file().parent.with_name(source.key() + ".building") / name
    place.mkdir(parents=True)
    with pytest.raises(DataError, match=r"a file occupies the cache's folder \(Is a directory\); remove it") as told:
        obtain(source, CPU)
    assert told.value.where == str(place)


def test_a_disk_that_is_too_small_is_told_before(source: FeatureSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    with pytest.raises(DataError, match=r"the features take .* but only 1000 bytes are free.*model\.pooling average"):
        obtain(source, CPU)


def test_the_cache_lists_them_and_can_be_cleared(source: FeatureSource) -> None:
    obtain(source, CPU)
    (entry,) = store.entries()
    assert (entry.kind, entry.images, entry.whole) == ("features", IMAGES, True)
    assert entry.source.startswith("test_resnet (random; block -1, average) on ")
    store.clear()
    assert not store.entries()
