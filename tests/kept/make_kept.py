"""Makes the study folders beside this file, with the version of Diascope that `provenance.json` of their runs names.

They are what a user of that version has on disk: a later version must open them, continue them and report the same. So
they are NOT to be made anew, least of all when a test of them fails; this script is here to be read. It takes a new
folder:

    PYTHONPATH=tests python tests/kept/make_kept.py FOLDER

Images are drawn skin lesions (phantoms), in grays and at the size that networks get to see, so that no version of
Pillow changes them. The place of the images is written relative to the study folder in study.yaml, and left out of
config.json, whose seal in done.json is written anew for that. Left out for their size: what is drawn for people
(report.html, charts, samples), most checkpoints, and the blanks of summary.json.
"""

import csv
import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
from dicom_files import dicom
from PIL import Image

from diascope.config import PhantomConfig
from diascope.data import phantoms

COMMANDS = {
    "holdout": (("run", "holdout.yaml", "--executor", "serial"), ("test", "holdout")),
    "kfold": (("run", "kfold.yaml", "--executor", "processes", "--jobs", "1"),),
    "pretrained": (("run", "pretrained.yaml", "--executor", "serial"),),
    "search": (("tune", "search.yaml", "--executor", "serial"),),
    "dicom": (("run", "dicom.yaml", "--executor", "serial"), ("test", "dicom", "--checkpoint", "last")),
}
WITH_CHECKPOINTS = ("dicom",)
FOR_PEOPLE = ("report.html", "checklist.md", "charts", "samples", "audit")


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir()
    draw(folder)
    for name, commands in COMMANDS.items():
        shutil.copy(Path(__file__).parent / f"{name}.yaml", folder)
        for arguments in commands:
            env = {**os.environ, "DIASCOPE_CACHE": f"{folder}-cache", "OMP_NUM_THREADS": "1"}
            subprocess.run([sys.executable, "-m", "diascope", *arguments], cwd=folder, env=env, check=True)
        for left_out in FOR_PEOPLE:
            path = folder / name / left_out
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for file in [*(folder / name).rglob("*.lock"), *(folder / name).rglob("checkpoint.pt")]:
            if file.suffix == ".lock" or name not in WITH_CHECKPOINTS:
                file.unlink()
        forget_place(folder, folder / name)


def draw(folder: Path) -> None:
    """Gray PNG with a manifest; the same in DICOM, of 12 bits."""
    phantoms.write("skin", PhantomConfig(images=40, size=28, difficulty=0), folder / "images")
    with (folder / "images" / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    shutil.rmtree(folder / "images" / "masks")
    for number, row in enumerate(rows):
        gray = Image.open(folder / "images" / row["path"]).convert("L")
        gray.save(folder / "images" / row["path"])
        if number >= 32:
            continue
        pixels = np.asarray(gray).astype(np.uint16) * 16
        path = folder / "scans" / row["label"] / f"{Path(row['path']).stem}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        window = {"WindowCenter": 2048, "WindowWidth": 4096, "RescaleSlope": 1, "RescaleIntercept": 0}
        path.write_bytes(dicom(pixels, bits=12, secrets={"PatientID": row["group"]}, **window))


def forget_place(root: Path, study: Path) -> None:
    """No file names the folder in which the studies were made."""
    for name, place in (("study.yaml", "../"), ("tuned.yaml", "../"), ("summary.json", "")):
        if (study / name).exists():
            text = (study / name).read_text()
            (study / name).write_text(text.replace(f"{root}/", place))
    summary = json.loads((study / "summary.json").read_text())
    (study / "summary.json").write_text(json.dumps(summary, separators=(",", ":"), ensure_ascii=False) + "\n")
    for file in study.rglob("config.json"):
        file.write_text(file.read_text().replace(f"{root}/", ""))
        done = json.loads((file.parent / "done.json").read_text())
        done["sha256"]["config.json"] = sha256(file.read_bytes()).hexdigest()
        (file.parent / "done.json").write_text(json.dumps(done, indent=1) + "\n")
    for file in study.rglob("*"):
        if file.is_file() and str(root).encode() in file.read_bytes():
            raise SystemExit(f"{file} names {root}")


if __name__ == "__main__":
    main()
