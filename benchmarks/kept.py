"""Two checkouts on the same small studies: do they leave the same, and does NEW go on with what OLD left?

    python benchmarks/kept.py OLD NEW                        every case: four to five minutes on one core
    python benchmarks/kept.py OLD NEW --cases search npz     these

OLD and NEW are checkouts. Each is given the same commands, as a user gives them, on the same images: `python -m
diascope`, in a process that has imported PyTorch, pandas and Altair before, and in which charts are not drawn (what
would be drawn is compared); both take longer than the training. Compared is everything that they leave, but for times:
numbers exactly, weights, predictions, maps and pictures byte by byte. Then NEW opens what OLD left: every run must be
done, none may be trained again, and the summary must be the same. Both train more epochs of one of OLD's studies.

Keys that only NEW writes, other sentences, another page and other lines on the screen are told, and do not fail.
Passed: no difference; exit code 0.
"""

import argparse
import csv
import difflib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from kept_cases import CASES, lay_out

SERVER = """
import gc, json, os, runpy, sys
import altair, captum.attr, optuna, pandas, scipy.stats, sklearn.linear_model, timm, torch._dynamo, typer, vl_convert
vl_convert.vegalite_to_svg, vl_convert.svg_to_png = lambda chart: chart, lambda *_, **__: b""
vl_convert.javascript_bundle = lambda *_: ""
gc.freeze()
for line in sys.stdin:
    given = json.loads(line)
    child = os.fork()
    if not child:
        os.chdir(given["folder"])
        os.environ["DIASCOPE_CACHE"] = given["folder"] + "/cache"
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "said.txt"), (2, "problems.txt")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
        sys.argv = ["diascope", *given["arguments"]]
        runpy.run_module("diascope", run_name="__main__", alter_sys=True)
        sys.exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
OF_TIME: dict[str, tuple[type, ...]] = {  # keys that differ from run to run, where they hold this
    "seconds": (float, int, str),
    "process": (int, list),
    "command": (str, list),
    "diascope": (str, list),
    "before": (str,),  # a digest of what holds times
}
LEFT_OUT = re.compile(r"\.lock$|claim\.json$|journal|(^|/)cache/|said\.txt$|problems\.txt$")
SHOWN = re.compile(r"\.(html|md|svg)$|^charts/|/charts/")  # for people: told where it differs
MACHINE = re.compile(r"\d+(\.\d+)? (ms|s|min|h)\b|\d\d:\d\d(:\d\d)?|\d{4}-\d\d-\d\d\S*|process</th><td>[^<]*")
NUMBER = re.compile(r"\d+(?:\.\d+)?")
RUN_ID = re.compile(r"\b[0-9a-f]{16}\b")
WORDS_OF_A_SENTENCE = 4
TOLD = 4  # differences that are named of a file


@dataclass
class Found:
    """What became of a case: `differences` fail, `notes` do not."""

    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Checkout:
    """Gives commands to the Diascope of a checkout."""

    def __init__(self, folder: Path) -> None:
        env = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        env |= {"PYTHONPATH": str(folder.resolve() / "src"), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        where = "import diascope; print(diascope.__file__)"
        used = subprocess.run([sys.executable, "-c", where], env=env, capture_output=True, text=True, check=True).stdout
        if not Path(used.strip()).is_relative_to(folder.resolve()):
            raise SystemExit(f"{folder}: `import diascope` finds {used.strip()}; name a checkout with src/diascope")
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )

    def give(self, arguments: tuple[str, ...], folder: Path) -> "Said":
        """Run a command in a folder. A command that ends the server ends this program."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps({"arguments": arguments, "folder": str(folder)}) + "\n")
        self._server.stdin.flush()
        code = int(self._server.stdout.readline())
        problems = (folder / "problems.txt").read_text()
        if code == 1 and "Traceback" in problems:
            raise SystemExit(f"diascope {' '.join(arguments)}: {problems[-3000:]}")
        return Said(code, (folder / "said.txt").read_text(), problems)

    def close(self) -> None:
        assert self._server.stdin
        self._server.stdin.close()
        self._server.wait()


@dataclass(frozen=True)
class Said:
    """What a command ended with and printed."""

    code: int
    output: str
    problems: str

    def lines(self) -> list[str]:
        """Without times; of what it says on the way, warnings and errors alone, since progress is told by the clock."""
        warnings = [line for line in self.problems.splitlines() if re.match("warning|error", line)]
        return [MACHINE.sub("TIME", line).rstrip() for line in [*self.output.splitlines(), *warnings]]


def compared(name: str, old: Checkout, new: Checkout, world: Path) -> Found:
    """One case, by both checkouts, and the old one's study in the hands of the new one."""
    case, found, started = CASES[name], Found(), monotonic()
    told = {}
    for checkout, folder in ((old, world / "old"), (new, world / "new")):
        told[folder.name] = [checkout.give(_beside(arguments), folder) for arguments in case.commands]
    for arguments, before, after in zip(case.commands, told["old"], told["new"], strict=True):
        _compare_said(arguments[0], before, after, found)
        if before.code and case.study:
            found.differences.append(f"{arguments[0]} ends with {before.code} at OLD: {before.problems[-500:]}")
    if missing := [folder for folder in ("old", "new") if not (world / folder / name).is_dir()]:
        found.differences.append(f"nothing was written by {' and '.join(missing).upper()}")
        return found
    _compare_folders(world / "old" / name, world / "new" / name, found)
    kept = world / "kept" / name
    shutil.copytree(world / "old" / name, kept)
    if case.study:
        opened = Found()
        _open(name, new, world / "old", kept, opened)
        if case.further:
            for checkout, folder in ((new, world / "further"), (old, world / "old")):
                shutil.rmtree(world / "old" / name)
                shutil.copytree(kept, world / "old" / name)
                for arguments in case.further:
                    checkout.give(_beside(arguments), world / "old")
                if checkout is new:
                    shutil.copytree(world / "old" / name, folder / name)
            _compare_folders(world / "old" / name, world / "further" / name, opened)
        found.differences += [f"OLD's study opened by NEW: {line}" for line in dict.fromkeys(opened.differences)]
        found.notes += [f"OLD's study opened by NEW: {line}" for line in dict.fromkeys(opened.notes)]
    found.seconds = monotonic() - started
    return found


def _open(name: str, new: Checkout, folder: Path, kept: Path, found: Found) -> None:
    """Plan, run and report of a study that is done: nothing is stale, nothing is trained, the numbers stay."""
    command = CASES[name].commands[0]
    if command[0] == "run":
        planned = new.give(("plan", f"../{name}.yaml", "--out", name), folder)
        states = [line.rstrip(" │|").split()[-1] for line in planned.output.splitlines() if RUN_ID.search(line)]
        if planned.code or not states or set(states) != {"done"}:
            found.differences.append(f"plan says {', '.join(states) or planned.problems[-500:]}")
    for arguments in (_beside(command), ("report", name)):
        said = new.give(arguments, folder)
        if said.code:
            found.differences.append(f"{arguments[0]} ends with {said.code}: {said.problems[-500:]}")
        _compare_folders(kept, folder / name, found)
        for file in sorted(kept.glob("**/runs/**/*")):
            again = folder / name / file.relative_to(kept)
            if not file.is_file() or LEFT_OUT.search(str(file)) or file.name == "explain.json":
                continue
            if not again.exists() or again.read_bytes() != file.read_bytes():
                found.differences.append(f"{arguments[0]} wrote {file.relative_to(kept)} anew")


def _beside(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The command as it is given in a folder beside the study files and images; a study goes into one of its name."""
    named = [f"../{word}" if word.endswith((".yaml", ".csv")) else word for word in arguments]
    if arguments[0] in ("run", "tune"):
        named += ["--out", arguments[1].removesuffix(".yaml")]
    return tuple(named)


def _compare_said(command: str, before: Said, after: Said, found: Found) -> None:
    if before.code != after.code:
        found.differences.append(f"{command} ends with {before.code} and {after.code}: {after.problems[-300:]}")
    lines = [
        line
        for line in difflib.unified_diff(before.lines(), after.lines(), n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    if lines:
        found.notes.append(f"{command} prints other lines: {' '.join(lines[:2])}")


def _compare_folders(before: Path, after: Path, found: Found) -> None:
    """Everything that lies in them but locks, journals and times."""
    files = [{str(file.relative_to(root)) for file in root.rglob("*") if file.is_file()} for root in (before, after)]
    names = [{name for name in names if not LEFT_OUT.search(name)} for names in files]
    for name in sorted(names[0] ^ names[1]):
        where = found.notes if SHOWN.search(name) or name in names[1] else found.differences
        where.append(f"only {'OLD' if name in names[0] else 'NEW'} has {name}")
    for name in sorted(names[0] & names[1]):
        old, new = (before / name).read_bytes(), (after / name).read_bytes()
        if old == new:
            continue
        if SHOWN.search(name):
            if MACHINE.sub("", old.decode()) != MACHINE.sub("", new.decode()):
                found.notes.append(f"{name} is different")
            continue
        differences, notes = [], []
        for fails, what in _parted(_read(name, old), _read(name, new), ""):
            (differences if fails else notes).append(what)
        for told, whole in ((differences, found.differences), (notes, found.notes)):
            if told:
                more = f" and {len(told) - TOLD} more" if len(told) > TOLD else ""
                whole.append(f"{name}: {'; '.join(told[:TOLD])}{more}")


def _read(name: str, content: bytes) -> Any:
    """The file as a tree, without its times; bytes of what is no text."""
    if name.endswith(".json"):
        tree = json.loads(content)
        if name.endswith("done.json"):  # the seal of the history is one of its times, that of config.json of its keys
            tree["sha256"] = {file: seal for file, seal in tree["sha256"].items() if file.endswith("s")}
        return tree
    if name.endswith(".csv"):
        return [dict(row) for row in csv.DictReader(io.StringIO(content.decode()))]
    if name.endswith(".yaml"):
        from ruamel.yaml import YAML

        return YAML(typ="safe").load(content)
    if name.endswith(".pt"):
        import torch

        return torch.load(io.BytesIO(content), weights_only=True)
    return content


def _parted(old: Any, new: Any, place: str) -> Iterator[tuple[bool, str]]:
    """Where two trees differ, and whether that fails."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            here = f"{place}.{key}" if place else str(key)
            if isinstance(old.get(key), OF_TIME.get(key, ())):
                continue
            if key not in new or key not in old:
                yield key in old, f"{here} is in {'OLD' if key in old else 'NEW'} alone"
            else:
                yield from _parted(old[key], new[key], here)
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _parted(one, other, f"{place}[{number}]")
    elif hasattr(old, "numpy") and hasattr(new, "numpy"):
        if old.shape != new.shape or old.numpy().tobytes() != new.numpy().tobytes():
            yield True, f"{place}: other numbers"
    elif isinstance(old, str) and isinstance(new, str):
        one, other = (MACHINE.sub("", text) for text in (old, new))
        if one != other:
            sentences = min(len(one.split()), len(other.split())) >= WORDS_OF_A_SENTENCE
            same_numbers = sorted(NUMBER.findall(one)) == sorted(NUMBER.findall(other))
            yield not (sentences and same_numbers), f"{place}: {old[:80]!r} became {new[:80]!r}"
    elif type(old) is not type(new) or (old != new and old == old):
        yield True, "other bytes" if isinstance(old, bytes) else f"{place}: {str(old)[:80]} became {str(new)[:80]}"


def table(found: dict[str, Found]) -> str:
    """A row a case: what it covers, how long it took, and what differs."""
    rows = ["| case | covers | seconds | results |", "|---|---|---:|---|"]
    for name, one in found.items():
        told = "same" if not one.differences else f"**{len(one.differences)} differ**"
        told += f", {len(one.notes)} notes" if one.notes else ""
        rows.append(f"| {name} | {CASES[name].covers} | {one.seconds:.0f} | {told} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--folder", type=Path, help="a new folder for all studies, which is kept; else one that is not")
    given = parser.parse_args()
    with TemporaryDirectory() as temporary:
        world = (given.folder or Path(temporary) / "world").resolve()
        for name in ("old", "new", "kept"):
            (world / name).mkdir(parents=True)
        lay_out(world)
        old, new = Checkout(given.old), Checkout(given.new)
        found: dict[str, Found] = {}
        for name in given.cases:
            one = found[name] = compared(name, old, new, world)
            print(f"{name}: {'differs' if one.differences else 'same'}, {one.seconds:.0f} s", flush=True)
            for line in (*one.differences, *(f"(note) {line}" for line in one.notes)):
                print(f"  {line}", flush=True)
        old.close()
        new.close()
    print(table(found))
    sys.exit(any(one.differences for one in found.values()))


if __name__ == "__main__":
    main()
