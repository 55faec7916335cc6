"""What a search is worth: killed midway and continued, then judged against the default on 2,000 phantoms it never saw.

    python benchmarks/search.py               12 trials, five seeds at the end, to results/search.md (5 to 10 minutes)
    python benchmarks/search.py --quick       4 trials, two epochs, to the screen

The study is a ResNet-8 on 500 drawn skin lesions, ten epochs, whose default learning rate of 1e-4 is too low for so
few. `diascope tune` is killed (SIGKILL) when four trials have ended, and the same command goes on. Then the default and
the tuned configuration are trained anew on 500 phantoms of another seed, and judged on 2,000 further ones of that seed.
"""

import argparse
import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import Any

RESULTS = Path(__file__).parent / "results" / "search.md"
DIASCOPE = [sys.executable, "-c", "from diascope.cli import main; main()"]
KILLED_AFTER = 4  # trials
TRAINING, FRESH = 500, 2_000
STUDY = """
diascope: 1
name: search
question: Is what the search found better than the default?
data: {source: phantom:skin, phantom: {images: 667, size: 64}, image_size: 48}
split: {kind: holdout, validation: 0.25}
model: {name: resnet, depth: 8}
training: {epochs: 10, batch_size: 16, learning_rate: 1e-4}
seeds: 3
arms: {default: {}}
search:
  trials: 12
  folds: 3
  warmup_trials: 5
  space:
    training.learning_rate: {low: 1e-5, high: 3e-2, log: true}
    training.batch_size: [8, 16, 32]
    model.depth: {low: 8, high: 14, step: 6}
"""


@dataclass(frozen=True)
class Size:
    trials: int
    epochs: int
    seeds: int

    @property
    def settings(self) -> list[str]:
        return [f"search.trials={self.trials}", f"training.epochs={self.epochs}"]


def tune(folder: Path, size: Size, jobs: int) -> subprocess.Popen[bytes]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    file = folder.with_suffix(".yaml")
    file.write_text(STUDY, encoding="utf-8")
    return command(["tune", str(file), "--out", str(folder), "--jobs", str(jobs)], size.settings)


def command(words: Sequence[str], settings: Sequence[str]) -> subprocess.Popen[bytes]:
    given = [word for setting in settings for word in ("--set", setting)]
    return subprocess.Popen([*DIASCOPE, *words, *given], env={**os.environ, "OMP_NUM_THREADS": "1"})


def finish(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        sys.exit(f"a command ended with {process.returncode}")


def kill_midway(process: subprocess.Popen[bytes], folder: Path, after: int) -> tuple[int, int]:
    """Kill the command when `after` trials have ended; how many had, and how many runs were in the making."""
    while process.poll() is None and ended(folder) < after:
        sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    runs = list(folder.glob("search/trials/*/fold*/history.csv"))
    return ended(folder), sum(not (file.parent / "done.json").exists() for file in runs)


def ended(folder: Path) -> int:
    """Trials that have ended, as the journal tells it."""
    try:
        lines = (folder / "search" / "journal.log").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return 0
    over = ('"state":1', '"state":2')  # complete, pruned
    return sum('"op_code":6' in line and any(state in line for state in over) for line in lines)


def on_fresh_phantoms(folder: Path, size: Size, jobs: int) -> dict[str, Any]:
    """The summary of default and tuned, trained on other phantoms and judged on 2,000 further ones."""
    images = TRAINING + FRESH
    settings = [
        "data.phantom.seed=1",
        f"data.phantom.images={images}",
        "split.kind=holdout",
        f"split.validation={FRESH / images}",
        f"seeds={size.seeds}",
    ]
    out = folder.with_name("fresh")
    finish(command(["run", str(folder / "tuned.yaml"), "--out", str(out), "--jobs", str(jobs)], settings))
    found: dict[str, Any] = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return found


def report(folder: Path, size: Size, jobs: int) -> str:
    begun = monotonic()
    at_kill, in_the_making = kill_midway(tune(folder, size, jobs), folder, KILLED_AFTER if size.trials > 4 else 1)
    finish(tune(folder, size, jobs))
    searched = monotonic() - begun
    search = json.loads((folder / "search" / "search.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader((folder / "search" / "trials.csv").read_text(encoding="utf-8").splitlines()))
    own = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    fresh = on_fresh_phantoms(folder, size, jobs)
    verdict = "; ".join(f"**{found['verdict']}**: {found['sentence']}" for found in fresh["comparisons"])
    sides = {side: found["images"] for side, found in fresh["data"]["sides"].items()}
    minutes = f"{(monotonic() - begun) / 60:.1f} minutes in all, {searched / 60:.1f} of them for the search"
    different = len({tuple(row[key] for key in search["space"]) for row in rows})
    return f"""# What a search is worth

Written by `python benchmarks/search.py`, which describes the study: {size.trials} trials, {search["folds"]} inner
folds, {size.epochs} epochs, {jobs} runs at a time; {minutes}
and its own comparison, beside other work on two processor cores.

## Killed and continued

Killed (SIGKILL) when {at_kill} trials had ended; runs in the making: {in_the_making}. The same command went on:
{search["begun_again"]} trials were queued again, and {len(rows)} of {size.trials} ended, {different} different ones:
{words(Counter(row["state"] for row in rows))}.

## Found

{chr(10).join(f"- {sentence}" for sentence in own["search"]["sentences"][1:])}

## On {FRESH:,} fresh phantoms

Trained on {sides["training"]:,} phantoms of another seed, judged on {sides["validation"]:,}, {size.seeds} seeds.
The verdict on the tuned configuration against the default is {verdict or "none: nothing better was found."}

| arm | learning rate | batch size | depth | accuracy |
| --- | ---: | ---: | ---: | ---: |
{table(fresh)}
"""


def words(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {state}" for state, count in counts.items())


def table(summary: dict[str, Any]) -> str:
    lines = []
    for name, arm in summary["arms"].items():
        training, model, score = arm["config"]["training"], arm["config"]["model"], arm["metrics"]["accuracy"]
        spread = "" if score["sd"] is None else f" ± {score['sd']:.3f}"
        rate, depth = training["learning_rate"], model.get("depth") or 8
        lines.append(f"| {name} | {rate:.2g} | {training['batch_size']} | {depth} | {score['mean']:.3f}{spread} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="4 trials of 2 epochs, one seed, to the screen")
    parser.add_argument("--keep", type=Path, help="keep the study folders here")
    given = parser.parse_args()
    size = Size(4, 2, 1) if given.quick else Size(12, 10, 5)
    with TemporaryDirectory() as scratch:
        text = report((given.keep or Path(scratch)) / "search", size, given.jobs)
    if given.quick:
        print(text)
    else:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
