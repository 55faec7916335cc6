"""Weights from a hub: fetched once, found again offline, and told in seconds where they cannot be had."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save

from diascope.core.errors import ConfigError
from diascope.models import hub
from diascope.models.backbone import load_backbone, weights_file
from diascope.models.hub import FILES, fetch

COMMIT = "a" * 40
SAFE, TORCH = FILES


class Hub(ThreadingHTTPServer):
    """A hub on this machine: what it has by path, and how it misbehaves."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.cut = 0  # so many bytes at the end are not sent
        self.silent = False
        self.code = "EntryNotFound"
        self.asked: list[str] = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def add(self, repository: str, name: str, content: bytes, revision: str = "main") -> None:
        self.files[f"/{repository}/resolve/{revision}/{name}"] = content


class Answer(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self.answer(cut=0)

    def do_GET(self) -> None:
        content = self.answer(cut=self.server.cut)
        self.wfile.write(content)

    def answer(self, cut: int) -> bytes:
        self.server.asked.append(f"{self.command} {self.path}")
        while self.server.silent:
            time.sleep(0.05)
        content = self.server.files.get(self.path)
        self.send_response(200 if content is not None else 404)
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", '"0123"')
        if content is None and self.server.code:
            self.send_header("X-Error-Code", self.server.code)
        content = (content or b"")[: len(content or b"") - cut]
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub.utils import _detect_agent

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # Else it asks the real hub, once a day, which tools there are that may be running it.
    monkeypatch.setattr(_detect_agent, "_registry", {"standardEnvVars": [], "harnesses": {}})
    with Hub() as running:
        threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
        yield running
        running.silent = False
        running.shutdown()


def get(server: Hub, tmp_path: Path, hub_id: str = "timm/net") -> Path:
    return fetch(hub_id, FILES, endpoint=server.url, cache=tmp_path)


def refused(server: Hub, tmp_path: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        get(server, tmp_path)
    error = caught.value
    assert error.where == "model.weights: hub"
    assert error.remedy == (
        "bring the file model.safetensors from https://huggingface.co/timm/net and set model.weights to its path"
    )
    assert "could not fetch model.safetensors or pytorch_model.bin of timm/net (" in error.what
    return error


def test_a_file_is_fetched_once(server, tmp_path):
    server.add("timm/net", SAFE, b"weights")
    server.add("timm/net", TORCH, b"others")
    assert get(server, tmp_path).read_bytes() == b"weights"
    asked = len(server.asked)
    assert get(server, tmp_path).read_bytes() == b"weights"
    assert len(server.asked) == asked


def test_what_was_fetched_is_found_without_a_network(server, tmp_path):
    server.add("timm/net", TORCH, b"weights")
    file = get(server, tmp_path)
    assert file.name == TORCH
    assert fetch("timm/net", FILES, endpoint="http://127.0.0.1:1", cache=tmp_path) == file


def test_the_other_file_is_taken_where_the_first_is_not_there_whether_the_server_says_why_or_not(server, tmp_path):
    server.add("timm/net", TORCH, b"weights")
    server.code = ""
    assert get(server, tmp_path).read_bytes() == b"weights"


def test_a_revision_is_asked_for(server, tmp_path):
    server.add("timm/net", SAFE, b"new")
    server.add("timm/net", SAFE, b"old", revision="v1")
    assert get(server, tmp_path, "timm/net@v1").read_bytes() == b"old"


@pytest.mark.parametrize("code", ["EntryNotFound", "RepoNotFound", ""])
def test_what_is_not_there_is_told(server, tmp_path, code):
    server.code = code
    assert "404" in refused(server, tmp_path).what


def test_a_refused_connection_is_told_at_once(server, tmp_path):
    server.url = "http://127.0.0.1:1"
    began = time.monotonic()
    assert "refused" in refused(server, tmp_path).what
    assert time.monotonic() - began < 2


def test_a_server_that_says_nothing_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(hub, "PATIENCE", 0.2)
    server.silent = True
    began = time.monotonic()
    assert "timed out" in refused(server, tmp_path).what
    assert time.monotonic() - began < 2


def test_a_truncated_file_is_told_and_not_kept(server, tmp_path):
    server.add("timm/net", SAFE, b"weights" * 100)
    server.cut = 10
    assert "should be of size 700 but has size 690" in refused(server, tmp_path).what
    server.cut = 0
    assert get(server, tmp_path).read_bytes() == b"weights" * 100


def test_a_cache_that_cannot_be_written_is_told(server, tmp_path):
    server.add("timm/net", SAFE, b"weights")
    (tmp_path / "taken").write_bytes(b"")
    refused(server, tmp_path / "taken")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("convnextv2_small", "set model.weights to a file of your own or to random"),
        ("legacy_seresnet18", "fetch https://.*seresnet18.*.pth and set model.weights to its path"),
    ],
)
def test_networks_whose_weights_are_not_on_the_hub_are_told(name, remedy):
    with pytest.raises(ConfigError, match=f"no weights for {name}; {remedy}"):
        weights_file(name, "hub")


def test_weights_come_from_timm_s_hub_and_are_loaded(server, tmp_path, monkeypatch, capfd):
    from huggingface_hub import constants

    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TQDM_POSITION", "-1")  # bars of progress are drawn though nobody sees them
    state = timm.create_model("test_resnet").state_dict()
    server.add("timm/test_resnet.r160_in1k", SAFE, save(state))
    for name in ("test_resnet", "test_resnet.r160_in1k"):
        file = weights_file(name, "hub")
        assert file is not None
        assert file.is_relative_to(tmp_path)
        network = load_backbone(name, file, channels=3, image_size=(64, 64), seed=0)
        assert torch.equal(network.get_submodule("conv1.0").weight, state["conv1.0.weight"])
    assert capfd.readouterr() == ("", "")
