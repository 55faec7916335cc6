"""A whole study of DICOM files, and a search of every byte that it leaves for what the files say of people."""

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from dicom_files import SECRETS, dicom
from PIL import Image

STUDY = """name: wards
data: {source: images, group: "dicom:PatientID", image_size: 32}
split: {kind: holdout, validation: 0.25, test: 0.25}
model: {base_channels: 2}
augmentation: {rotation: 10}
training: {epochs: 1}
seeds: 1
arms: {plain: {}, dropout: {model.dropout: 0.4}}
"""
COMMANDS = """
plan wards.yaml
run wards.yaml --executor serial --on-unreadable skip
audit images --study wards.yaml --out wards/checked
probe wards --no-text
explain wards/runs/plain/fold0-seed0 benign/02.dcm malignant/01.dcm
augment images --study wards.yaml
cache
"""
RUN = """
import logging, runpy, sys
logging.basicConfig(level=logging.DEBUG)  # as a program that logs all it can would have it
from diascope.cli import main
for line in sys.argv[1].strip().splitlines():
    sys.argv = ["diascope", *line.split()]
    try:
        main()
    except SystemExit as end:
        print(f"<{line}> ended with {end.code or 0}")
"""


class Left(NamedTuple):
    """What the commands said and wrote."""

    said: str
    home: Path
    cache: Path


def patient(number: int) -> dict[str, str]:
    """What a file says of one of twelve patients."""
    return SECRETS | {
        "PatientID": f"{SECRETS['PatientID']}-{number}",
        "PatientName": f"{SECRETS['PatientName']}{number}",
    }


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    home = tmp_path_factory.mktemp("wards")
    cache = tmp_path_factory.mktemp("wards-cache")
    random = np.random.default_rng(0)
    for number in range(24):
        label = ("benign", "malignant")[number % 2]
        pixels = (random.integers(0, 2000, (40, 40)) + 1500 * (number % 2)).astype(np.int16)
        window = {"WindowCenter": 1500, "WindowWidth": 3000}
        data = dicom(pixels, bits=13, secrets=patient(number // 2), **window)
        if number == 7:
            data = data[:-900]  # truncated
        if number == 10:
            data = dicom(pixels, "QUAXENBERG", secrets=patient(5))
        if number == 13:
            data = dicom(pixels, secrets=patient(6), VOILUTFunction="QUAXENBERG", **window)
        if number == 16:
            data = dicom(pixels, secrets=patient(8), WindowCenter="1500.000", WindowWidth=3000)
            place = data.find(b"\x28\x00\x50\x10DS") + 8  # the centre of the window
            data = data[:place] + b"Quaxibar" + data[place + 8 :]
        file = home / "images" / label / (f"{number:02d}.dcm" if number % 3 else f"IM-{number:04d}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    (home / "wards.yaml").write_text(STUDY)
    environment = {**os.environ, "DIASCOPE_CACHE": str(cache), "OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "always"}
    command = [sys.executable, "-c", RUN, COMMANDS]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    return Left(done.stdout + done.stderr, home, cache)


def test_the_study_is_whole(left: Left) -> None:
    assert re.findall(r"ended with (\d)", left.said) == ["2", "0", "1", "0", "0", "2", "0"], left.said
    assert "4 of 24 images cannot be read" in left.said
    assert "truncated: 2,300 of 3,200 bytes of pixel data" in left.said
    lines = (left.home / "wards/index.csv").read_text().splitlines()
    assert lines[0] == "path,label,class_number,group"
    assert lines[1].startswith("benign/02.dcm,benign,0,patient-00")
    assert len(lines) == 21
    found = json.loads((left.home / "wards/findings.json").read_text())
    assert sum(finding["code"] == "unreadable-image" for finding in found) == 4
    assert (left.home / "wards/checked/audit.html").is_file()
    assert len(list((left.home / "wards/runs/plain/fold0-seed0/explain").glob("*.png"))) > 2
    assert len(list((left.home / "wards/samples/augmented").glob("*/*.png"))) == 2


def needles() -> set[bytes]:
    """All secrets, their words, and digests of the numbers of patients, which can be undone by trying them all."""
    texts = {value for number in range(12) for value in patient(number).values()}
    texts |= {word for text in texts for word in re.split(r"[\^ ]", text) if len(word) > 6}
    texts.add("quaxibar")
    found = {text.lower().encode(form) for text in texts for form in ("utf-8", "utf-16-le")}
    for number in range(12):
        name = patient(number)["PatientID"].encode()
        digests = [hashlib.new(kind, name).digest() for kind in ("md5", "sha1", "sha256", "sha512", "blake2b")]
        digests += [hashlib.blake2b(name, digest_size=size).digest() for size in (8, 16, 20, 32)]
        found |= {form for digest in digests for form in (digest[:8], digest.hex()[:12].encode())}
        found |= {base64.b64encode(digest)[:10].lower() for digest in digests}
        found.add(base64.b64encode(name)[:12].lower())
    return found


def contents(file: Path) -> Iterator[bytes]:
    """The bytes of a file, and those of what is packed in it; letters of base64 may spell anything."""
    data = file.read_bytes()
    yield re.sub(rb"(data:[\w/+-]+;base64,)[\w+/=]+", rb"\1", data)
    if zipfile.is_zipfile(BytesIO(data)):
        with zipfile.ZipFile(BytesIO(data)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    for code in re.findall(rb"data:[\w/+-]+;base64,([\w+/=]+)", data):
        yield base64.b64decode(code)


def found_in(data: bytes, wanted: set[bytes]) -> set[bytes]:
    lower = data.lower()
    return {needle for needle in wanted if needle in lower or needle in data}


def test_nothing_of_a_person_is_written_or_said(left: Left) -> None:
    wanted = needles()
    source = (left.home / "images/benign/02.dcm").read_bytes()
    assert len(found_in(source, wanted)) > 30  # the search finds what is there
    searched = 0
    for folder in (left.home / "wards", left.cache):
        for file in folder.rglob("*"):
            assert not found_in(str(file).encode(), wanted)
            for content in contents(file) if file.is_file() else ():
                assert not found_in(content, wanted), file
                searched += 1
    assert searched > 40
    assert not found_in(left.said.encode(), wanted)
    assert "Traceback" not in left.said


def test_pictures_hold_pixels_alone(left: Left) -> None:
    pictures = list((left.home / "wards/samples").rglob("*.png"))
    assert len(pictures) > 10
    for file in pictures:
        with Image.open(file) as picture:
            picture.load()
            assert not picture.info, file
