"""Runs on a Ray cluster, on this machine or on many, without a shared file system.

The driver, which is this process, ships the decoded images through Ray's object store once. A worker trains in a
temporary folder of its own and sends back what happens and, now and then, the files of its run; only the driver writes
into the study folder. So a run whose worker or node is lost goes on elsewhere from the last files that it sent.
"""

import os
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import floor, inf
from pathlib import Path
from secrets import token_hex
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diascope.core.errors import ConfigError, DiascopeError, RunError
from diascope.engine import RunTask, open_pixels
from diascope.engine.task import arrays_of
from diascope.features import FeatureSource, open_features
from diascope.runs.claim import Claim, Taken
from diascope.runs.folder import RunFolder
from diascope.study.executors import Elsewhere, Event, Failed, Finished, Interrupted, once_more
from diascope.study.executors.feed import Feed, Queue
from diascope.study.executors.ray_worker import Message, files_of, place, train_there
from diascope.study.executors.worker import ended_already, record_failure

if TYPE_CHECKING:
    from ray import ObjectRef, ObjectRefGenerator

REACH_SECONDS = 10.0  # for a cluster to answer
PATIENCE_SECONDS = 300.0  # for a cluster that lost all its nodes to get new ones
WAIT_SECONDS = 1.0  # between two looks at whether a claim was lost


@dataclass(frozen=True)
class Resources:
    """Which cluster, and what one run gets of it.

    `address` is that of a cluster that this machine is part of (auto, HOST:PORT), None asks for one on it alone; `cpus`
    None means as many as a run has threads; `gpus` may be a fraction.
    """

    address: str | None = None
    cpus: float | None = None
    gpus: float = 0


class RayExecutor:
    """Runs as many tasks at a time as the cluster has room for, and at most `jobs`."""

    def __init__(self, jobs: int | None = None, device: str = "auto", resources: Resources = Resources()) -> None:
        """Raises ConfigError where Ray is not installed."""
        if find_spec("ray") is None:
            raise ConfigError("Ray is not installed", where="--executor ray", remedy="pip install 'diascope[ray]'")
        self._jobs, self._resources = jobs, resources
        self._device = device if device != "auto" else "cuda" if resources.gpus else "cpu"

    def __call__(self, tasks: Sequence[RunTask] | Feed) -> Iterator[Event]:
        queue = Queue(tasks)
        if queue.peek() is None:
            return
        with (
            _cluster(self._resources.address),
            closing(_Driver(self._resources, self._device, self._jobs or inf).run(queue)) as events,  # type: ignore[type-var]
        ):
            yield from events


class _Driver:
    """The tasks that wait and those in flight, each with its claim and its stream of messages."""

    def __init__(self, resources: Resources, device: str, jobs: float) -> None:
        self._resources, self._device, self._jobs = resources, device, jobs
        self._flights: dict[ObjectRefGenerator, _Flight] = {}
        self._arrays: dict[str, ObjectRef[Any]] = {}
        self._alone_since: float | None = None  # when something last flew

    def run(self, queue: Queue) -> Iterator[Event]:
        import ray

        losses = Counter[str]()
        try:
            while True:
                yield from self._launch_what_fits(queue)
                if not self._flights:
                    if (waiting := queue.peek()) is None:
                        return
                    self._wait_for_room(waiting)
                    continue
                self._alone_since = monotonic()
                ready, _ = ray.wait(list(self._flights), num_returns=1, timeout=WAIT_SECONDS, fetch_local=False)
                lost = [stream for stream, flight in self._flights.items() if flight.claim.lost]
                for stream in dict.fromkeys([*ready, *lost]):
                    event = self._next(stream)
                    if isinstance(event, Interrupted):
                        event = once_more(event, losses, queue)
                    if event is not None:
                        yield event
        finally:
            for stream in list(self._flights):
                self._call_off(stream)

    def _launch_what_fits(self, queue: Queue) -> Iterator[Event]:
        while len(self._flights) < self._jobs and (task := queue.peek()) and len(self._flights) < self._room(task):
            queue.take()
            yield from self._launch(task)

    def _room(self, task: RunTask) -> int:
        """How many runs fit the nodes of the cluster as they are now; a run does not spread over nodes."""
        import ray

        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        return sum(_fitting(node["Resources"], self._asked(task)) for node in nodes if node["Alive"])

    def _wait_for_room(self, waiting: RunTask) -> None:
        """Nothing flies. A cluster that never had room for a run is refused; one that lost its nodes gets a while."""
        import ray

        if self._room(waiting):
            return
        if self._alone_since is not None and monotonic() - self._alone_since < PATIENCE_SECONDS:
            sleep(WAIT_SECONDS)
            return
        there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        asked = self._asked(waiting)
        has = " and ".join(f"{there.get(name, 0):g} {name}s" for name in asked)
        wanted = " and ".join(f"{amount:g} {name}s" for name, amount in asked.items())
        remedy = "lower --cpus-per-run or --gpus-per-run, or add nodes"
        raise RunError(f"has {has}, and a run asks for {wanted} of one node", where="the Ray cluster", remedy=remedy)

    def _asked(self, task: RunTask) -> dict[str, float]:
        return {"CPU": self._cpus(task), "GPU": self._resources.gpus}

    def _cpus(self, task: RunTask) -> float:
        return self._resources.cpus or task.config.training.threads

    def _launch(self, task: RunTask) -> Iterator[Event]:
        """Claim the run and send it off; tells only of a run that cannot be."""

        with ExitStack() as held:
            try:
                claim = held.enter_context(Claim(task.folder))
                if already := ended_already(task):
                    yield already
                    return
                stream = self._send(task)
            except Taken:
                yield Elsewhere(task)
                return
            except (DiascopeError, OSError) as error:
                yield Failed(task, record_failure(task, error))
                return
            self._flights[stream] = _Flight(task, claim)
            held.pop_all()

    def _send(self, task: RunTask) -> "ObjectRefGenerator":
        import ray

        arrays = {name: self._shipped(source) for name, source in arrays_of(task.data).items()}
        data = replace(task.data, **dict.fromkeys(arrays, Path()))  # type: ignore[arg-type]
        there = replace(task, folder=Path(task.folder.name), data=data)
        remote = ray.remote(max_retries=0, num_cpus=self._cpus(task), num_gpus=self._resources.gpus)(train_there)
        start = RunFolder(task.start).best.read_bytes() if task.start is not None else None
        stream: ObjectRefGenerator = remote.remote(there, files_of(task.folder), start, self._device, **arrays)
        return stream

    def _shipped(self, source: Path | FeatureSource | NDArray[Any]) -> "ObjectRef[Any]":
        """Images or features in the object store, each array once."""
        import ray

        key = str(id(source)) if isinstance(source, np.ndarray) else str(_file(source))
        if key not in self._arrays:
            array = open_features(source) if isinstance(source, FeatureSource) else open_pixels(source)
            self._arrays[key] = ray.put(np.asarray(array))
        return self._arrays[key]

    def _next(self, stream: "ObjectRefGenerator") -> Event | None:
        """The next event of a flight, its files put in place; None when a flight that told its end has landed."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        flight = self._flights[stream]
        if flight.claim.lost:
            self._call_off(stream)
            return Elsewhere(flight.task)
        try:
            message: Message = ray.get(next(stream))
        except StopIteration:
            self._land(stream)
            return None
        except RayTaskError as error:  # not the training itself, whose errors come as messages
            self._land(stream)
            return Failed(flight.task, record_failure(flight.task, RunError(f"its Ray worker failed: {error.cause!r}")))
        except RayError as error:
            self._land(stream)
            return Interrupted(flight.task, f"its Ray worker or node is gone ({type(error).__name__})")
        try:
            place(message.files, flight.task.folder)
        except OSError as error:
            self._call_off(stream)
            return Failed(flight.task, record_failure(flight.task, error))
        if message.kind in (Finished, Failed):
            self._land(stream)
        return message.event(flight.task)

    def _call_off(self, stream: "ObjectRefGenerator") -> None:
        import ray

        try:
            ray.cancel(stream, force=False)
        finally:
            self._land(stream)

    def _land(self, stream: "ObjectRefGenerator") -> None:
        """The flight is over; what it sent is in place."""
        self._flights.pop(stream).claim.__exit__(None, None, None)


def _file(source: Path | FeatureSource) -> Path:
    return source.file() if isinstance(source, FeatureSource) else source


def _fitting(has: dict[str, float], asked: dict[str, float]) -> int:
    """How many runs fit one node; a share of a GPU is of one device."""
    room = floor(has.get("CPU", 0) / asked["CPU"])
    if asked["GPU"]:
        gpus = has.get("GPU", 0)
        room = min(room, floor(gpus) * floor(1 / asked["GPU"]) if asked["GPU"] < 1 else floor(gpus / asked["GPU"]))
    return room


@dataclass(frozen=True)
class _Flight:
    task: RunTask
    claim: Claim


@contextmanager
def _cluster(address: str | None) -> Iterator[None]:
    """A connection to the cluster at the address, or a cluster on this machine; one that is there is left as it is."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent home
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None and "ray" not in sys.modules:
        _keep_to_this_machine()
    import ray

    if ray.is_initialized():
        yield
        return
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init("local", include_dashboard=False, **quiet)
        else:
            _check_reachable(address)
            ray.init(address=address, **quiet)
    except (OSError, RuntimeError, ValueError) as error:
        what = f"no Ray cluster answers ({str(error).splitlines()[0]})"
        remedy = "start one with `ray start --head`, give every machine the same token, or leave --address out"
        raise RunError(what, where=f"--address {address}", remedy=remedy) from error
    try:
        yield
    finally:
        ray.shutdown()


def _keep_to_this_machine() -> None:
    """Ray, which reads this when it is imported, would listen on all interfaces; and whoever reaches it runs programs.

    Its name for listening on 127.0.0.1 alone is that of the systems on which it does so by itself. The token, which is
    known to the processes of this cluster alone, also keeps other users of this machine out.
    """
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if "RAY_AUTH_MODE" not in os.environ:
        os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": token_hex(32)}


def _check_reachable(address: str) -> None:
    """Ray itself would try for many minutes."""
    host, _, port = address.rpartition(":")
    if host:
        socket.create_connection((host, int(port)), timeout=REACH_SECONDS).close()
