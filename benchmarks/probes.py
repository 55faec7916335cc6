"""How often shortcut probes are right: studies of which it is known whether there is a shortcut.

    python benchmarks/probes.py                       what is missing of results/probes.jsonl, then results/probes.md
    python benchmarks/probes.py --quick               3 studies of each world with seeds of their own, to the screen
    python benchmarks/probes.py --table               the page from what is there

probe_worlds.py describes the worlds. Each study draws its own images, trains one network on 60% of the groups and calls
`probe_run` as `diascope probe` does, with the columns that the world has. The same command resumes. Real images need
DIASCOPE_REAL_DATA, and words rapidocr.

Passed: the limits of LIMITS hold.
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
from typing import TYPE_CHECKING, Any

from probe_worlds import WORLDS, World

if TYPE_CHECKING:
    from diascope.engine import RunTask
    from diascope.probes import Subject

STUDY = """
name: probes
data: {{source: none.csv, image_size: {size}, channels: {channels}}}
model: {{name: alexnet, base_channels: 8}}
training: {{epochs: {epochs}, batch_size: 8, learning_rate: {rate}}}
"""
TRAINING = {  # by the first word of the world: epochs and learning rate, with which networks learn
    "textures": (10, 1e-3),
    "close-ups": (15, 5e-4),
    "skin": (15, 5e-4),
    "gray": (20, 1e-3),
    "words": (15, 5e-4),
    "bone": (15, 5e-4),
}
PHANTOMS = (12, 1e-3)
LIMITS = {  # of studies in which a shortcut is found: at least or at most, of how many
    "textures": ("at most", 3, 60),
    "close-ups": ("at most", 3, 60),
    "letters 1.0": ("at least", 55, 60),
    "letters 0.9": ("at least", 55, 60),
    "border 0.9": ("at least", 55, 60),
    "brightness 0.9": ("at least", 48, 60),
    "clean": ("at most", 3, 60),
    "skin": ("at most", 1, 10),
    "skin, letters 0.9": ("at least", 9, 10),
    "gray skin, letters 0.9": ("at least", 9, 10),
    "bone": ("at most", 1, 10),
    "bone, letters 0.9": ("at least", 9, 10),
}
STUDIES = {world: 10 if world.startswith(("skin", "gray", "bone")) else 60 for world in WORLDS}
STUDIES |= {"letters 0.7": 30, "size 0.9": 30, "words 0.9": 12, "words 0.5": 12}
SPECTRUM = ("textures", "close-ups", "textures, advanced cases at A")  # whose sites differ in their cases alone
FOLDER = Path(__file__).parent / "results"
FIRST, TUNING = 300, 1000  # seeds from here on: of the results; that were used to build the probes (as were 0 to 299)
VALIDATION = 0.4  # of the groups
READS = 0.10  # of the distance between the classes: how far a network that reads the mark goes with it


def study(world: str, seed: int) -> dict[str, Any]:
    """Draw, train, probe; the verdicts."""
    import torch

    from diascope.engine import execute
    from diascope.probes import Options, Subject
    from diascope.probes.probe_run import probe_run

    started, drawn = perf_counter(), WORLDS[world](seed)
    with tempfile.TemporaryDirectory() as folder:
        training = TRAINING.get(world.split()[0].strip(","), PHANTOMS)
        task = task_of(drawn, seed, training, Path(folder) / "run")
        for _ in execute(task, device="cpu"):
            pass
        options, device = Options(text=world.startswith("words")), torch.device("cpu")
        found = probe_run(task, drawn.columns, 1, device=device, options=options)
        reads = how_far_it_reads(drawn, Subject(task, {}, 1, device, options, lambda what, done, total: None))
    return {
        "world": world,
        "seed": seed,
        "settings": settings(),
        "verdict": found["verdict"],
        "reads": reads,
        "accuracy": found["model"]["balanced_accuracy"]["value"],
        "probes": {
            probe["code"]: {key: probe["evidence"].get(key) for key in ("verdict", "effect", "low", "p", "p_holm")}
            for probe in found["probes"]
        },
        "seconds": round(perf_counter() - started, 1),
    }


def how_far_it_reads(drawn: World, probed: "Subject") -> float | None:
    """The truth that probes are to find: how far the log odds go with the mark, were it the other class's.

    Of all validation images, as a share of the distance between the classes; None where nothing is planted.
    """
    if drawn.marked is None:
        return None
    from diascope.probes.exchange import log_probabilities

    odds = log_probabilities(probed.probabilities) @ [-1, 1]
    distance = odds[probed.labels == 1].mean() - odds[probed.labels == 0].mean()
    negative, positive = (log_probabilities(probed.predict(pixels[probed.rows])) @ [-1, 1] for pixels in drawn.marked)
    return float((positive - negative).mean() / distance)


def task_of(drawn: World, seed: int, training: tuple[int, float], folder: Path) -> "RunTask":
    """A run on these images, of which whole groups are held out."""
    import numpy as np

    from diascope.config import RunConfig
    from diascope.engine import RunData, RunTask
    from diascope.studyfile import parse_study

    size, channels = drawn.pixels.shape[1], drawn.pixels.shape[3]
    text = STUDY.format(size=size, channels=channels, epochs=training[0], rate=training[1])
    parsed = parse_study(text, [], where="probes", folder=Path.cwd())
    arm = parsed.arms[0]
    names = np.unique(drawn.groups)
    held = np.random.default_rng([seed, 9]).permutation(names)[: round(VALIDATION * len(names))]
    validation = np.isin(drawn.groups, held)
    data = RunData(
        pixels=drawn.pixels,
        paths=[f"{number}.png" for number in range(len(drawn.labels))],
        labels=drawn.labels,
        groups=drawn.groups,
        classes=("negative", "positive"),
        training=np.flatnonzero(~validation),
        validation=np.flatnonzero(validation),
    )
    config = RunConfig(
        data=arm.data,
        split=parsed.split,
        model=arm.model,
        augmentation=arm.augmentation,
        training=arm.training,
        fold=0,
        seed=seed,
    )
    return RunTask("arm", config, "benchmark", folder, data)


def settings() -> str:
    """What the studies are made of: lines of other settings are not counted among these."""
    from diascope.probes.probe_run import VERSION

    worlds = (Path(__file__).parent / "probe_worlds.py").read_text()
    return sha256(f"{VERSION}{STUDY}{TRAINING}{PHANTOMS}{worlds}".encode()).hexdigest()[:12]


def known_lines(file: Path) -> dict[tuple[str, int], dict[str, Any]]:
    """What was done with these settings, by world and seed."""
    lines = map(json.loads, file.read_text().splitlines() if file.exists() else [])
    return {(line["world"], line["seed"]): line for line in lines if line["settings"] == settings()}


def run(wanted: Iterable[tuple[str, int]], jobs: int, file: Path) -> None:
    """Every study that the file lacks; each is written down as soon as it is done."""
    known = known_lines(file)
    todo = [one for one in wanted if one not in known]
    started = perf_counter()
    with ProcessPoolExecutor(jobs) as pool, file.open("a") as stream:
        for done, future in enumerate(as_completed([pool.submit(study, *one) for one in todo]), 1):
            stream.write(json.dumps(future.result()) + "\n")
            stream.flush()
            left = (perf_counter() - started) / done * (len(todo) - done)
            print(f"\r{done} of {len(todo)} studies, {left / 60:.0f} min left ", end="", file=sys.stderr)


def limits(hits: int, of: int) -> str:
    """The 95% interval of Clopper and Pearson (1934), in percent."""
    from scipy.stats import binomtest

    found = binomtest(hits, of).proportion_ci(method="exact")
    return f"{100 * found.low:.0f} to {100 * found.high:.0f}"


def found_in(lines: Iterable[dict[str, Any]]) -> int:
    return sum(line["verdict"] == "shortcut found" for line in lines)


def said(lines: Iterable[dict[str, Any]], code: str, *verdicts: str) -> int:
    """In how many studies the probes whose code begins so said one of these."""
    return sum(
        any(probe["verdict"] in verdicts for name, probe in line["probes"].items() if name.startswith(code))
        for line in lines
    )


def table(lines: list[dict[str, Any]]) -> str:
    """Markdown: by world, what the probes said over all."""
    head = ["world", "accuracy", "shortcut found", "95% interval, %", "possible", "cannot tell", "limit"]
    head += ["read the mark", "of these found", "s"]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for world, of_world in _by_world(lines):
        found, count = found_in(of_world), len(of_world)
        possible, untold = (
            sum(line["verdict"] == verdict for line in of_world) for verdict in ("shortcut possible", "cannot tell")
        )
        accuracy = sum(line["accuracy"] for line in of_world) / count
        seconds = sorted(line["seconds"] for line in of_world)[count // 2]
        side, number, of = LIMITS.get(world, ("", 0, 0))
        limit = f"{side} {number} of {of}" if side else ""
        cells = [f"{found} of {count}", limits(found, count), f"{possible}", f"{untold}", limit]
        readers = [line for line in of_world if (line["reads"] or 0) >= READS]
        planted = any(line["reads"] is not None for line in of_world)
        cells += [f"{len(readers)}", f"{found_in(readers)}"] if planted else ["–", "–"]
        rows.append([world, f"{accuracy:.2f}", *cells, f"{seconds:.0f}"])
    return _markdown(rows)


def table_of_probes(lines: list[dict[str, Any]]) -> str:
    """Markdown: by world, how often each probe said found, and + possible."""
    codes = ["rim", "swapped-rim", "swapped-corners", "swapped-frame", "swapped-brightness"]
    codes += ["erased-corners", "erased-frame", "erased-text", "attribution-border", "attribution-text", "levels-"]
    rows = [["world", *codes], ["---", *["---:"] * len(codes)]]
    for world, of_world in _by_world(lines):
        cells = []
        for code in codes:
            sure, maybe = said(of_world, code, "found"), said(of_world, code, "possible")
            measured = said(of_world, code, "found", "possible", "not found")
            cells.append(f"{sure}" + (f" + {maybe}" if maybe else "") if measured else "–")
        rows.append([world, *cells])
    return _markdown(rows)


def table_of_columns(lines: list[dict[str, Any]]) -> str:
    """Markdown: sites that differ in their cases alone, and marks that the network may read, as columns."""
    rows = [["world", "compared", "found", "found or possible", "95% interval, %"], ["---", *["---:"] * 4]]
    for world, of_world in _by_world(lines):
        compared = said(of_world, "levels-", "found", "possible", "not found")
        if compared:
            alarms = said(of_world, "levels-", "found", "possible")
            found = said(of_world, "levels-", "found")
            rows.append([world, f"{compared} of {len(of_world)}", f"{found}", f"{alarms}", limits(alarms, compared)])
    return _markdown(rows)


def _by_world(lines: list[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    found = [(world, [line for line in lines if line["world"] == world]) for world in WORLDS]
    return [(world, of_world) for world, of_world in found if of_world]


def _markdown(rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def failures(lines: list[dict[str, Any]]) -> list[str]:
    """Limits that do not hold, of as many studies as were done."""
    failed = []
    for world, of_world in _by_world(lines):
        side, number, of = LIMITS.get(world, ("", 0, 0))
        share, found = number / max(of, 1), found_in(of_world) / len(of_world)
        if (side == "at most" and found > share) or (side == "at least" and found < share):
            failed.append(f"{world} ({found_in(of_world)} of {len(of_world)}, {side} {number} of {of})")
        alarms = said(of_world, "levels-", "found", "possible")
        if world in SPECTRUM and alarms / len(of_world) > 3 / 60:
            failed.append(f"columns in {world} ({alarms} of {len(of_world)}, at most 3 of 60)")
    return failed


def page(lines: list[dict[str, Any]]) -> str:
    failed = failures(lines)
    verdict = f"Failed: {'; '.join(failed)}." if failed else "All limits hold."
    return f"""# How often shortcut probes are right

Written by `python benchmarks/probes.py`. Every study draws its own images ([probe_worlds.py](../probe_worlds.py)),
trains an AlexNet with 8 base channels on 60% of the groups (10 to 20 epochs) and calls
`probe_run`. Thresholds were chosen on other seeds (0, and from {TUNING} on). Intervals: Clopper and Pearson, 95%.

{verdict}

{table(lines)}

Accuracy: mean balanced accuracy of the probed networks. s: median seconds of a study with its probes on a busy machine.
"Cannot tell": the network's balanced accuracy is not above chance. In the worlds of letters, border and brightness the
number says how often the mark agrees with the class. Words are burned in below the lesion, in images of 96 pixels, and
read by RapidOCR; at 0.5 they say nothing. The size of the lesion lies in the centre and is what a network should look
at, unless one knows better: no probe can find it. "Read the mark" is the truth, which no probe knows: of how many
networks the log odds go with the mark by at least {READS:.2f} of the distance between the classes, when every
validation image is drawn anew with the mark of the other class.

## By probe

Studies in which a probe said "found", and + those in which it said "possible".

{table_of_probes(lines)}

## Columns

In textures and close-ups, site A has mostly positive and easy cases, site B mostly negative and hard ones ("advanced
cases at A": only the positive ones differ), and nothing in the image says which site it is from: every alarm is false.
In the other worlds the column says which mark was planted, and an alarm is right where the network reads the mark.
Intervals are of the studies in which the column could be compared: values with fewer than five validation images of a
class are not.

{table_of_columns(lines)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--worlds", nargs="+", default=list(WORLDS), choices=list(WORLDS))
    parser.add_argument("--studies", type=int, help="of each world, at most")
    parser.add_argument("--quick", action="store_true", help="3 studies of each world, other seeds, to the screen")
    parser.add_argument("--table", action="store_true", help="write the page from what was done")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    most, first = (given.studies or 3, TUNING) if given.quick else (given.studies or 60, FIRST)
    file = Path(tempfile.gettempdir()) / "diascope-probes.jsonl" if given.quick else FOLDER / "probes.jsonl"
    wanted = [(world, number + first) for number in range(most) for world in given.worlds if number < STUDIES[world]]
    if not given.table:
        run(wanted, given.jobs, file)
    lines = [line for one, line in known_lines(file).items() if not given.quick or one in wanted]
    print(f"\n{table(lines)}\n\n{table_of_probes(lines)}\n\n{table_of_columns(lines)}\n")
    if given.quick:
        return
    (FOLDER / "probes.md").write_text(page(lines))
    sys.exit(1 if failures(lines) else 0)


if __name__ == "__main__":
    main()
