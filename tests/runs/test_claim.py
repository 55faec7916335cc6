"""One live owner a run folder; the dead are told from the living."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from time import sleep, time

import pytest

from diascope.core.errors import RunError
from diascope.runs import claim
from diascope.runs.claim import Claim, Taken, is_claimed

HOLD = "import sys, time; from pathlib import Path; from diascope.runs.claim import Claim\n"
HOLD += "with Claim(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claim, "HEARTBEAT", 0.02)


def owner_of(folder: Path) -> dict[str, object]:
    found = json.loads((folder / "claim.json").read_text())
    assert isinstance(found, dict)
    return found


def pretend(folder: Path, *, age: float = 0, **changed: object) -> None:
    """Another owner's claim, its last heartbeat `age` seconds ago."""
    with Claim(folder):
        found = owner_of(folder)
    file = folder / "claim.json"
    file.write_text(json.dumps({**found, "token": "other", **changed}))
    os.utime(file, (time() - age, time() - age))


def test_a_claim_is_held_once_and_given_back(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "run"
    assert not is_claimed(folder)
    with Claim(folder):
        assert is_claimed(folder)
        with pytest.raises(Taken), Claim(folder):
            pass
        assert is_claimed(folder)
    assert not is_claimed(folder)
    with Claim(folder):
        pass


def test_a_claim_is_given_back_when_its_owner_raises(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Claim(tmp_path):
        raise KeyError
    assert not is_claimed(tmp_path)


def test_the_claim_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert is_claimed(tmp_path)
        process.kill()
        while is_claimed(tmp_path):  # before and after its parent has taken note
            sleep(0.01)
    with Claim(tmp_path):
        assert owner_of(tmp_path)["process"] == os.getpid()


def test_a_process_with_the_number_of_a_dead_one_is_not_its_heir(tmp_path: Path) -> None:
    pretend(tmp_path, born=1.0)
    assert not is_claimed(tmp_path)


def test_an_owner_on_another_machine_is_judged_by_its_heartbeat(tmp_path: Path) -> None:
    pretend(tmp_path, place="elsewhere", age=claim.DEAD_AFTER / 2)
    assert is_claimed(tmp_path)
    with pytest.raises(Taken), Claim(tmp_path):
        pass
    pretend_again = tmp_path / "late"
    pretend(pretend_again, place="elsewhere", age=claim.DEAD_AFTER + 5)
    assert not is_claimed(pretend_again)
    with Claim(pretend_again):
        assert owner_of(pretend_again)["process"] == os.getpid()


def test_an_owner_that_is_alive_here_keeps_its_claim_however_late_its_heartbeat(tmp_path: Path) -> None:
    """A suspended machine wakes with every heartbeat late."""
    with Claim(tmp_path):
        os.utime(tmp_path / "claim.json", (0, 0))
        assert is_claimed(tmp_path)


@pytest.mark.usefixtures("quick")
def test_the_heart_beats(tmp_path: Path) -> None:
    with Claim(tmp_path):
        os.utime(tmp_path / "claim.json", (0, 0))
        while (tmp_path / "claim.json").stat().st_mtime == 0:
            sleep(0.01)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("gone", [True, False])
def test_an_owner_notices_that_it_lost_its_claim_and_leaves_the_new_one_alone(tmp_path: Path, gone: bool) -> None:
    file = tmp_path / "claim.json"
    with Claim(tmp_path) as mine:
        if gone:
            file.unlink()
        else:
            file.write_text(json.dumps({**owner_of(tmp_path), "token": "other"}))
        while not mine.lost:
            sleep(0.01)
    assert file.exists() == (not gone)


def test_of_many_at_once_one_gets_a_dead_owners_claim(tmp_path: Path) -> None:
    pretend(tmp_path, born=1.0)
    holders, start, leave = [], threading.Barrier(8), threading.Event()

    def take() -> None:
        start.wait()
        try:
            with Claim(tmp_path):
                holders.append(threading.get_ident())
                leave.wait()
        except Taken:
            pass

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    while sum(thread.is_alive() for thread in threads) > 1:
        sleep(0.01)
    leave.set()
    for thread in threads:
        thread.join()
    assert len(holders) == 1


@pytest.mark.parametrize(
    "junk",
    ["", "null", "[]", "{}", "[1, 2, 3, 4]", "{", '{"token": 1}', "[" * 100_000, "\x00", "\udcff", '"a"']
    + [
        json.dumps({"token": "other", "place": "", "process": process, "born": born})
        for process, born in ((-1, 1), (10**30, 1), ("x", 1), (None, None), (1.5, "x"), ([], {}), (True, 0))
    ],
)
def test_a_claim_that_says_nothing_is_no_claim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, junk: str) -> None:
    (tmp_path / "claim.json").write_bytes(junk.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(claim, "_place", lambda: "")  # that of the owners above: its processes are looked up
    assert not is_claimed(tmp_path)
    with Claim(tmp_path):
        assert is_claimed(tmp_path)


def test_a_folder_where_the_claim_belongs_is_named_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "claim.json").mkdir()
    for ask in (is_claimed, lambda folder: Claim(folder).__enter__()):
        with pytest.raises(RunError, match=r"claim.json: cannot be read \(Is a directory\); remove it"):
            ask(tmp_path)


def test_a_heartbeat_from_the_future_keeps_nobody_out(tmp_path: Path) -> None:
    """The clock of the file system was a day ahead, and is right again: a living owner would have touched its claim."""
    pretend(tmp_path, place="elsewhere", age=-86_400)
    assert not is_claimed(tmp_path)
    pretend(tmp_path, place="elsewhere", age=-30)
    assert is_claimed(tmp_path)
