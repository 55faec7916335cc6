"""What the readers do with files that nobody made with care: mutations of good ones, and the test files of libraries.

    python benchmarks/readers.py mutations [--count 100000] [--seed 0] [--to CSV]
    python benchmarks/readers.py corpus [FOLDER...]     of a folder, or of the sources of Pillow, pydicom and pypng

Every file is read in a child process. One that takes more than 30 seconds is a hang, one that ends the process is a
crash, and the memory of the child is its peak. Where Pillow or pydicom read a file by themselves, as this script asks
them to, the pixels have to be equal.
"""

import argparse
import csv
import hashlib
import json
import resource
import select
import subprocess
import sys
import tarfile
import warnings
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from zlib import crc32

import numpy as np
import pydicom
from PIL import Image, ImageOps
from pydicom import dcmread
from pydicom.pixels.utils import pixel_array

from diascope.core.errors import DataError
from diascope.data.dicom import GRAY
from diascope.data.grayscale import shown
from diascope.data.readers import decode, is_dicom

SECONDS, MEMORY = 30, 2 << 30  # of one file, as docs/data.md says
SOURCES = ("pillow", "pydicom", "pypng")
_SMALL = 12_000  # bytes of a DICOM file that is mutated


def seeds() -> dict[str, bytes]:
    """Small good files by name, which begins with their format; of DICOM every transfer syntax that pydicom brings."""
    pixels = np.kron(np.random.default_rng(0).integers(0, 256, (5, 6, 3)), np.ones((5, 5, 1))).astype(np.uint8)
    colour, deep = Image.fromarray(pixels), Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 257)
    gray, palette = colour.convert("L"), colour.convert("P")
    kinds: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("PNG", colour, {}), ("PNG", deep, {}), ("PNG", palette, {"transparency": 3}), ("PNG", gray.convert("1"), {}),
        ("JPEG", colour, {}), ("JPEG", gray, {"progressive": True}), ("JPEG", colour.convert("CMYK"), {}),
        ("JPEG", colour, {"progressive": True, "restart_marker_blocks": 1}),
        ("TIFF", colour, {}), ("TIFF", deep, {"compression": "tiff_lzw"}), ("TIFF", gray, {"compression": "jpeg"}),
        ("TIFF", colour, {"compression": "tiff_adobe_deflate"}), ("TIFF", gray, {"compression": "packbits"}),
        ("TIFF", gray.convert("1"), {"compression": "group4"}), ("TIFF", palette, {}),
        ("WEBP", colour, {}), ("WEBP", colour.convert("RGBA"), {"lossless": True}),
        ("GIF", palette, {}), ("BMP", colour, {}), ("BMP", palette, {}), ("BMP", gray.convert("1"), {}),
    ]  # fmt: skip
    found = {f"{form} {number}": _saved(image, form, options) for number, (form, image, options) in enumerate(kinds)}
    found["BMP rle"] = _run_length_bmp()
    for file in sorted((Path(pydicom.__file__).parent / "data/test_files").glob("*.dcm")):
        data = file.read_bytes()
        if is_dicom(data) and len(data) < _SMALL:
            found[f"DICOM {file.name}"] = data
    return found


def _saved(image: Image.Image, form: str, options: dict[str, object]) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _run_length_bmp() -> bytes:
    """A BMP of 8 x 8 pixels, which Pillow reads but does not write."""
    data = bytearray(_saved(Image.new("P", (8, 8)), "BMP", {}))
    data[30] = 1  # compression
    return bytes(data[: int.from_bytes(data[10:14], "little")]) + b"\4\1\0\4\1\2\3\4\0\0" * 8 + b"\0\1"


def mutated(data: bytes, random: np.random.Generator) -> bytes:
    """Some bytes changed, a piece removed, doubled or overwritten, or the end cut off."""
    changed = bytearray(data)
    for _ in range(int(random.choice([1, 1, 1, 2, 4, 16]))):
        if not changed:
            break
        place = _place(len(changed), random)
        length = int(random.integers(1, 9))
        match int(random.integers(0, 8)):
            case 0 | 1:
                changed[place] = int(random.integers(0, 256))
            case 2:
                changed[place] ^= 1 << int(random.integers(0, 8))
            case 3:
                changed[place] = int(random.choice([0, 1, 127, 128, 254, 255]))
            case 4:
                changed[place : place + 4] = int(random.choice([0, 1, 2**16, 2**31 - 1, 2**32 - 1])).to_bytes(4, "big")
            case 5:
                del changed[place : place + length]
            case 6:
                changed[place:place] = changed[place : place + length] * int(random.integers(1, 50))
            case 7:
                if random.integers(0, 4) == 0:
                    del changed[place:]
                else:
                    changed[place : place + length] = random.bytes(length)
    return bytes(changed)


def _place(size: int, random: np.random.Generator) -> int:
    """Half of them near the beginning, where headers are."""
    return int(random.integers(0, min(size, 600) if random.integers(0, 2) else size))


def case(number: int, seed: int, files: dict[str, bytes]) -> tuple[str, bytes]:
    """The mutated file of this number, and the name of the seed it came from; as many of each format."""
    forms = sorted({name.split(" ")[0] for name in files})
    turn, place = divmod(number, len(forms))
    names = [name for name in files if name.startswith(forms[place] + " ")]
    name = names[turn % len(names)]
    data = mutated(files[name], np.random.default_rng([seed, number]))
    return name, data if turn // len(names) % 4 == 0 else with_checksums(data)


def with_checksums(data: bytes) -> bytes:
    """A PNG whose chunks have the checksums of what they hold now, as someone would write who means harm."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    changed, place = bytearray(data), 8
    while place + 12 <= len(changed):
        end = place + 8 + int.from_bytes(changed[place : place + 4])
        if end + 4 > len(changed):
            break
        changed[end : end + 4] = crc32(changed[place + 4 : end]).to_bytes(4)
        place = end + 4
    return bytes(changed)


def oracle(data: bytes) -> np.ndarray | None:
    """What Pillow or pydicom make of the file, each by itself; None where they do not read it, or as another thing."""
    try:
        if is_dicom(data):
            dataset = dcmread(BytesIO(data))
            stored = pixel_array(dataset, index=0)
            if stored.ndim == 2 and dataset.PhotometricInterpretation in GRAY:
                return np.repeat(shown(stored, dataset, 0)[:, :, None], 3, axis=2)
            return stored if stored.ndim == 3 and dataset.BitsStored == 8 else None
        with Image.open(BytesIO(data), formats=("PNG", "JPEG", "TIFF", "BMP", "WEBP")) as image:
            image.load()
            if image.mode not in ("L", "RGB", "1", "CMYK") or image.has_transparency_data:
                return None
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except Exception:
        return None


def read(data: bytes) -> dict[str, object]:
    """The outcome of one file."""
    start = perf_counter()
    try:
        pixels = decode(data, 3).pixels
    except DataError as error:
        return {"outcome": "refused", "why": str(error), "seconds": perf_counter() - start}
    seconds = perf_counter() - start
    expected = oracle(data)
    equal = None if expected is None else bool(np.array_equal(expected, pixels))
    digest = hashlib.blake2b(pixels.tobytes(), digest_size=8).hexdigest()
    return {"outcome": "read", "why": digest, "seconds": seconds, "equal": equal}


def child(task: str, first: int, seed: int) -> None:
    """Read one file after the other from `first` on, and say so before and after each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY * 2, MEMORY * 2))
    warnings.simplefilter("ignore")
    files = seeds() if task == "mutations" else {}
    listed = [] if files else json.loads(Path(task).read_text())
    number = first
    while files or number < len(listed):
        print(json.dumps({"begin": number}), flush=True)
        name, data = case(number, seed, files) if files else (listed[number], Path(listed[number]).read_bytes())
        row = {"number": number, "name": name, "format": name.split(" ")[0] if files else _format(data), **read(data)}
        row["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
        print(json.dumps(row), flush=True)
        number += 1


def _format(data: bytes) -> str:
    """What a file begins as, whatever its name."""
    beginnings = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"II": "TIFF", b"MM": "TIFF", b"BM": "BMP", b"RIFF": "WEBP"}
    if is_dicom(data):
        return "DICOM"
    return next((form for beginning, form in beginnings.items() if data.startswith(beginning)), "none of these")


def outcomes(task: str, count: int, seed: int) -> Iterator[dict[str, object]]:
    """One row a file; a child that hangs or dies is replaced, and goes on with the file after."""
    number = 0
    while number < count:
        command = [sys.executable, __file__, "child", task, str(number), str(seed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0) as process:
            assert process.stdout is not None
            lines = _lines(process.stdout)
            for line in lines:
                row = {} if line is None else json.loads(line)
                if "begin" in row:
                    number = row["begin"]
                    if number >= count:
                        break
                    continue
                if line is None:
                    process.kill()
                    yield {"number": number, "name": "", "format": "", "outcome": "hang", "why": "", "seconds": SECONDS}
                    break
                yield row
            else:
                process.wait()
                if process.returncode == 0:
                    return
                yield {"number": number, "name": "", "format": "", "outcome": "crash", "why": str(process.returncode)}
            process.kill()
        number += 1


def _lines(stream: object) -> Iterator[bytes | None]:
    """The lines of a pipe; None after 30 seconds without one."""
    held = b""
    while True:
        ready, _, _ = select.select([stream], [], [], SECONDS)
        if not ready:
            yield None
            return
        part = stream.read(65536)  # type: ignore[attr-defined]
        if not part:
            return
        *whole, held = (held + part).split(b"\n")
        yield from whole


def table(rows: list[dict[str, object]]) -> str:
    """By format: files, read, refused, crashes, hangs, equal to the oracle, slowest, peak."""
    lines = ["| format | files | read | refused | crashes | hangs | compared | different | slowest, s | peak, MiB |"]
    lines.append("|---|" + "---:|" * 9)
    for form in [*sorted({str(row["format"]) for row in rows}), "all"]:
        those = [row for row in rows if form in (row["format"], "all")]
        kinds = Counter(row["outcome"] for row in those)
        compared = [row for row in those if row.get("equal") is not None]
        different = sum(not row["equal"] for row in compared)
        slowest = max(float(str(row.get("seconds", 0))) for row in those)
        peak = max(int(str(row.get("peak", 0))) for row in those) >> 20
        cells = [len(those), kinds["read"], kinds["refused"], kinds["crash"], kinds["hang"], len(compared), different]
        lines.append(f"| {form} | " + " | ".join(f"{cell:,}" for cell in cells) + f" | {slowest:.1f} | {peak:,} |")
    return "\n".join(lines)


def fetched(folder: Path) -> list[Path]:
    """The sources of the libraries, unpacked below `folder`."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", *SOURCES]
    subprocess.run([*command, "-d", str(folder)], check=True)
    for archive in sorted(folder.glob("*.tar.gz")):
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    return [folder]


def main() -> None:
    if sys.argv[1:2] == ["child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("task", choices=("mutations", "corpus"))
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--to", type=Path, help="a CSV file with one row for each file")
    asked = parser.parse_args()
    with TemporaryDirectory() as temporary:
        task, count = "mutations", asked.count
        if asked.task == "corpus":
            folders = asked.folders or fetched(Path(temporary))
            files = sorted(str(file) for folder in folders for file in folder.rglob("*") if file.is_file())
            task, count = str(Path(temporary) / "files.json"), len(files)
            Path(task).write_text(json.dumps(files))
        rows = list(outcomes(task, count, asked.seed))
    if asked.to is not None:
        with asked.to.open("w", newline="") as stream:
            names = ["number", "name", "format", "outcome", "why", "seconds", "equal", "peak"]
            writer = csv.DictWriter(stream, names, restval="")
            writer.writeheader()
            writer.writerows(rows)
    print(table(rows))


if __name__ == "__main__":
    main()
