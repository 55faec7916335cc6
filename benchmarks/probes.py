"""How often shortcut probes are right: phantom studies with a planted shortcut, and clean ones, of which all is known.

    python benchmarks/probes.py                       60 studies of each kind, to results/probes.md (about an hour)
    python benchmarks/probes.py --quick               6 of each kind with seeds of their own, to the screen

Each study draws its own images, trains one network on 60% of them and probes it on the others, without reading text and
without the column that says which mark was planted. What was done is kept in results/probes.jsonl: the same command
goes on with what is missing.

Passed: a shortcut is found in at least 55 of 60 studies with letters at rates 1.0 and 0.9, and at most 6 of 60 clean
studies have any alarm ("found" or "possible" in any probe).
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

KINDS = {
    "letters 1.0": ("letters", 1.0),
    "letters 0.9": ("letters", 0.9),
    "letters 0.7": ("letters", 0.7),
    "clean": ("none", 0.9),
    "brightness 0.9": ("brightness", 0.9),
    "border 0.9": ("border", 0.9),
    "size 0.9": ("size", 0.9),
}
STUDY = """
name: probes
data:
  source: phantom:skin
  phantom: {{images: 300, size: 48, difficulty: 0.3, shortcut: {shortcut}, rate: {rate}, seed: {seed}}}
  image_size: 48
  channels: 1
split: {{kind: holdout, validation: 0.4, seed: {seed}}}
model: {{name: alexnet, base_channels: 8}}
training: {{epochs: 15, batch_size: 8, learning_rate: 1e-3}}
seeds: [{seed}]
"""
FOLDER = Path(__file__).parent / "results"
FOUND, FALSE = 55, 6  # of 60: at least, at most
TUNING = 1000  # seeds from here on were used to build the probes


def study(kind: str, seed: int) -> dict[str, Any]:
    """Draw, train, probe; the verdicts."""
    import torch

    from diascope.engine import execute
    from diascope.probes import Options
    from diascope.probes.probing import probe_run
    from diascope.study.plan import plan, read_images
    from diascope.studyfile import parse_study

    started = perf_counter()
    shortcut, rate = KINDS[kind]
    parsed = parse_study(STUDY.format(shortcut=shortcut, rate=rate, seed=seed), [], where=kind, folder=Path.cwd())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DIASCOPE_CACHE"] = str(Path(folder) / "cache")
        (cell,) = plan(parsed, read_images(parsed), Path(folder))
        for _ in execute(cell.task):
            pass
        found = probe_run(cell.task, {}, 1, device=torch.device("cpu"), options=Options(text=False))
    return {
        "kind": kind,
        "seed": seed,
        "settings": settings(),
        "verdict": found["verdict"],
        "accuracy": found["model"]["balanced_accuracy"]["value"],
        "probes": {
            probe["code"]: {key: probe["evidence"].get(key) for key in ("verdict", "effect", "low", "p", "p_holm")}
            for probe in found["probes"]
        },
        "seconds": round(perf_counter() - started, 1),
    }


def settings() -> str:
    """What the studies are made of: lines of other settings are not counted among these."""
    from diascope.probes.probing import VERSION

    return sha256(f"{VERSION}{STUDY}".encode()).hexdigest()[:12]


def run(kinds: Iterable[str], seeds: Iterable[int], jobs: int, file: Path) -> list[dict[str, Any]]:
    """Every study, those of the file included; each is written down as soon as it is done."""
    seeds, kinds = list(seeds), list(kinds)
    lines = file.read_text().splitlines() if file.exists() else []
    known = {(line["kind"], line["seed"]): line for line in map(json.loads, lines) if line["settings"] == settings()}
    todo = [(kind, seed) for seed in seeds for kind in kinds if (kind, seed) not in known]
    started = perf_counter()
    with ProcessPoolExecutor(jobs) as pool, file.open("a") as stream:
        for done, future in enumerate(as_completed([pool.submit(study, *one) for one in todo]), 1):
            line = future.result()
            known[line["kind"], line["seed"]] = line
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            left = (perf_counter() - started) / done * (len(todo) - done)
            print(f"\r{done} of {len(todo)} studies, {left / 60:.0f} min left ", end="", file=sys.stderr)
    return [known[kind, seed] for kind in kinds for seed in seeds]


def limits(hits: int, of: int) -> str:
    """The 95% interval of Clopper and Pearson (1934), in percent."""
    from scipy.stats import binomtest

    found = binomtest(hits, of).proportion_ci(method="exact")
    return f"{100 * found.low:.0f} to {100 * found.high:.0f}"


def alarmed(line: dict[str, Any]) -> bool:
    return any(probe["verdict"] in ("found", "possible") for probe in line["probes"].values())


def table(lines: list[dict[str, Any]], kinds: Iterable[str]) -> str:
    """Markdown: by kind, what the probes said."""
    codes = list(dict.fromkeys(code for line in lines for code in line["probes"]))
    codes = [code for code in codes if any(line["probes"][code]["effect"] is not None for line in lines)]
    head = ["studies of", "accuracy", "shortcut found", "95% interval, %", "any alarm", "cannot tell", *codes, "s"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for kind in kinds:
        of_kind = [line for line in lines if line["kind"] == kind]
        found = sum(line["verdict"] == "shortcut found" for line in of_kind)
        alarms, untold = sum(map(alarmed, of_kind)), sum(line["verdict"] == "cannot tell" for line in of_kind)
        by_probe = [sum(line["probes"][code]["verdict"] == "found" for line in of_kind) for code in codes]
        possible = [sum(line["probes"][code]["verdict"] == "possible" for line in of_kind) for code in codes]
        cells = [f"{sure}" + (f" + {maybe}" if maybe else "") for sure, maybe in zip(by_probe, possible, strict=True)]
        accuracy = sum(line["accuracy"] for line in of_kind) / len(of_kind)
        seconds = sorted(line["seconds"] for line in of_kind)[len(of_kind) // 2]
        counts = [f"{found} of {len(of_kind)}", limits(found, len(of_kind)), str(alarms), str(untold)]
        rows.append([kind, f"{accuracy:.2f}", *counts, *cells, f"{seconds:.1f}"])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def verdict(lines: list[dict[str, Any]], studies: int) -> tuple[bool, str]:
    """Whether the limits hold, and a sentence."""
    found = {
        kind: sum(line["verdict"] == "shortcut found" for line in lines if line["kind"] == kind)
        for kind in ("letters 1.0", "letters 0.9")
    }
    false = sum(alarmed(line) for line in lines if line["kind"] == "clean")
    passed = all(count >= FOUND / 60 * studies for count in found.values()) and false <= FALSE / 60 * studies
    weak = sum(line["verdict"] == "shortcut found" for line in lines if line["kind"] == "letters 0.7")
    return passed, (
        f"Letters were found in {found['letters 1.0']} of {studies} studies at a rate of 1.0 "
        f"({limits(found['letters 1.0'], studies)}%), in {found['letters 0.9']} at 0.9 "
        f"({limits(found['letters 0.9'], studies)}%) and in {weak} at 0.7 ({limits(weak, studies)}%); {false} of "
        f"{studies} clean studies had an alarm ({limits(false, studies)}%). {'Passed' if passed else 'Failed'}: the "
        f"limits are at least {FOUND} of 60 at 1.0 and at 0.9, and at most {FALSE} of 60."
    )


def page(lines: list[dict[str, Any]], studies: int) -> str:
    return f"""# How often shortcut probes are right

Written by `python benchmarks/probes.py --studies {studies}`, which describes the studies: 300 drawn skin lesions of 48
pixels each, an AlexNet with 8 base channels, 15 epochs, 120 validation images of 60 lesions, no text reader.

{verdict(lines, studies)[1]}

Numbers below a probe: studies in which it said "found", and + those in which it said "possible". Intervals: Clopper and
Pearson, 95%. Accuracy: mean balanced accuracy of the probed networks. s: median seconds of a study with its probes.

{table(lines, KINDS)}

Letters and borders lie outside the centre; brightness changes the whole image, and the rim shows it. The size of the
lesion lies in the centre and is what a network should look at, unless one knows better: no probe can find it.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=60, help="of each kind")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--quick", action="store_true", help="6 studies of each kind, other seeds, to the screen")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    studies, first = (6, TUNING) if given.quick else (given.studies, given.first_seed)
    whole = first == 0 and given.kinds == list(KINDS)
    file = FOLDER / "probes.jsonl" if whole else Path(tempfile.gettempdir()) / "diascope-probes.jsonl"
    lines = run(given.kinds, range(first, first + studies), given.jobs, file)
    print(f"\n{table(lines, given.kinds)}\n")
    if not whole:
        return
    passed, sentence = verdict(lines, studies)
    print(sentence)
    (FOLDER / "probes.md").write_text(page(lines, studies))
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
