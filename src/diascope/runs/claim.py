"""A claim on a run folder: whichever command, process or machine wants to train a run, one of them does.

    with Claim(folder) as claim: ...    raises Taken while another worker is alive there

The claim is a file that its owner touches every few seconds. An owner is dead when its process is gone, which is seen
at once on the same machine, or when its file has not been touched for a minute, as told by the clock of the file
system itself. An owner that finds its claim taken over (its machine slept, say) has `lost` it and must stop writing.
"""

import json
import os
import socket
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from time import time
from types import TracebackType
from typing import Self
from uuid import uuid4

import psutil
from filelock import FileLock

from diascope.core.errors import RunError
from diascope.core.files import make_folder, write_atomic

HEARTBEAT = 5.0  # seconds
DEAD_AFTER = 60.0  # seconds without a heartbeat; only for owners on other machines


@dataclass(frozen=True)
class Owner:
    """Who holds a claim. `place` tells machines, containers and boots apart, `born` processes of the same number."""

    token: str
    place: str
    process: int
    born: float | None

    @classmethod
    def here(cls) -> Self:
        return cls(uuid4().hex, _place(), os.getpid(), _born(os.getpid()))


class Taken(Exception):  # noqa: N818  (no error: the run is in good hands)
    """Another worker trains this run."""


class Claim:
    """One worker's hold on one run folder, from entering the context to leaving it."""

    def __init__(self, folder: Path) -> None:
        self.lost = False
        self._folder, self._owner = folder, Owner.here()
        self._left = threading.Event()
        self._heart = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> Self:
        make_folder(self._folder)
        with _lock(self._folder):
            if is_claimed(self._folder):
                raise Taken(str(self._folder))
            write_atomic(_file(self._folder), json.dumps(asdict(self._owner)))
        self._heart.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.set()
        self._heart.join()
        with _lock(self._folder):
            if self._is_mine():
                _file(self._folder).unlink()

    def _beat(self) -> None:
        while not self._left.wait(HEARTBEAT):
            try:
                if not self._is_mine() and not self._left.wait(HEARTBEAT / 10) and not self._is_mine():
                    self.lost = True  # seen twice: a network disk may be late once
                    return
                os.utime(_file(self._folder))
            except OSError:
                continue  # a network disk that hiccups; gone for a minute, it lets others take over

    def _is_mine(self) -> bool:
        return _read(self._folder) == self._owner


def is_claimed(folder: Path) -> bool:
    """Whether a worker that is alive trains the run of this folder. Raises RunError for a claim that cannot be read."""
    try:
        owner = _read(folder)
    except OSError as error:  # a folder in its place, say
        where = str(_file(folder))
        raise RunError(f"cannot be read ({error.strerror})", where=where, remedy="remove it") from error
    if owner is None:
        return False
    if owner.place == _place():
        return _born(owner.process) == owner.born
    try:
        # A heartbeat from the future is of a time when that clock was ahead; a living owner would have set it right.
        return abs(_clock(folder) - _file(folder).stat().st_mtime) < DEAD_AFTER
    except FileNotFoundError:  # it was given back just now
        return False


def _clock(folder: Path) -> float:
    """The time that a file of this folder gets when it is touched now: machines that share it agree on that."""
    lock = folder / ".claim.lock"
    try:
        lock.touch()
        return lock.stat().st_mtime
    except OSError:  # a folder that may only be read
        return time()


def _read(folder: Path) -> Owner | None:
    """The owner that the claim names; None where there is no claim, or no readable one."""
    try:
        owner = Owner(**json.loads(_file(folder).read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return None
    readable = isinstance(owner.token, str) and isinstance(owner.place, str) and isinstance(owner.process, int)
    return owner if readable and owner.process >= 0 else None


def _file(folder: Path) -> Path:
    return folder / "claim.json"


def _lock(folder: Path) -> FileLock:
    """Held for a moment only, while a claim is looked at and changed."""
    return FileLock(folder / ".claim.lock")


def _place() -> str:
    """This boot of this machine, container and user: where a process number means something and can be looked up."""
    try:
        container = os.readlink("/proc/self/ns/pid")
    except OSError:
        container = ""
    return f"{socket.gethostname()} {psutil.boot_time():.0f} {container} {os.getuid() if hasattr(os, 'getuid') else ''}"


def _born(process: int) -> float | None:
    """When a process of this machine was started; None if it is gone, or dead and only not buried by its parent."""
    try:
        found = psutil.Process(process)
        return None if found.status() == psutil.STATUS_ZOMBIE else found.create_time()
    except psutil.NoSuchProcess:
        return None
