"""Seconds from the start of `diascope run` to its first training, of two checkouts in turns: what a change costs there.

    python benchmarks/startup.py OLD NEW --source bone/metadata.csv --group dup_group [--turns 5]

OLD and NEW are checkouts. Each turn clears the cache and the study folder, runs the command until its runs are planned
(imports, study file, reading, audit, plan and study folder are then done), and once more with both kept.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import monotonic

STOP = """
import diascope.cli.display as display
def planned(*_): raise SystemExit(7)
if hasattr(display, "RunDisplay"): display.RunDisplay.planned = planned  # before there were events
else: display.Display._plan = planned
from diascope.cli import main
main()
"""
PLANNED = 7  # the exit status of STOP
STUDY = """
diascope: 1
name: startup
question: How long does it take before the first training?
data: {{source: {source}, group: {group}, channels: 1, image_size: 128, allow: [leak-duplicates]}}
split: {{kind: holdout, validation: 0.2}}
model: {{name: alexnet}}
training: {{epochs: 1}}
seeds: 1
arms: {{plain: {{}}}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--source", type=Path, required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    study = STUDY.format(source=given.source.resolve(), group=given.group)
    took: dict[tuple[str, str], list[float]] = {}
    for turn in range(given.turns + 1):
        for name, checkout in (("old", given.old), ("new", given.new)):
            for run, seconds in zip(("first", "second"), startup(checkout, study), strict=True):
                print(f"turn {turn}, {name}, {run} run: {seconds:.2f} s{'' if turn else ' (not counted)'}", flush=True)
                if turn:
                    took.setdefault((run, name), []).append(seconds)
    for run in ("first", "second"):
        old, new = took[run, "old"], took[run, "new"]
        ratios = [after / before for before, after in zip(old, new, strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(f"{run} run: {median(old):.2f} s, {median(new):.2f} s, median ratio {median(ratios):.3f} ({spread})")


def startup(checkout: Path, study: str) -> tuple[float, float]:
    """Seconds of a first run, whose images are read, and of a second."""
    with TemporaryDirectory() as folder:
        (Path(folder) / "startup.yaml").write_text(study)
        env = {**os.environ, "DIASCOPE_CACHE": f"{folder}/cache", "PYTHONPATH": str(checkout.resolve() / "src")}
        return _once(folder, env), _once(folder, env)


def _once(folder: str, env: dict[str, str]) -> float:
    start = monotonic()
    arguments = [sys.executable, "-c", STOP, "run", "startup.yaml"]
    ended = subprocess.run(arguments, cwd=folder, env=env, check=False, capture_output=True, text=True)
    if ended.returncode != PLANNED:
        raise SystemExit(f"{ended.returncode}: {ended.stdout[-2000:]}{ended.stderr[-2000:]}")
    return monotonic() - start


if __name__ == "__main__":
    main()
