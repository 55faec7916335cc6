"""The cache: right pixels, made once, by two commands at once too; damage and remains of killed builds are repaired."""

import json
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from real_data import REAL, needs_real_data

from diascope.cli.cache import cache as cache_command
from diascope.config import DataConfig, PhantomConfig
from diascope.core.errors import DataError
from diascope.core.findings import Finding
from diascope.core.text import human_size
from diascope.data import phantoms, prepare, store
from diascope.data.cache import ImageCache, UnreadableImagesError, load_images
from diascope.data.index import ImageIndex, open_index


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twelve gray images of 20 x 30 pixels, image n all of value 10 n, in folders a and b."""
    for number in range(12):
        file = tmp_path / "set" / "ab"[number % 2] / f"{number:02d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((20, 30), 10 * number, np.uint8)).save(file)
    return tmp_path / "set"


def load(source: Path | str, *, image_size: Any = 8, **options: Any) -> tuple[ImageIndex, ImageCache, list[Finding]]:
    data = {name: options.pop(name) for name in ("channels", "resize", "phantom", "classes") if name in options}
    config = DataConfig.model_validate({"source": str(source), "image_size": image_size, **data})
    return load_images(open_index(config), config, **options)


def values(loaded: ImageCache) -> list[int]:
    return [int(image.max()) for image in loaded.pixels]


def forbid_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: Any) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(prepare, "decode", fail)


# The foundation's case: broken files together, by name; unusual ones with the right pixels


def write_unusual(folder: Path) -> None:
    """A 16-bit PNG, a CMYK JPEG, a palette PNG with alpha and a photo turned by EXIF, beside three broken files."""
    for name in ("a", "b"):
        (folder / name).mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "a/cut.jpg", quality=95)
    whole = (folder / "a/cut.jpg").read_bytes()
    (folder / "a/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "b/empty.png").touch()
    (folder / "b/text.png").write_text("Dear diary")
    deep = np.array([[0, 16448], [32896, 65535]], dtype=np.uint16)  # 0, 64, 128 and 255 times 257
    Image.fromarray(np.kron(deep, np.ones((4, 4), np.uint16))).save(folder / "a/deep.png")
    Image.new("CMYK", (16, 16), (255, 0, 0, 0)).save(folder / "a/cyan.jpg", quality=95)
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 200, 100, 50])
    palette.save(folder / "b/palette.png", transparency=bytes([255, 51]))  # a fifth opaque
    stored = np.zeros((8, 8, 3), np.uint8)
    stored[:, :4, 0] = 250  # red on the left, which is the top once it is turned
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(folder / "b/turned.png", exif=exif)


def test_broken_files_are_reported_together(tmp_path: Path) -> None:
    write_unusual(tmp_path / "set")
    with pytest.raises(UnreadableImagesError) as caught:
        load(tmp_path / "set")
    message = str(caught.value)
    size = (tmp_path / "set/a/cut.jpg").stat().st_size
    assert "3 of 7 images cannot be read" in message
    assert f"a/cut.jpg: truncated: the file ends after {size:,} bytes" in message
    assert "b/empty.png: empty file (0 bytes)" in message
    assert "b/text.png: not a JPEG, PNG, TIFF, BMP, WebP or DICOM image: it begins with b'Dear'" in message
    assert message.endswith("\nrepair or remove these files, or pass --on-unreadable skip to go on without them")
    assert [finding.evidence["path"] for finding in caught.value.findings] == ["a/cut.jpg", "b/empty.png", "b/text.png"]
    copy = pickle.loads(pickle.dumps(caught.value))  # it may have to travel between processes
    assert str(copy) == message
    assert copy.findings == caught.value.findings


def test_unusual_files_arrive_with_the_right_pixels(tmp_path: Path) -> None:
    write_unusual(tmp_path / "set")
    index, loaded, findings = load(tmp_path / "set", channels=3, on_unreadable="skip")
    assert index.paths == ["a/cyan.jpg", "a/deep.png", "b/palette.png", "b/turned.png"]
    assert index.labels.tolist() == [0, 0, 1, 1]
    assert [(finding.code, finding.severity, finding.outcome) for finding in findings] == [
        ("unreadable-image", "warning", "issue")
    ] * 3
    cyan, deep, palette, turned = loaded.pixels.astype(int)
    assert np.abs(cyan - [0, 255, 255]).max() <= 3
    assert deep[::4, ::4].tolist() == [[[0] * 3, [64] * 3], [[128] * 3, [255] * 3]]
    assert (palette == [40, 20, 10]).all()
    assert (turned[:4] == [250, 0, 0]).all()
    assert (turned[4:] == 0).all()
    assert loaded.originals()[1] == (8, 8, "I;16")


def test_after_skipping_the_error_needs_no_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_unusual(tmp_path / "set")
    _, first, _ = load(tmp_path / "set", on_unreadable="skip")
    forbid_decoding(monkeypatch)
    with pytest.raises(UnreadableImagesError, match="3 of 7"):
        load(tmp_path / "set")
    index, again, findings = load(tmp_path / "set", on_unreadable="skip")
    assert len(index) == len(again.pixels) == 4
    assert len(findings) == 3
    assert again.content == first.content
    monkeypatch.undo()
    for name in ("a/cut.jpg", "b/empty.png", "b/text.png"):
        (tmp_path / "set" / name).unlink()
    assert load(tmp_path / "set")[1].content == first.content  # the same images, so the same runs


def test_many_unreadable_files_are_shortened(source: Path) -> None:
    for number in range(30):
        (source / "a" / f"x{number:02d}.png").touch()
    with pytest.raises(UnreadableImagesError) as caught:
        load(source)
    assert "a/x19.png" in str(caught.value)
    assert "a/x20.png" not in str(caught.value)
    assert "and 10 more" in str(caught.value)
    assert len(caught.value.findings) == 30


def test_files_that_do_not_open_are_unreadable_too(source: Path) -> None:
    (source / "a/link.png").symlink_to(source / "gone.png")
    with pytest.raises(UnreadableImagesError, match=r"a/link\.png: no such file"):
        load(source)
    assert len(load(source, on_unreadable="skip")[0]) == 12


def test_a_class_may_not_vanish(source: Path) -> None:
    for file in (source / "b").iterdir():
        file.write_bytes(b"")
    with pytest.raises(DataError, match="no readable image of class 'b' is left"):
        load(source, on_unreadable="skip")
    for file in (source / "a").iterdir():
        file.write_bytes(b"")
    with pytest.raises(UnreadableImagesError, match="12 of 12"):
        load(source, on_unreadable="skip")


# Pixels and keys


def test_pixels_are_aligned_and_read_only(source: Path) -> None:
    index, loaded, findings = load(source, image_size=[8, 12])
    assert values(loaded) == [0, 20, 40, 60, 80, 100, 10, 30, 50, 70, 90, 110]
    assert [path[-6:-4] for path in index.paths] == [
        "00",
        "02",
        "04",
        "06",
        "08",
        "10",
        "01",
        "03",
        "05",
        "07",
        "09",
        "11",
    ]
    assert loaded.pixels.shape == (12, 8, 12, 1)
    assert isinstance(loaded.pixels, np.memmap)
    assert loaded.pixels.flags.c_contiguous
    assert not loaded.pixels.flags.writeable
    assert np.array_equal(np.load(loaded.folder / "pixels.npy"), loaded.pixels)
    assert findings == []
    assert loaded.originals() == [(30, 20, "L")] * 12


def test_a_second_start_decodes_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first, _ = load(source)
    forbid_decoding(monkeypatch)
    _, second, _ = load(source)
    assert second.folder == first.folder
    assert second.content == first.content


def test_settled_files_are_not_even_read(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diascope.data.digests.SETTLED", 0.0)
    time.sleep(0.05)
    load(source)
    monkeypatch.setattr("diascope.data.digests._digest", lambda file: pytest.fail("read again"))
    load(source)


def test_fresh_files_are_read_again(source: Path) -> None:
    """A file may change twice within one tick of the clock: what was written just now is not remembered."""
    load(source)
    memories = list((store.cache_root() / "digests").iterdir())
    assert [json.loads(file.read_text()) for file in memories] == [{}]


def test_names_and_labels_have_no_part_in_the_key(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, first, _ = load(source)
    shutil.copytree(source / "a", tmp_path / "other/x")
    shutil.copytree(source / "b", tmp_path / "other/y")
    forbid_decoding(monkeypatch)
    index, second, _ = load(tmp_path / "other")
    assert index.classes == ("x", "y")
    assert (second.folder, second.content) == (first.folder, first.content)


def test_content_and_settings_do(source: Path) -> None:
    _, first, _ = load(source)
    others = [load(source, image_size=9)[1], load(source, resize="pad")[1], load(source, channels=3)[1]]
    Image.fromarray(np.full((20, 30), 7, np.uint8)).save(source / "a/00.png")
    others.append(load(source)[1])
    assert len({first.content, *(other.content for other in others)}) == 5
    assert values(others[-1])[0] == 7


def test_progress_counts_up_to_the_total(source: Path) -> None:
    calls: list[tuple[int, int]] = []
    load(source, jobs=2, progress=lambda done, total: calls.append((done, total)))
    assert calls[-1] == (24, 24)  # read, then decoded
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)


def test_an_npz_is_cached_in_its_order(tmp_path: Path) -> None:
    images = np.arange(8, dtype=np.uint8)[:, None, None] * np.ones((1, 5, 5), np.uint8)
    labels = np.arange(8, dtype=np.uint8)[:, None] % 2
    np.savez_compressed(
        tmp_path / "a.npz",
        train_images=images[:6],
        train_labels=labels[:6],
        val_images=images[6:],
        val_labels=labels[6:],
    )
    index, loaded, _ = load(tmp_path / "a.npz", channels=3)
    assert values(loaded) == list(range(8))
    assert loaded.pixels.shape == (8, 8, 8, 3)
    config = DataConfig(source=str(tmp_path / "a.npz"), image_size=(8, 8))
    _, part, _ = load_images(index.subset([1, 4, 7]), config)
    assert values(part) == [1, 4, 7]


def test_phantoms_are_cached_and_a_larger_set_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    index, loaded, _ = load("phantom:bone", image_size=32, phantom={"images": 8, "size": 32})
    expected = phantoms.draw("bone", PhantomConfig(images=8, size=32), 3).pixels
    assert np.array_equal(loaded.pixels[3], expected)
    assert len(index) == 8
    monkeypatch.setattr(phantoms, "VERSION", "other")
    assert load("phantom:bone", image_size=32, phantom={"images": 8, "size": 32})[1].content != loaded.content


# Builds that are cut short, damaged, or run at once


DAMAGES = (
    "truncate lengthen header inverted undigested brackets empty folder manifest count missing originals unmeasured"
).split()


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_built_again(source: Path, damage: str) -> None:
    _, first, _ = load(source)
    expected, array, folder = values(first), first.folder / "pixels.npy", first.folder
    data = array.read_bytes()
    match damage:
        case "truncate":
            array.write_bytes(data[:-5])
        case "lengthen":
            array.write_bytes(data + b"x")
        case "header":
            array.write_bytes(b"x" * len(data))
        case "inverted":
            array.write_bytes(data[:128] + bytes(255 - value for value in data[128:]))
        case "undigested":
            manifest = json.loads((folder / "manifest.json").read_text())
            del manifest["sha256"]
            (folder / "manifest.json").write_text(json.dumps(manifest))
        case "brackets":
            array.write_bytes(data[:10] + b"{[(" * 40)
        case "empty":
            array.write_bytes(b"")
        case "folder":
            array.unlink()
            array.mkdir()
        case "manifest":
            (folder / "manifest.json").write_text("{")
        case "count":
            (folder / "manifest.json").write_text('{"images": "many", "unreadable": {}}')
        case "missing":
            array.unlink()
        case "originals":
            (folder / "originals.csv").unlink()
        case "unmeasured":
            (folder / "originals.csv").write_bytes(b"")
    _, again, findings = load(source)
    assert values(again) == expected
    assert [finding.code for finding in findings] == ["cache-rebuilt"]
    assert array.read_bytes() == data


SLOW_BUILD = """
    import sys, time
    from diascope.config import DataConfig
    from diascope.data import cache, prepare
    from diascope.data.index import open_index
    quick = prepare._prepare
    def slow(index, row, config):
        print("decoding", flush=True)
        time.sleep({pause})
        return quick(index, row, config)
    prepare._prepare = slow
    config = DataConfig(source=sys.argv[1], image_size=(8, 8))
    index, loaded, _ = cache.load_images(open_index(config), config, jobs=1)
    print(int(loaded.pixels.astype(int).sum()), flush=True)
"""


def start(source: Path, pause: float) -> "subprocess.Popen[str]":
    script = textwrap.dedent(SLOW_BUILD.format(pause=pause))
    return subprocess.Popen([sys.executable, "-c", script, str(source)], stdout=subprocess.PIPE, text=True)


def test_two_commands_at_once_decode_once(source: Path) -> None:
    processes = [start(source, 0.05) for _ in range(2)]
    outputs = [process.communicate(timeout=60)[0].splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(output.count("decoding") for output in outputs) == [0, 12]
    assert outputs[0][-1] == outputs[1][-1] == str(sum(10 * number for number in range(12)) * 64)


def test_a_killed_build_leaves_nothing_that_counts(source: Path, root: Path) -> None:
    process = start(source, 30)
    assert process.stdout is not None
    assert process.stdout.readline() == "decoding\n"
    (unfinished,) = (root / "images").iterdir()
    freed, busy = store.clear()
    assert (freed, len(busy)) == (0, 1)  # a build that goes on is left alone
    assert unfinished.exists()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert [kept.whole for kept in store.entries()] == [False]
    load(source, image_size=9)  # the next build of anything sweeps
    assert not unfinished.exists()
    assert values(load(source)[1])[:2] == [0, 20]


def test_an_interrupted_build_is_removed(source: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(done: int, total: int) -> None:
        if done > 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(source, progress=interrupt)
    assert list((root / "images").iterdir()) == []


def test_a_full_disk_is_noticed_before_the_build(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(store.shutil, "disk_usage", lambda folder: usage(10, 10, 100))
    with pytest.raises(DataError, match=r"take 768 bytes, but only 100 bytes are free; .*DIASCOPE_CACHE"):
        load(source)


def test_a_cache_folder_that_is_a_file_is_named(source: Path, tmp_path: Path, monkeypatch: Any) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match=r"file: a file occupies the cache's folder.*DIASCOPE_CACHE"):
        load(source)


# The command


def test_the_command_lists_and_clears(source: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(source)
    load(source, image_size=16)
    stranger = root / "images" / "holiday.png"
    stranger.touch()
    (root / "images" / "album").mkdir()
    cache_command()
    shown = capsys.readouterr().out
    assert shown.count("images") >= 2
    assert f"2 kept, {human_size(sum(kept.size for kept in store.entries()))}, in {root}" in shown
    assert [(kept.images, kept.whole, kept.source) for kept in store.entries()] == [(12, True, str(source))] * 2
    cache_command(clear=True)
    assert "freed" in capsys.readouterr().out
    assert store.entries() == []
    assert stranger.exists()  # DIASCOPE_CACHE may point to a folder with other things in it
    assert (root / "images" / "album").exists()
    cache_command()
    assert "0 kept, 0 bytes" in capsys.readouterr().out


def test_sizes_are_for_people() -> None:
    assert [human_size(size) for size in (0, 1023, 1536, 2**30 * 3)] == [
        "0 bytes",
        "1023 bytes",
        "1.5 kB",
        "3.0 GB",
    ]


@needs_real_data
def test_real_skin_is_what_pillow_makes_of_it() -> None:
    index, loaded, findings = load(f"{REAL}/skin/lab.csv", image_size=128)
    assert loaded.pixels.shape == (1200, 128, 128, 1)
    assert findings == []
    for row in range(0, 1200, 60):
        with Image.open(str(index.locate(row))) as image:
            expected = image.convert("L").resize((128, 128), Image.Resampling.BILINEAR)
        assert np.array_equal(loaded.pixels[row, :, :, 0], np.asarray(expected))


@needs_real_data
def test_a_real_npz_is_passed_through() -> None:
    index, loaded, _ = load(f"{REAL}/breastmnist.npz", image_size=28)
    with np.load(f"{REAL}/breastmnist.npz") as arrays:
        assert np.array_equal(loaded.pixels[546:624, :, :, 0], arrays["val_images"])
        assert index.labels[:546].tolist() == arrays["train_labels"].ravel().tolist()
