"""Side by side: heads on precomputed features with Keras and Diascope, and feature extraction with timm and Diascope.

    python benchmarks/transfer.py                         about 10 minutes, on an idle machine
    python benchmarks/transfer.py --parts extraction      one part anew; the others as they were measured before
    python benchmarks/transfer.py --quick                 to see that it works; writes nothing

Uses the environment of bench.py, and makes it where it is missing. The peers take turns, each alone on the machine, in
several rounds; medians, ranges and ratios go to benchmarks/results/transfer.md.
"""

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from bench import HERE, PYTHON, machine, prepare_environment
from numpy.typing import NDArray

RESULTS = HERE / "results"
BATCH, HIDDEN, REPLICAS = 8, 128, 30
Measured = dict[str, dict[str, list[float]]]  # peer -> what was measured -> a value for each turn or epoch


@dataclass(frozen=True)
class Head:
    """A program that trains heads, on so many threads; `label` is its row in the table."""

    label: str
    program: str
    threads: int
    options: tuple[str, ...] = ()
    replicas: int = 1
    rows: int = 1000

    @property
    def name(self) -> str:
        return f"{self.label}, {self.threads}"

    def turn(self, inputs: int, epochs: int) -> dict[str, list[float]]:
        """Milliseconds a step of one head: of the training alone, and of all that an epoch does."""
        told = f"--inputs {inputs} --rows {self.rows} --epochs {epochs + 1} --threads {self.threads}".split()
        told += [*self.options, "--replicas", str(self.replicas)] if self.replicas > 1 else self.options
        lines = ask(self.program, *told, turns=epochs + 1)[1:]  # the first epoch compiles, allocates, warms up
        steps = self.replicas * self.rows / BATCH / 1e3
        return {
            "step": [line["training"] / steps for line in lines],
            "epoch": [line["epoch"] / steps for line in lines],
            "peak_mib": [lines[-1]["peak_mib"]],
        }


def heads(inputs: int) -> list[Head]:
    """Those that take turns. Thirty large heads would take minutes, and Diascope never trains them together."""
    together = [Head(f"Diascope, {REPLICAS} heads together", "head_peer.py", 1, replicas=REPLICAS)] * (inputs < 1000)
    return [
        *[Head("Keras", "keras_head_peer.py", threads) for threads in (1, 2)],
        Head("Keras, steps_per_execution=25", "keras_head_peer.py", 1, ("--steps-per-execution", "25")),
        *[Head("Diascope, one head", "head_peer.py", threads) for threads in (1, 2)],
        *together,
        *[Head(each.label, each.program, 2, replicas=each.replicas) for each in together],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round of little: not for quoting")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each peer")
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    told = parser.parse_args()
    prepare_environment()
    file = RESULTS / "transfer.json"
    result: dict[str, Any] = json.loads(file.read_text()) if file.exists() and not told.quick else {}
    for part in told.parts:
        rounds = 1 if told.quick else told.rounds
        measured = PARTS[part](rounds, told.quick)
        result[part] = {"date": datetime.now(UTC).date().isoformat(), "rounds": rounds, **measured}
    result["machine"] = machine()
    text = report(result)
    print(text)
    if not told.quick:
        RESULTS.mkdir(exist_ok=True)
        file.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "transfer.md").write_text(text, encoding="utf-8")


def ask(program: str, *options: object, turns: int = 0, **environment: str) -> list[dict[str, float]]:
    """What a peer that runs alone tells, a JSON line each; it may begin as many turns as there are."""
    done = subprocess.run(
        [PYTHON, HERE / "peers" / program, *map(str, options)],
        input="\n" * turns,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def measure_heads(inputs: int, epochs: int, rounds: int, quick: bool) -> dict[str, Any]:
    found: Measured = defaultdict(lambda: defaultdict(list))
    peers = heads(inputs)
    for number in range(rounds):
        for peer in peers:
            for what, values in peer.turn(inputs, 1 if quick else epochs).items():
                found[peer.name][what] += values
            found[peer.name]["load"].append(os.getloadavg()[0])
        progress(f"heads on {inputs} features", number, rounds)
    return {"peers": found}


def measure_small(rounds: int, quick: bool) -> dict[str, Any]:
    return measure_heads(512, 5, rounds, quick)


def measure_large(rounds: int, quick: bool) -> dict[str, Any]:
    """With the bandwidth of the machine, and thirty heads together once, for the reason why they do not train so."""
    found = measure_heads(25_088, 3, rounds, quick)
    few = Head(f"Diascope, {REPLICAS} heads together, 10 steps an epoch", "head_peer.py", 1, replicas=REPLICAS, rows=80)
    found["peers"][few.name] = {**few.turn(25_088, 2), "load": [os.getloadavg()[0]]}
    cached = step_weights(25_088) * 4 / 2**20
    found["bandwidth"] = {
        f"{where}, {threads}": ask("bandwidth_peer.py", "--threads", threads, "--mib", mib)[0]["bytes_a_second"]
        for threads in (1, 2)
        for where, mib in (("memory", 512), ("cache", cached))
    }
    return found


def measure_extraction(rounds: int, quick: bool) -> dict[str, Any]:
    images = 16 if quick else 96
    found: Measured = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as name:
        folder = Path(name)
        ask("extraction.py", folder, images)
        for number in range(rounds):
            for peer in ("timm", "fp32", "bf16"):
                for what, value in extract(peer, folder, number).items():
                    found[peer][what].append(value)
                found[peer]["load"].append(os.getloadavg()[0])
            progress("extraction", number, rounds)
        features = {peer: np.load(folder / f"{peer}.npy") for peer in found}
    exact = features["fp32"]
    stored = exact.astype(np.float16).astype(np.float32)
    others = {"timm": features["timm"], "bf16": features["bf16"], "float16": stored}
    return {"images": images, "peers": found, "errors": {name: error(exact, it) for name, it in others.items()}}


def extract(peer: str, folder: Path, number: int) -> dict[str, float]:
    if peer == "timm":
        return ask("timm_peer.py", folder, folder / "timm.npy")[0]
    cache = str(folder / f"cache-{peer}-{number}")  # an empty one, so that everything is computed
    return ask("extraction_peer.py", folder, folder / f"{peer}.npy", peer, DIASCOPE_CACHE=cache)[0]


def error(exact: NDArray[np.float32], other: NDArray[np.float32]) -> dict[str, float]:
    """Root mean square of the difference beside that of the features, and the largest beside the largest feature."""
    difference = other.astype(np.float64) - exact
    rms = float(np.sqrt(np.mean(difference**2)) / np.sqrt(np.mean(exact.astype(np.float64) ** 2)))
    return {"rms": rms, "largest": float(np.abs(difference).max() / np.abs(exact).max())}


def progress(what: str, number: int, rounds: int) -> None:
    print(f"{what}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)


PARTS = {"heads-512": measure_small, "heads-25088": measure_large, "extraction": measure_extraction}


def step_weights(inputs: int) -> int:
    return inputs * HIDDEN + HIDDEN + HIDDEN + 1


def report(result: dict[str, Any]) -> str:
    lines = ["# Heads on precomputed features, and extracting the features", ""]
    lines += [", ".join(f"{name} {value}" for name, value in result["machine"].items()) + ".", ""]
    lines += [NOTES, ""]
    for part, inputs in (("heads-512", 512), ("heads-25088", 25_088)):
        if part in result:
            lines += head_table(result[part], inputs)
    if "heads-25088" in result:
        lines += bound_table(result["heads-25088"], 25_088)
    if "extraction" in result:
        lines += extraction_table(result["extraction"])
    return "\n".join(lines)


NOTES = """Each peer is a program of its own, alone on the machine in its turn; median (lowest to highest) of all turns.
Ratios are those of medians. The load is that of the last minute at the end of a turn, its own work included: where it
is far above the number of threads, other work disturbed that part.

Limits: one machine. TensorFlow is held to the threads of its row inside and between operations; its input pipeline has
threads of its own. The JPEG files are small and have the size that the network takes already: larger ones cost timm's
user decoding and resizing in each pass, and Diascope once. The weights are random: how fast a network is does not
depend on them, but how far bf16 is off may."""


def head_table(part: dict[str, Any], inputs: int) -> list[str]:
    title = f"## Training a head on {inputs:,} features"
    how = (
        f"float32, batches of {BATCH}, dense {HIDDEN} with ReLU, dropout 0.5, dense 1, Adam, binary cross-entropy; "
        f"1,000 rows, 125 steps an epoch; {part['rounds']} turns, {part['date']}. Keras: `model.fit` on an array in "
        "memory, without validation. Diascope: through its engine, features memory-mapped; a step is an epoch's "
        "training divided by its steps, and by the heads that train together; with all that an epoch does means both "
        "evaluations, history and checkpoints besides. Ratio: Keras as a user calls it, on as many threads, divided "
        "by this."
    )
    head = "| | threads | step, ms | ratio | with all that an epoch does, ms | ratio | peak memory, MiB | load |"
    lines = [title, "", how, "", head, "|---|---|---|---|---|---|---|---|"]
    for name, found in part["peers"].items():
        label, _, threads = name.rpartition(", ")
        keras = median(part["peers"][f"Keras, {threads}"]["step"])
        whole = "" if label.startswith("Keras") else spread(found["epoch"])
        ratio = "" if label.startswith("Keras") else f"{keras / median(found['epoch']):.2f}"
        step, faster = spread(found["step"]), keras / median(found["step"])
        load, memory = f"{median(found['load']):.1f}", found["peak_mib"][-1]
        lines.append(f"| {label} | {threads} | {step} | {faster:.2f} | {whole} | {ratio} | {memory:.0f} | {load} |")
    return [*lines, ""]


def spread(values: list[float]) -> str:
    return f"{median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def bound_table(part: dict[str, Any], inputs: int) -> list[str]:
    """A step beside the time that its bytes take: weights are read forward, gradients written, and Adam's step."""
    weights = step_weights(inputs)
    size = 36 * weights  # bytes: 4 forward, 4 for the gradient, 16 read and 12 written by Adam
    lines = [
        "### The bound of memory",
        "",
        f"A step over {weights:,} float32 weights moves at least 36 bytes for each, {size / 1e6:.0f} MB: the weights "
        "are read going forward (4), the gradient is written going back (4; features need no gradient, so the large "
        "matrix is not read again), and Adam reads weights, gradient and both moments (16) and writes all but the "
        "gradient (12). The rate is that of c = a + 3 b, with three arrays of 512 MiB, larger than any cache "
        "(memory), and of the size of these weights (cache: what holds where a step's arrays stay in the last cache).",
        "",
        "| threads | | GB/s | bound, ms | Keras, times the bound | Diascope, times the bound |",
        "|---|---|---|---|---|---|",
    ]
    for name, rate in part["bandwidth"].items():
        where, _, threads = name.rpartition(", ")
        bound = size / rate * 1e3
        steps = [median(part["peers"][f"{peer}, {threads}"]["step"]) for peer in ("Keras", "Diascope, one head")]
        times = " | ".join(f"{step / bound:.2f}" for step in steps)
        lines.append(f"| {threads} | {where} | {rate / 1e9:.1f} | {bound:.2f} | {times} |")
    return [*lines, ""]


def extraction_table(part: dict[str, Any]) -> list[str]:
    images, peers = part["images"], part["peers"]
    reference = median(peers["timm"]["seconds"])
    lines = [
        f"## Extraction: VGG16, 224 x 224, {images} JPEG files",
        "",
        f"Two threads; {part['rounds']} turns, {part['date']}. timm: a DataLoader with 2 workers opens the files with "
        "Pillow, batches of 32, NCHW, `inference_mode`, `forward_features`, `.numpy()`. Diascope: `features.obtain` on "
        "its decoded images, its writing included. Both after one image that is left out, with the same random "
        "weights. Setting up is the network, its weights and the import of timm.",
        "",
        "| | images/s | ratio | decoding, once for all, s | setting up, s | peak memory, MiB | load |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, found in peers.items():
        label = "timm in a DataLoader, fp32" if name == "timm" else f"Diascope, {name}"
        rate = spread([images / seconds for seconds in found["seconds"]])
        once = [f"{median(found[what]):.2f}" if what in found else "" for what in ("decoding", "setting_up")]
        ratio = reference / median(found["seconds"])
        memory, load = max(found["peak_mib"]), median(found["load"])
        lines.append(f"| {label} | {rate} | {ratio:.2f} | {' | '.join(once)} | {memory:.0f} | {load:.1f} |")
    lines += ["", "| features beside Diascope's in fp32 | relative RMS | largest deviation / largest feature |"]
    lines += ["|---|---|---|"]
    names = {"timm": "timm's", "bf16": "Diascope's in bf16", "float16": "Diascope's, stored as float16"}
    lines += [f"| {names[name]} | {it['rms']:.1e} | {it['largest']:.1e} |" for name, it in part["errors"].items()]
    return [*lines, ""]


if __name__ == "__main__":
    main()
