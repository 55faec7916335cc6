"""What one file may cost: bombs are refused within 2 GiB and 30 seconds, and what is just below a bound is read."""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from bombs import BOMBS, GRAY, ROWS, before_pixels, element, encapsulated, png, rle_bmp, segment
from PIL import Image
from pydicom.uid import JPEG2000Lossless

from diascope.core.errors import DataError
from diascope.data import bounds, dicom_bounds
from diascope.data.bounds import MOST_SCANS, jpeg_segments
from diascope.data.decoded import guarded, with_channels
from diascope.data.readers import decode

READ_ALL = """
import json, resource, sys, warnings
warnings.simplefilter("error")
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))  # whatever fails here leaves the machine alone
from bombs import BOMBS
from diascope.data.readers import decode
from diascope.core.errors import DataError
for name, (make, _) in BOMBS.items():
    data = make()
    try:
        outcome = f"read {decode(data, 3).pixels.shape}"
    except DataError as error:
        outcome = str(error)
    print(json.dumps([name, len(data), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10, outcome]), flush=True)
"""


def test_bombs_are_refused_within_the_budget_of_one_file() -> None:
    """All of them together, so that each is far below 2 GiB and 30 seconds."""
    command = [sys.executable, "-c", READ_ALL]
    path = {"PYTHONPATH": ":".join([*sys.path, str(Path(__file__).parents[1])]), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, env=path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == list(BOMBS), done.stderr
    for name, size, peak, outcome in rows:
        assert size < 32 << 20, name
        assert peak < 2 << 30, name
        assert (BOMBS[name][1] or "read (8, 8, 3)") in outcome, name


def test_scans_are_those_of_the_image_alone() -> None:
    """Bytes that look like scans lie in comments, thumbnails, and films behind a phone's photograph."""
    stream = BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, "JPEG", progressive=True)
    data = stream.getvalue()
    assert sum(marker == 0xDA for marker, _ in jpeg_segments(data)) == 6  # libjpeg's, of a gray image
    looks_like = b"\xff\xda" * (MOST_SCANS + 1)
    padded = data[:2] + segment(0xFE, looks_like) + data[2:] + looks_like
    assert np.array_equal(decode(padded, 1).pixels, decode(data, 1).pixels)


def test_restarts_and_stuffed_bytes_are_no_segments() -> None:
    stream = BytesIO()
    Image.effect_noise((64, 64), 200).save(stream, "JPEG", quality=100, restart_marker_blocks=1)
    data = stream.getvalue()
    assert data.count(b"\xff\xd0") > 5
    assert data.count(b"\xff\0") > 5
    markers = [marker for marker, _ in jpeg_segments(data)]
    assert markers == [0xE0, 0xDB, 0xC0, 0xC4, 0xC4, 0xDD, 0xDA]


def test_what_is_just_within_a_bound_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    many = png(8, 8, ROWS, *[(b"abCd", b"")] * 1000)
    monkeypatch.setattr(bounds, "MOST_PIECES", 0)  # so that even a short file is counted
    monkeypatch.setattr(bounds._Counted, "_left", 2 * 1000 + 50)
    assert decode(many, 1).pixels.shape == (8, 8, 1)
    monkeypatch.setattr(bounds._Counted, "_left", 100)  # a decoder that reads byte by byte is bounded by pixels
    assert decode(rle_bmp(64, 500), 1).pixels.shape == (500, 64, 1)
    monkeypatch.setattr(bounds._Counted, "_left", 2 * 1000)
    with pytest.raises(DataError, match="separate parts"):
        decode(many, 1)


def test_inflated_elements_are_bounded_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    filled = before_pixels(element(0x0009, 0x1001, b"OB", bytes(100_000)), deflate=True)
    plain = before_pixels(element(0x0009, 0x1001, b"OB", bytes(100_000)))
    size = len(plain) - (144 + int.from_bytes(plain[140:144], "little"))
    for most, fits in ((size + 1, True), (size - 1, False)):
        monkeypatch.setattr(dicom_bounds, "_MOST_INFLATED", most)
        if fits:
            assert np.array_equal(decode(filled, 1).pixels[:, :, 0], GRAY)
        else:
            with pytest.raises(DataError, match="deflated elements take more"):
                decode(filled, 1)


def test_colours_of_16_bits_become_gray_row_by_row_to_the_same_bits() -> None:
    colour = np.random.default_rng(0).integers(0, 65536, (50, 301, 3)).astype(np.uint16)
    whole = np.rint(colour @ np.array([0.299, 0.587, 0.114])).astype(np.uint16)
    assert np.array_equal(with_channels(colour, 1)[:, :, 0], whole)


@pytest.mark.parametrize("boxes", [False, True])
def test_a_jpeg_2000_may_hold_anything_behind_its_size(boxes: bool) -> None:
    stream = BytesIO()
    Image.effect_noise((8, 8), 90).save(stream, "JPEG2000", no_jp2=not boxes)
    plain = stream.getvalue()
    start = plain.index(b"\xff\x4f\xff\x51")
    end = start + 4 + int.from_bytes(plain[start + 4 : start + 6], "big")
    size = b"\xff\x4f\xff\x51" + bytes([0, 47]) + b"\x7f" * 45  # as it may lie in coded data, or in a comment
    commented = plain[:end] + segment(0x64, b"\0\1" + size) + plain[end:]
    if boxes:  # whose lengths come before
        place = plain.index(b"jp2c") - 4
        length = int.from_bytes(plain[place : place + 4], "big")
        grown = (length + len(commented) - len(plain)).to_bytes(4, "big") if length else bytes(4)
        commented = commented[:place] + grown + commented[place + 4 :]
    found, expected = (decode(encapsulated(code, JPEG2000Lossless), 1).pixels for code in (commented, plain))
    assert np.array_equal(found, expected)


class Panic(BaseException):
    """As that of a decoder in Rust, which is not an Exception."""


def test_faults_of_decoders_belong_to_the_file_and_interruptions_do_not() -> None:
    def raising(error: BaseException) -> None:
        raise error

    for fault in (Panic("at src/lib.rs"), MemoryError(), RecursionError()):
        with pytest.raises(DataError, match="damaged") as caught:
            guarded(lambda fault=fault: raising(fault), lambda error: DataError(f"damaged ({error})"))
        assert caught.value.__cause__ is caught.value.__context__ is None
    for stop in (KeyboardInterrupt, SystemExit):
        with pytest.raises(stop):
            guarded(lambda stop=stop: raising(stop()), lambda error: DataError("damaged"))
