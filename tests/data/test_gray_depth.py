"""How many bits gray images of 16 use: what arrives of them, and what the cache and the audit know of it."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diascope.audit.deep_gray import deep_gray
from diascope.audit.facts import Audited
from diascope.audit.measure import measure
from diascope.config import DataConfig
from diascope.core.findings import Finding
from diascope.data.cache import ImageCache, load_images
from diascope.data.gray_depth import depth_of, gray_depth
from diascope.data.index import open_index
from diascope.explain.study_images import StudyImages

SIZE = 64
Deep = NDArray[np.uint16]


def ramp(top: int) -> Deep:
    """Every value from 0 to `top`, as far as the pixels go."""
    return np.linspace(0, top, SIZE * SIZE).round().astype(np.uint16).reshape(SIZE, SIZE)


def write(folder: Path, images: dict[str, NDArray[np.generic]], **options: object) -> Path:
    rows = ["path,label"]
    for number, (name, pixels) in enumerate(images.items()):
        Image.fromarray(pixels).save(folder / name, **options)  # type: ignore[arg-type]
        rows.append(f"{name},{'ab'[number % 2]}")
    (folder / "all.csv").write_text("\n".join(rows))
    return folder / "all.csv"


def config(source: Path, **keys: object) -> DataConfig:
    return DataConfig.model_validate({"source": str(source), "image_size": (SIZE, SIZE), **keys})


def loaded(source: Path, **keys: object) -> ImageCache:
    of = config(source, **keys)
    return load_images(open_index(of), of)[1]


def finding(source: Path, **keys: object) -> Finding:
    of = config(source, **keys)
    measured = measure(open_index(of), bits=gray_depth(open_index(of), of).bits, jobs=1)
    (found,) = deep_gray(Audited(measured.index, measured.facts, of))
    return found


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_twelve_bits_in_sixteen_arrive_as_two_hundred_gray_levels(tmp_path: Path, ending: str) -> None:
    source = write(tmp_path, {f"a.{ending}": ramp(3203), f"b.{ending}": ramp(900)})
    pixels = loaded(source).pixels[:, :, :, 0]
    assert len(np.unique(pixels[0])) >= 200
    expected = ramp(3203).astype(float) / 4095 * 255
    assert np.abs(pixels[0] - expected).max() <= 0.51
    assert abs(int(pixels[1].max()) - 900 / 4095 * 255) <= 0.51  # all images of a set share one depth
    found = finding(source)
    assert (found.severity, found.outcome, found.evidence["bits"]) == ("info", "issue", 12)
    assert "a largest value of 3,203, are read with 12 bits: 4,095 is white" in found.sentence


def test_eight_and_sixteen_bits_are_what_they_were(tmp_path: Path) -> None:
    """The same bits, and the same content, which is part of the identity of every run."""
    (tmp_path / "eight").mkdir()
    eight = write(tmp_path / "eight", {"a.png": (ramp(255)).astype(np.uint8), "b.png": ramp(200).astype(np.uint8)})
    assert (loaded(eight).pixels[0, :, :, 0] == ramp(255)).all()
    assert finding(eight).outcome == "not applicable"
    assert loaded(eight).content == loaded(eight, bits=12).content  # which these images have no use for
    sixteen = write(tmp_path, {"a.png": ramp(65000), "b.png": ramp(20000)})
    assert (loaded(sixteen).pixels[0, :, :, 0] == np.rint(ramp(65000) / np.float32(257))).all()
    assert finding(sixteen).outcome == "passed"
    assert loaded(sixteen).content == loaded(sixteen, bits=16).content


def test_the_content_of_other_sets_is_what_it_was_before_there_were_bits(tmp_path: Path) -> None:
    from hashlib import blake2b, sha256

    source = write(tmp_path, {"a.png": ramp(65000), "b.png": ramp(100).astype(np.uint8)})
    digests = [blake2b((tmp_path / name).read_bytes(), digest_size=20).hexdigest() for name in ("a.png", "b.png")]
    settings = repr((1, "1", SIZE, SIZE, "stretch", 1))
    found = loaded(source, channels=1).content
    assert found == sha256("\n".join([settings, *digests]).encode()).hexdigest()


def test_pixels_of_another_depth_are_never_taken_for_these(tmp_path: Path) -> None:
    source = write(tmp_path, {"a.png": ramp(3203), "b.png": ramp(3000)})
    twelve, fourteen = loaded(source), loaded(source, bits=14)
    assert twelve.content == loaded(source, bits=12).content != fourteen.content
    assert twelve.pixels.max() > 3 * fourteen.pixels.max()
    Image.fromarray(ramp(60000)).save(tmp_path / "b.png")  # now the set is of 16 bits
    assert loaded(source).pixels[0].max() < 20


def test_white_may_be_stored_as_zero(tmp_path: Path) -> None:
    source = write(tmp_path, {"a.tif": 4095 - ramp(4095), "b.tif": ramp(4000)}, tiffinfo={262: 0})
    assert np.abs(loaded(source).pixels[0, :, :, 0] - ramp(4095) / 4095 * 255).max() <= 0.51


def test_a_png_that_says_how_many_bits_it_uses_is_believed_as_far_as_its_pixels_agree(tmp_path: Path) -> None:
    source = write(tmp_path, {"a.png": ramp(900), "b.png": ramp(800)})
    assert gray_depth(open_index(config(source)), config(source)).bits == 10
    for top, bits in ((900, 12), (5000, 14)):  # 5,000 does not go into the 12 bits that it says
        Image.fromarray(ramp(top)).save(tmp_path / "a.png")
        data = (tmp_path / "a.png").read_bytes()
        chunk = b"sBIT" + bytes([12])
        said = struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk))
        (tmp_path / "a.png").write_bytes(data[:33] + said + data[33:])
        assert gray_depth(open_index(config(source)), config(source)).bits == bits


def test_a_few_bright_pixels_that_set_the_depth_are_told(tmp_path: Path) -> None:
    marked = ramp(3203)
    marked[0, :2] = 65535
    source = write(tmp_path, {"a.png": marked, "b.png": ramp(3000)})
    found = finding(source)
    assert (found.severity, found.outcome) == ("warning", "issue")
    assert "arrives in 13 of 256 gray levels" in found.sentence
    assert "set data.bits: 12" in found.sentence
    told = finding(source, bits=12)
    assert (told.severity, told.evidence["bits"]) == ("warning", 12)
    assert "all above 4,095 is white" in told.sentence
    pixels = loaded(source, bits=12).pixels[0, :, :, 0]
    assert pixels[0, 0] == 255
    assert len(np.unique(pixels)) >= 200


def test_mixed_depths_each_fill_the_range(tmp_path: Path) -> None:
    source = write(tmp_path, {"a.png": ramp(4095), "b.png": ramp(255).astype(np.uint8)})
    assert loaded(source).pixels.max(axis=(1, 2, 3)).tolist() == [255, 255]


def test_arrays_of_sixteen_bits_have_a_depth_too(tmp_path: Path) -> None:
    images = np.stack([ramp(3203), ramp(2000)] * 4)
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=np.arange(8) % 2)
    assert len(np.unique(loaded(tmp_path / "a.npz").pixels[0])) >= 200


def test_a_single_new_image_is_read_with_the_depth_of_the_study(tmp_path: Path) -> None:
    source = write(tmp_path, {"a.png": ramp(3203), "b.png": ramp(3000)})
    Image.fromarray(ramp(500)).save(tmp_path / "new.png")
    found = StudyImages(config(source)).from_disk(tmp_path / "new.png")
    assert abs(int(found.max()) - 500 / 4095 * 255) <= 0.51
    trained = loaded(source).pixels[0]
    assert (StudyImages(config(source)).pixels(["a.png"])[0] == trained).all()

    write(tmp_path, {"a.png": ramp(3203), "b.png": ramp(3000), "later.png": ramp(60000)})
    for whole in (False, True):
        of_study = StudyImages(config(source), whole=whole, paths={"a.png", "b.png"})
        assert (of_study.from_disk(tmp_path / "new.png") == found).all()
        assert (of_study.pixels(["a.png"])[0] == trained).all()


@pytest.mark.parametrize(
    ("maximum", "bits"), [(0, 8), (255, 8), (256, 10), (4095, 12), (4096, 14), (16383, 14), (16384, 16), (65535, 16)]
)
def test_depths(maximum: int, bits: int) -> None:
    assert depth_of(maximum) == bits
