"""A file system that loses what was not synced: records what is written, and makes what a power loss may leave.

As POSIX promises and no more (Pillai et al. 2014 on what applications assume beyond it): the bytes of a file are on the
disk after fsync of the file, its name after fsync of the folder. Before that any part of either may be, in any order;
renames are atomic.
"""

import builtins
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Literal

import pytest

Kind = Literal["write", "truncate", "sync", "name", "unname", "folder", "sync folder", "mark"]
Name = tuple[int, str]  # of an entry: number of its folder, name


@dataclass(frozen=True)
class Change:
    """One change in the order of the program. `node` is the number of a file or folder, as the layer counts them."""

    kind: Kind
    node: int = 0
    offset: int = 0
    data: bytes = b""
    names: tuple[tuple[Name, int | None], ...] = ()  # entries that are set together, to a node or to nothing
    mark: str = ""


@dataclass
class Recorder:
    """What was done below `root`, and the real file system as it was before."""

    root: Path
    changes: list[Change] = field(default_factory=list)
    nodes: dict[tuple[int, int], int] = field(default_factory=dict)  # device and inode -> number
    before: dict[int, bytes | None] = field(default_factory=dict)  # files that were there; None of folders
    entries: dict[Name, int] = field(default_factory=dict)  # names that were there
    numbers: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.node(self.root)
        for path in sorted(self.root.rglob("*")):
            number = self.node(path)
            self.before[number] = path.read_bytes() if path.is_file() else None
            self.entries[self.node(path.parent), path.name] = number

    def node(self, path: Path) -> int:
        state = path.stat()
        return self.nodes.setdefault((state.st_dev, state.st_ino), next(self.numbers))

    def inside(self, path: Path) -> bool:
        return path.is_relative_to(self.root)

    def mark(self, text: str) -> None:
        """Note in the record that the program has reached a point."""
        self.changes.append(Change("mark", mark=text))


@contextmanager
def recorded(root: Path) -> Iterator[Recorder]:
    """Record all that Python code of this process writes below `root`."""
    recorder = Recorder(root.resolve())
    with pytest.MonkeyPatch.context() as patch:
        opened = _opener(recorder, io.open)
        patch.setattr(io, "open", opened)
        patch.setattr(builtins, "open", opened)
        for name, wrapped in _calls(recorder).items():
            patch.setattr(os, name, wrapped)
        yield recorder


def _place(path: Any, dir_fd: int | None = None) -> Path:
    found = Path(os.fsdecode(os.fspath(path)))
    if dir_fd is not None:
        return Path(os.readlink(f"/proc/self/fd/{dir_fd}")) / found
    return found.parent.resolve() / found.name


def _opener(recorder: Recorder, really: Callable[..., Any]) -> Callable[..., Any]:
    class Raw(io.FileIO):
        """A file whose writes are recorded."""

        def write(self, data: Any) -> int:
            at = os.fstat(self.fileno()).st_size if "a" in self.mode else self.tell()
            written = super().write(data)
            content = bytes(memoryview(data).cast("B")[:written])
            recorder.changes.append(Change("write", self.number, at, content))
            return written

        def truncate(self, size: int | None = None) -> int:
            found = super().truncate(size)
            recorder.changes.append(Change("truncate", self.number, found))
            return found

    def opened(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
        writes = set(mode) & set("wxa+")
        if not writes or isinstance(file, int) or named.get("opener") or not recorder.inside(_place(file)):
            return really(file, mode, buffering, *rest, **named)
        place = _place(file)
        new = not place.exists()
        raw = Raw(place, mode.replace("b", "").replace("t", ""))
        raw.number = recorder.node(place)
        if new:
            entry = (recorder.node(place.parent), place.name)
            recorder.changes.append(Change("name", names=((entry, raw.number),)))
        elif "w" in mode:
            recorder.changes.append(Change("truncate", raw.number, 0))
        if buffering == 0:
            return raw
        buffered = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return buffered if "b" in mode else io.TextIOWrapper(buffered, *rest, **named)

    return opened


def _calls(recorder: Recorder) -> dict[str, Callable[..., Any]]:
    system = {name: getattr(os, name) for name in "open fsync replace rename unlink remove mkdir rmdir".split()}

    def fsync(descriptor: int) -> None:
        system["fsync"](descriptor)
        place = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if recorder.inside(place):
            recorder.changes.append(Change("sync folder" if place.is_dir() else "sync", recorder.node(place)))

    def moved(name: str) -> Callable[..., None]:
        def move(source: Any, target: Any, **named: Any) -> None:
            one, two = _place(source), _place(target)
            if not recorder.inside(one):
                system[name](source, target, **named)
                return
            old, new = (recorder.node(one.parent), one.name), (recorder.node(two.parent), two.name)
            number, gone = recorder.node(one), two.stat() if two.exists() else None
            system[name](source, target, **named)
            if gone is not None:
                recorder.nodes.pop((gone.st_dev, gone.st_ino), None)
            recorder.changes.append(Change("name", names=((old, None), (new, number))))

        return move

    def removed(name: str) -> Callable[..., None]:
        def remove(path: Any, *, dir_fd: int | None = None) -> None:
            place = _place(path, dir_fd)
            inside = recorder.inside(place)
            state = place.lstat() if inside and os.path.lexists(place) else None
            system[name](path, dir_fd=dir_fd)
            if state is not None:
                recorder.nodes.pop((state.st_dev, state.st_ino), None)
                recorder.changes.append(Change("unname", names=(((recorder.node(place.parent), place.name), None),)))

        return remove

    def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        system["mkdir"](path, mode, dir_fd=dir_fd)
        place = _place(path, dir_fd)
        if recorder.inside(place):
            entry = (recorder.node(place.parent), place.name)
            recorder.changes.append(Change("folder", recorder.node(place), names=((entry, recorder.node(place)),)))

    def opened(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        place = _place(path, dir_fd)
        new = bool(flags & os.O_CREAT) and recorder.inside(place) and not place.exists()
        descriptor: int = system["open"](path, flags, mode, dir_fd=dir_fd)
        if new:  # a lock, which has no content
            entry = (recorder.node(place.parent), place.name)
            recorder.changes.append(Change("name", names=((entry, recorder.node(place)),)))
        return descriptor

    return {
        "open": opened,
        "fsync": fsync,
        "replace": moved("replace"),
        "rename": moved("rename"),
        "unlink": removed("unlink"),
        "remove": removed("remove"),
        "rmdir": removed("rmdir"),
        "mkdir": mkdir,
    }


@dataclass
class Disk:
    """What is on the disk for sure, and what may be: the changes since the last sync of each file and folder."""

    files: dict[int, bytearray]
    folders: set[int]
    entries: dict[Name, int]
    waiting: list[Change] = field(default_factory=list)

    @classmethod
    def of(cls, recorder: Recorder) -> "Disk":
        files = {number: bytearray(data) for number, data in recorder.before.items() if data is not None}
        folders = {0, *(number for number, data in recorder.before.items() if data is None)}
        return cls(files, folders, dict(recorder.entries))

    def take(self, change: Change) -> None:
        """The next change of the program. A sync makes what waits of its file, or of its folder's names, sure."""
        if change.kind in ("sync", "sync folder"):
            for one in self.waiting:
                if self._concerns(one, change):
                    self.apply(one)
            self.waiting = [one for one in self.waiting if not self._concerns(one, change)]
        elif change.kind == "folder":
            self.folders.add(change.node)
            self.waiting.append(change)
        elif change.kind != "mark":
            self.waiting.append(change)

    def _concerns(self, one: Change, sync: Change) -> bool:
        if sync.kind == "sync":
            return one.kind in ("write", "truncate") and one.node == sync.node
        return any(entry[0] == sync.node for entry, _ in one.names)

    def apply(self, change: Change) -> None:
        if change.kind == "write":
            content = self.files.setdefault(change.node, bytearray())
            content.extend(bytes(max(0, change.offset - len(content))))  # a hole
            content[change.offset : change.offset + len(change.data)] = change.data
        elif change.kind == "truncate":
            content = self.files.setdefault(change.node, bytearray())
            del content[change.offset :]
        for entry, number in change.names:
            if number is None:
                self.entries.pop(entry, None)
            else:
                self.entries[entry] = number

    def after(self, left: Callable[[Change], Change | None]) -> "Disk":
        """The disk when the power fails now: of each change that waits there is what `left` makes of it."""
        found = deepcopy(self)
        for change in found.waiting:
            there = left(change)
            if there is not None:
                found.apply(there)
        found.waiting = []
        return found

    def tree(self) -> dict[str, bytes | None]:
        """Path below the root -> bytes; None of a folder."""
        found: dict[str, bytes | None] = {}

        def walk(folder: int, place: str) -> None:
            for (parent, name), number in sorted(self.entries.items()):
                if parent == folder:
                    found[f"{place}{name}"] = None if number in self.folders else bytes(self.files.get(number, b""))
                    if number in self.folders:
                        walk(number, f"{place}{name}/")

        walk(0, "")
        return found


def states(recorder: Recorder, random: Random, share: float) -> Iterator[tuple[int, dict[str, bytes | None]]]:
    """A share of the trees that power losses may leave, each one once, with the number of changes before it.

    Of what was not synced: nothing, all, names without bytes, names with half of the bytes or with zeros in their
    place, and a random part.
    """
    disk, seen = Disk.of(recorder), set()
    lefts: list[Callable[[Change], Change | None]] = [
        lambda one: None,
        lambda one: one,
        lambda one: None if one.data else one,
        lambda one: replace(one, data=one.data[: len(one.data) // 2]),
        lambda one: replace(one, data=bytes(len(one.data))),
        lambda one: one if random.random() < 0.5 else None,
    ]
    for number, change in enumerate(recorder.changes, 1):
        disk.take(change)
        for left in lefts:
            if random.random() > share:
                continue
            tree = disk.after(left).tree()
            key = hash(frozenset(tree.items()))
            if key not in seen:
                seen.add(key)
                yield number, tree


def lay_out(tree: dict[str, bytes | None], root: Path) -> None:
    """Write a tree below an empty folder."""
    for name, content in tree.items():
        if content is None:
            (root / name).mkdir(parents=True, exist_ok=True)
        else:
            (root / name).write_bytes(content)
