"""Commands that are killed at random moments and given again: do they end with the same bits, and is anything lost?

    python benchmarks/kills.py                   1,000 kills over seven commands, then results/kills.md
    python benchmarks/kills.py --kills 70        as many in all, to the screen

A command runs as `diascope` does, in a process that dies by SIGKILL. It is given again and killed again, up to ten
times, then it is left alone; its results are compared with those of a command that never was killed, and a new round
begins. Results are compared byte by byte; left out are files that hold times.

Passed: no other bits, and no command that fails.
"""

import argparse
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from time import perf_counter

STUDY = """name: killed
data: {source: images/manifest.csv, group: group, classes: [nevus, melanoma], image_size: 32, channels: 1}
split: {kind: holdout, validation: 0.25, test: 0.25}
model: {base_channels: 2}
training: {epochs: 4, learning_rate: 3e-3}
seeds: 2
arms: {plain: {}, dropout: {model.dropout: 0.4}}
"""
SEARCH = """
search: {trials: 4, folds: 2, warmup_trials: 2, space: {training.learning_rate: {low: 1e-4, high: 1e-2, log: true}}}
"""
FEATURES = STUDY.replace("{base_channels: 2}", "{name: pretrained, backbone: test_resnet, weights: random}")
FEATURES = FEATURES.replace("image_size: 32, channels: 1", "image_size: 64, channels: 3")
PRELOAD = "diascope.cli diascope.engine diascope.app.run torch._dynamo pandas altair scipy.stats optuna".split()
OF_RUN = ("last.safetensors", "best.safetensors", "predictions.csv", "config.json")
KILLS_OF_A_ROUND = 10
LEFT_OUT = ("claim.json", "audit.html")  # audit.html says when it was written


@dataclass(frozen=True)
class Command:
    """What is given, where it begins (nothing there, or a trained study), and which of its files are compared."""

    arguments: tuple[str, ...]
    trained: bool
    results: tuple[str, ...]


RUN = (*(f"study/runs/*/*/{name}" for name in OF_RUN), "study/folds.json", "study/index.csv")
SERIAL = ("--out", "study", "--executor", "serial")
COMMANDS = {
    "run": Command(("run", "study.yaml", *SERIAL), False, RUN),
    "extraction": Command(
        ("run", "features.yaml", *SERIAL),
        False,
        (*RUN, "cache/features/*/features.npy"),
    ),
    "tune": Command(("tune", "search.yaml", *SERIAL), False, (*RUN, "study/tuned.yaml")),
    "audit": Command(
        ("audit", "images/few.csv", "--group", "group", "--out", "audit"), False, ("audit/*.json", "audit/*.csv")
    ),
    "test": Command(("test", "study"), True, RUN),
    "report": Command(("report", "study"), True, ("study/report.html", "study/summary.json", "study/report.md")),
    "probe": Command(("probe", "study", "--no-text"), True, ("study/runs/*/*/probes.json", "study/runs/*/*/probes/*")),
}


@dataclass
class Counted:
    """What became of a command."""

    kills: int = 0
    rounds: int = 0
    other_bits: int = 0
    failures: int = 0
    notes: list[str] = field(default_factory=list)


def give(arguments: tuple[str, ...], world: str) -> None:
    """The command, in this process."""
    os.chdir(world)
    os.environ.update(DIASCOPE_CACHE=str(Path(world) / "cache"), OMP_NUM_THREADS="1")
    with Path("said.txt").open("w") as said:
        sys.stdout = sys.stderr = said
        from diascope.cli import app

        app(list(arguments))


def attempt(context: ForkServerContext, command: Command, world: Path, seconds: float | None) -> tuple[int, float]:
    """Exit code, negative of a killed process, and how long it took."""
    process = context.Process(target=give, args=(command.arguments, str(world)))
    started = perf_counter()
    process.start()
    if seconds is not None:
        process.join(seconds)
        process.kill()
    process.join()
    return process.exitcode or 0, perf_counter() - started


def results(command: Command, world: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(world)): file.read_bytes()
        for pattern in command.results
        for file in sorted(world.glob(pattern))
        if file.name not in LEFT_OUT
    }


def lay_out(world: Path, begin: Path) -> None:
    shutil.rmtree(world, ignore_errors=True)
    shutil.copytree(begin, world)


def killed(context: ForkServerContext, name: str, kills: int, world: Path, begin: Path) -> Counted:
    """Rounds of a command until it was killed so often."""
    command, counted, moments = COMMANDS[name], Counted(), random.Random(name)
    lay_out(world, begin)
    attempt(context, command, world, None)  # imports that no later process waits for
    lay_out(world, begin)
    usual_code, usual = attempt(context, command, world, None)
    expected = results(command, world)
    if usual_code not in (0, 1) or not expected:  # an audit that finds errors ends with 1
        raise SystemExit(
            f"{name} ends with {usual_code} when it is left alone: {(world / 'said.txt').read_text()[-2000:]}"
        )
    while counted.kills < kills:
        lay_out(world, begin)
        for left in range(KILLS_OF_A_ROUND, -1, -1):
            code, _ = attempt(context, command, world, usual * moments.random() ** 1.5 if left else None)
            if code != -signal.SIGKILL:
                break
            counted.kills += 1
        counted.rounds += 1
        found = results(command, world)
        if code != usual_code:
            counted.failures += 1
            counted.notes.append(f"{name}: {(world / 'said.txt').read_text()[-500:]}")
        elif found != expected:
            counted.other_bits += 1
            differ = [file for file in expected | found if expected.get(file) != found.get(file)]
            counted.notes.append(f"{name}: {', '.join(differ)}")
        print(f"\r{name}: {counted.kills} of {kills} kills, {counted.rounds} rounds ", end="", file=sys.stderr)
    print(file=sys.stderr)
    return counted


def prepared(context: ForkServerContext, home: Path) -> Iterator[tuple[bool, Path]]:
    """A folder with images and study files; the same with a trained study."""
    from diascope.config import PhantomConfig
    from diascope.data import phantoms

    fresh, trained, world = home / "fresh", home / "trained", home / "world"
    phantoms.write("skin", PhantomConfig(images=48, size=32), fresh / "images")
    lines = (fresh / "images" / "manifest.csv").read_text().splitlines(keepends=True)
    (fresh / "images" / "few.csv").write_text("".join(lines[:13]))  # burned-in text takes a third of a second an image
    for name, text in {"study": STUDY, "search": STUDY + SEARCH, "features": FEATURES}.items():
        (fresh / f"{name}.yaml").write_text(text)
    yield False, fresh
    lay_out(world, fresh)  # trained where it will lie: a study names its images by their place
    attempt(context, COMMANDS["run"], world, None)
    shutil.move(world, trained)
    yield True, trained


def table(found: dict[str, Counted]) -> str:
    head = ["command", "kills", "times it got through", "other bits", "failed"]
    rows = [head, ["---", *["---:"] * 4]]
    for name, one in found.items():
        rows.append([name, f"{one.kills:,}", f"{one.rounds}", f"{one.other_bits}", f"{one.failures}"])
    whole = [sum(getattr(one, key) for one in found.values()) for key in ("kills", "rounds", "other_bits", "failures")]
    rows.append(["all", *(f"{number:,}" for number in whole)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, help="in all commands together; without it 1,000, and the page is written")
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS), choices=list(COMMANDS))
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOAD])
    each, found = -(-(given.kills or 1000) // len(given.commands)), {}
    with tempfile.TemporaryDirectory() as folder:
        begins = dict(prepared(context, Path(folder)))
        for name in given.commands:
            found[name] = killed(context, name, each, Path(folder) / "world", begins[COMMANDS[name].trained])
    print(table(found), *(note for one in found.values() for note in one.notes), sep="\n")
    if not given.kills:
        text = f"# Killed and given again\n\nWritten by `python benchmarks/kills.py`.\n\n{table(found)}\n"
        (Path(__file__).parent / "results" / "kills.md").write_text(text)
    sys.exit(any(one.other_bits or one.failures for one in found.values()))


if __name__ == "__main__":
    main()
