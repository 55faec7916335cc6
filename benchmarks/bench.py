"""Side by side in one run: Keras, PyTorch Lightning, plain PyTorch and Diascope at the lab's tasks 1a and 1b.

    make bench                                   about 20 minutes, on an idle machine
    python benchmarks/bench.py --quick           a few minutes, to see that it works

Makes an environment of its own in benchmarks/.venv, lets the peers take turns, each alone on the machine, leaves out
the first epoch of each turn, prints medians, spreads and ratios, and writes them to benchmarks/results/.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent
ENVIRONMENT = Path(os.environ.get("BENCHMARK_ENVIRONMENT", HERE / ".venv"))
PYTHON = ENVIRONMENT / ("Scripts" if os.name == "nt" else "bin") / "python"
IMAGES = 1000
EPOCHS_A_TURN = 2
PROGRAMS = {
    "Keras": "keras_peer.py",
    "Lightning": "lightning_peer.py",
    "PyTorch": "torch_peer.py",
    "Diascope": "diascope_peer.py",
}


@dataclass
class Peer:
    """A program that trains an epoch when it is told to; `copies` of it take their turn together."""

    name: str
    program: str
    task: str
    precision: str
    images: int
    copies: int = 1
    processes: list[subprocess.Popen[str]] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)  # seconds a run, scaled to 1,000 images
    steps: list[float] = field(default_factory=list)  # milliseconds
    peak_mib: float = 0.0

    def start(self, epochs: int, threads: int) -> None:
        options = f"--task {self.task} --precision {self.precision} --epochs {epochs} --images {self.images}".split()
        command = [PYTHON, HERE / "peers" / self.program, *options, "--threads", str(threads)]
        for _ in range(self.copies):
            self.processes.append(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            )

    def turn(self, counted: bool) -> None:
        """One epoch of every copy at once; what a run costs is the time of the slowest over the number of copies."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write("\n")
        told = []
        for process in self.processes:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit(f"{self.name} {self.task} {self.precision} ended with {process.wait()}")
            told.append(json.loads(line))
        if counted:
            scale = IMAGES / self.images / self.copies
            self.epochs.append(max(turn["epoch"] for turn in told) * scale)
            self.steps.append(max(turn["training"] for turn in told) / (self.images / 8) * 1e3 / self.copies)
            self.peak_mib = sum(turn["peak_mib"] for turn in told)

    def end(self) -> None:
        for process in self.processes:
            process.communicate()
        self.processes.clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="200 images and one round: not for quoting")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each peer, with 2 counted epochs each")
    parser.add_argument("--bf16-images", type=int, help="training images of bf16 epochs; default: 80 where it is slow")
    told = parser.parse_args()
    prepare_environment()
    images, rounds = (200, 1) if told.quick else (IMAGES, told.rounds)
    native = has_bf16()
    bf16_images = told.bf16_images or (images if native else 80)
    result: dict[str, object] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "native_bf16": native,
        "images": images,
        "bf16_images": bf16_images,
        "rounds": rounds,
        "tasks": {task: measure(task, images, bf16_images, rounds) for task in ("lab-1a", "lab-1b")},
    }
    folder = HERE / "results"
    folder.mkdir(exist_ok=True)
    text = report(result)
    print(text)
    if not told.quick:
        (folder / "epochs.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (folder / "epochs.md").write_text(text, encoding="utf-8")


def prepare_environment() -> None:
    if not PYTHON.exists():
        print(f"making {ENVIRONMENT}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "-r", HERE / "requirements.txt", "-e", HERE.parent], check=True)


def ask(code: str) -> str:
    return subprocess.run([PYTHON, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def has_bf16() -> bool:
    """Whether this processor has instructions for bf16; without them an epoch takes minutes."""
    return "AVX2" not in ask("import torch; print(torch.backends.cpu.get_cpu_capability())")


def machine() -> dict[str, object]:
    packages = ("torch", "tensorflow", "keras", "lightning", "timm", "numpy")
    code = (
        "from importlib.metadata import version, PackageNotFoundError\n"
        "import json\n"
        "def found(name):\n"
        "    try: return version(name)\n"
        "    except PackageNotFoundError: return version(name + '-cpu') if name == 'tensorflow' else None\n"
        f"print(json.dumps({{name: found(name) for name in {packages}}}))"
    )
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        processor = names[0] if names else processor
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "capability": ask("import torch; print(torch.backends.cpu.get_cpu_capability())"),
        "python": platform.python_version(),
        **json.loads(ask(code)),
    }


def measure(task: str, images: int, bf16_images: int, rounds: int) -> dict[str, object]:
    """All peers of one task: those in fp32 and their study, then those in bf16 and theirs, then the profile."""
    found = []
    for precision, shown in (("fp32", images), ("bf16", bf16_images)):
        peers = [Peer(name, program, task, precision, shown) for name, program in PROGRAMS.items()]
        peers.append(Peer("Keras, two at once", PROGRAMS["Keras"], task, precision, shown, copies=2))
        turns = rounds if shown == images else 1
        take_turns(peers, turns)
        found += [peer_row(peer) for peer in peers]
        found.append(study_row(task, precision, shown, epochs=2 if shown != images else 3))
    profile = subprocess.run(
        [PYTHON, HERE / "peers" / "profile_peer.py", "--task", task, "--threads", "1"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return {"peers": found, "profile": profile}


def take_turns(peers: list[Peer], rounds: int) -> None:
    """One peer at a time; in each round it starts anew, warms up for an epoch, and is counted for EPOCHS_A_TURN."""
    for number in range(rounds):
        for peer in peers:
            peer.start(epochs=1 + EPOCHS_A_TURN, threads=os.cpu_count() or 1)
            for epoch in range(1 + EPOCHS_A_TURN):  # the first compiles, allocates, warms up
                peer.turn(counted=epoch > 0)
            peer.end()
        print(f"{peers[0].task} {peers[0].precision}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)


def peer_row(peer: Peer) -> dict[str, object]:
    return {
        "name": peer.name,
        "precision": peer.precision,
        "images": peer.images,
        "epoch_seconds": peer.epochs,
        "step_ms": peer.steps,
        "peak_mib": peer.peak_mib,
    }


def study_row(task: str, precision: str, images: int, epochs: int) -> dict[str, object]:
    """Six Diascope runs, two at a time: seconds that an epoch of one run costs the machine."""
    options = f"--task {task} --precision {precision} --epochs {epochs} --images {images}".split()
    command = [PYTHON, HERE / "peers" / "study_peer.py", *options]
    done = subprocess.run(command, input="\n", check=True, capture_output=True, text=True)
    told = json.loads(done.stdout.splitlines()[-1])
    scale = IMAGES / images / told["jobs"]
    return {
        "name": "Diascope, study of six runs",
        "precision": precision,
        "images": images,
        "epoch_seconds": [seconds * scale for seconds in told["epochs"]],
        "step_ms": [],
        "peak_mib": told["peak_mib"] * told["jobs"],
        "whole_study_seconds": told["whole"],
    }


def report(result: dict[str, object]) -> str:
    """The figures as Markdown: medians, ranges, and ratios to Keras in float32 in one process."""
    lines = ["# Epochs of the lab's AlexNet (base 8, 128 x 128, batch 8, 1,000 + 200 images)", ""]
    told = result["machine"]
    assert isinstance(told, dict)
    lines += [", ".join(f"{name} {value}" for name, value in told.items()) + f". {result['date']}.", ""]
    lines += [
        "Seconds that one epoch of one run costs, validation included; median (lowest to highest) of "
        f"{result['rounds']} turns with {EPOCHS_A_TURN} epochs each, after one that is left out. Ratio: the median of "
        "Keras in float32, one process, divided by this one. Diascope's epochs also judge the training side in "
        "evaluation mode and write history and checkpoints, which the others do not.",
        "",
    ]
    if result["bf16_images"] != result["images"]:
        lines += [
            f"This processor has no bf16 instructions: bf16 epochs ran on {result['bf16_images']} images and are "
            "scaled up. They say how slow it is here, nothing about processors that have them.",
            "",
        ]
    tasks = result["tasks"]
    assert isinstance(tasks, dict)
    for task, found in tasks.items():
        lines += [f"## {task}", "", "| | precision | epoch, s | ratio | step, ms | peak memory, MiB |"]
        lines += ["|---|---|---|---|---|---|"]
        reference = median(found["peers"][0]["epoch_seconds"])
        lines += [table_row(row, reference) for row in found["peers"]]
        lines += ["", "Where Diascope's step goes (fp32, one thread, 30 steps):", "", "```"]
        lines += [found["profile"].strip(), "```", ""]
    return "\n".join(lines)


def table_row(row: dict[str, list[float]], reference: float) -> str:
    epochs, steps = row["epoch_seconds"], row["step_ms"]
    spread = f"{median(epochs):.2f} ({min(epochs):.2f} to {max(epochs):.2f})"
    step = f"{median(steps):.1f}" if steps else ""
    ratio = reference / median(epochs)
    return f"| {row['name']} | {row['precision']} | {spread} | {ratio:.2f} | {step} | {row['peak_mib']:.0f} |"


if __name__ == "__main__":
    main()
