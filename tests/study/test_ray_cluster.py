"""Ray on two nodes: the loss of one, workers that never touch the study folder, and what cannot work is said."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pretraining import TUNED, tasks_of

from diascope.core.errors import ConfigError, RunError
from diascope.engine import RunTask
from diascope.study.executors import EpochDone, Event, Failed, Finished, Interrupted
from diascope.study.executors.ray import RayExecutor, Resources, _fitting
from diascope.study.executors.serial import SerialExecutor
from diascope.study.sharing import share

os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
ray = pytest.importorskip("ray")
MakeTask = Callable[..., RunTask]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Any]:
    """Two nodes of one CPU; what their workers open below tmp_path is written to a log beside it."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    cluster.second = cluster.add_node(num_cpus=1)
    hook = {"worker_process_setup_hook": watcher(str(tmp_path), str(log_of(tmp_path)))}
    ray.init(address=cluster.address, runtime_env=hook, log_to_driver=False, logging_level="ERROR")
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def log_of(folder: Path) -> Path:
    return folder.parent / f"opened-{folder.name}.txt"


def watcher(folder: str, log: str) -> Callable[[], None]:
    """A function that makes a process write down every file below `folder` that it opens, lists, moves or removes."""

    def watch() -> None:
        import sys

        def saw(event: str, arguments: tuple[object, ...]) -> None:
            if event == "open" or event.startswith("os."):
                for path in map(str, arguments[:2]):
                    if path.startswith(folder):
                        with open(log, "a") as file:
                            file.write(f"{event} {path}\n")

        sys.addaudithook(saw)

    return watch


LISTENING = """
import psutil
from diascope.study.executors.ray import _cluster
with _cluster(None):
    import ray
    from ray._raylet import AuthenticationMode, get_authentication_mode
    @ray.remote
    def work():
        return 3
    assert ray.get(work.remote()) == 3
    assert get_authentication_mode() == AuthenticationMode.TOKEN
    this = psutil.Process()
    found = [socket for one in (this, *this.children(recursive=True)) for socket in one.net_connections("inet")]
    print(*{socket.laddr.ip for socket in found if socket.status == psutil.CONN_LISTEN})
"""


def test_a_cluster_of_our_own_listens_on_this_machine_alone_and_asks_for_a_token() -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-c", LISTENING], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    assert done.stdout.split()


def test_a_node_is_lost_midway_and_its_run_goes_on_elsewhere(cluster: Any, make_task: MakeTask, tmp_path: Path) -> None:
    tasks = [make_task("a", "training.epochs=40", seed=seed) for seed in range(3)]
    events: list[Event] = []
    for event in RayExecutor(2, "cpu")(tasks):
        events.append(event)
        trained = {event.task.name for event in events if isinstance(event, EpochDone)}
        if len(trained) == 2 and cluster.second is not None:  # one on each node
            cluster.remove_node(cluster.second, allow_graceful=False)
            cluster.second = None
    assert {event.task.name for event in events if isinstance(event, Finished)} == {task.name for task in tasks}
    assert not [event for event in events if isinstance(event, Failed)]
    (interrupted,) = [event for event in events if isinstance(event, Interrupted)]
    assert "gone" in interrupted.problem
    for task in tasks:
        whole = make_task("a", "training.epochs=40", seed=task.config.seed, folder="whole")
        list(SerialExecutor("cpu")([whole]))
        for name in ("last.safetensors", "best.safetensors", "predictions.csv"):
            assert (task.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    assert not log_of(tmp_path).exists(), "a worker touched the folder of the study"

    @ray.remote
    def peek() -> list[str]:
        return os.listdir(tmp_path)

    assert "pixels.npy" in ray.get(peek.remote())
    assert "os.listdir" in log_of(tmp_path).read_text(), "the log would have told"


def test_features_and_the_weights_to_begin_with_are_shipped(cluster: Any, tmp_path: Path) -> None:
    arms = f"{{head: {{}}, tuned: {TUNED}}}"
    tasks, alone = tasks_of(tmp_path, arms), tasks_of(tmp_path.parent / f"{tmp_path.name}-alone", arms)
    events = list(share(RayExecutor(2, "cpu"), tasks))
    assert len([event for event in events if isinstance(event, Finished)]) == 2
    list(share(SerialExecutor("cpu"), alone))
    for task, other in zip(tasks, alone, strict=True):
        for name in ("last.safetensors", "best.safetensors", "predictions.csv"):
            assert (task.folder / name).read_bytes() == (other.folder / name).read_bytes()
    assert not log_of(tmp_path).exists(), "a worker touched the folder of the study"


def test_more_than_the_cluster_has_is_refused(cluster: Any, make_task: MakeTask) -> None:
    with pytest.raises(RunError, match=r"has 2 CPUs and 0 GPUs, and a run asks for 1 CPUs and 0.5 GPUs of"):
        list(RayExecutor(2, "auto", Resources(gpus=0.5))([make_task()]))
    with pytest.raises(RunError, match=r"has 2 CPUs and 0 GPUs, and a run asks for 2 CPUs"):  # on two nodes
        list(RayExecutor(2, "auto", Resources(cpus=2))([make_task()]))


@pytest.mark.parametrize(
    ("has", "asked", "room"),
    [
        ({"CPU": 8}, {"CPU": 3, "GPU": 0}, 2),
        ({"CPU": 8, "GPU": 3}, {"CPU": 1, "GPU": 0.4}, 6),
        ({"CPU": 2, "GPU": 4}, {"CPU": 1, "GPU": 1}, 2),
        ({"CPU": 8, "GPU": 3}, {"CPU": 1, "GPU": 2}, 1),
        ({"CPU": 8}, {"CPU": 1, "GPU": 0.1}, 0),
    ],
)
def test_how_many_runs_fit_a_node(has: dict[str, float], asked: dict[str, float], room: int) -> None:
    assert _fitting(has, asked) == room


def test_no_cluster_at_the_address_is_said(make_task: MakeTask) -> None:
    for address in ("127.0.0.1:1", "here:there"):
        with pytest.raises(RunError, match=rf"--address {address}: no Ray cluster answers .*ray start --head"):
            list(RayExecutor(1, "cpu", Resources(address=address))([make_task()]))


def test_ray_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diascope.study.executors.ray.find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"Ray is not installed; pip install 'diascope\[ray\]'"):
        RayExecutor(1)
