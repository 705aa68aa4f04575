"""Offline W&B runs are uploaded once, and failures are said: the real W&B client against a local server."""

import gzip
import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from prnn_md.app.ledger import Ledger
from prnn_md.app.main import main
from prnn_md.app.wandb_log import wandb_log

CONFIG = {"seed": 3, "seeds": {"data": 1}, "label": "GRU", "model": {"kind": "gru"}, "dataset": {"path": "mine"}}
CURVE = [0.5, 0.25, 0.125]


class Service(BaseHTTPRequestHandler):
    """As much of W&B as an upload needs; `server.received` keeps what came, `server.refuses` the answer to all."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        text = self._content().decode(errors="replace")
        self.server.received.append((self.path, text))
        if self.server.refuses:
            self._answer({"errors": [{"message": self.server.refuses}]}, 401)
        elif self.path == "/graphql":
            query = json.loads(text)
            self._answer({"data": self._data(query["query"], query.get("variables") or {})})
        else:
            self._answer({})

    do_PUT = do_GET = do_POST

    def _data(self, query: str, given: dict[str, Any]) -> dict[str, Any]:
        if "upsertBucket" in query:
            project = {"id": "2", "name": "prnn_md", "entity": {"id": "3", "name": "me"}}
            bucket = {"id": "1", "name": given["name"], "displayName": "run", "config": "{}", "project": project}
            return {"upsertBucket": {"bucket": {**bucket, "historyLineCount": 0}, "inserted": True}}
        if "createRunFiles" in query:
            address = f"http://{self.headers['Host']}/upload/"
            files = [{"name": name, "uploadUrl": address + name} for name in given["files"]]
            return {"createRunFiles": {"runID": "1", "uploadHeaders": [], "files": files}}
        return {}

    def _content(self) -> bytes:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        return gzip.decompress(content) if self.headers.get("Content-Encoding") == "gzip" else content

    def _answer(self, value: dict[str, Any], status: int = 200) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Nothing on standard error."""


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Service)
        self.received: list[tuple[str, str]] = []
        self.refuses = ""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def no_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")  # is for training, and must not keep an upload from happening
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))


@pytest.fixture(scope="module")
def offline_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs") / "run"
    with pytest.MonkeyPatch.context() as patch, Ledger(folder, CONFIG):
        patch.setenv("WANDB_MODE", "offline")
        (log,) = wandb_log(folder, CONFIG, None)
        for epoch, error in enumerate(CURVE):
            log.log_metrics({"epoch": epoch, "valid/error": error})
        log.close(failed=False)
    return folder


@pytest.fixture
def place(offline_run: Path, tmp_path: Path) -> Path:
    """A finished run, and one that is going on, each with an offline W&B run in it."""
    for name in ("done", "going"):
        shutil.copytree(offline_run, tmp_path / "outputs" / name, symlinks=True)
    file = tmp_path / "outputs" / "going" / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "running"}))
    return tmp_path / "outputs"


def test_what_would_be_uploaded_is_listed(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sync", str(place), "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "2 offline runs: 0 uploaded before, 1 going on.",
        f"would upload: {place / 'done'}",
    ]


def test_runs_are_uploaded_once(place: Path, service: Server, capsys: pytest.CaptureFixture) -> None:
    assert main(["sync", str(place)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [f"uploaded: {place / 'done'}", "1 of 1 uploaded."]
    sent = [json.loads(text) for path, text in service.received if path.endswith("/file_stream")]
    files = [part.get("files", {}) for part in sent]  # a part may only say that the run is complete
    history = [line for part in files for line in part.get("wandb-history.jsonl", {}).get("content", [])]
    assert [json.loads(line)["valid/error"] for line in history] == CURVE
    bucket = next(json.loads(text)["variables"] for path, text in service.received if "upsertBucket" in text)
    assert (bucket["groupName"], bucket["jobType"], bucket["tags"]) == ("run", "train", ["gru", "mine"])
    before = len(service.received)
    assert main(["sync", str(place)]) == 0
    assert capsys.readouterr().out.splitlines() == ["2 offline runs: 1 uploaded before, 1 going on."]
    assert len(service.received) == before
    assert not (Path.cwd() / "wandb").exists()


def test_a_refusal_is_reported_with_its_reason(place: Path, service: Server, capsys: pytest.CaptureFixture) -> None:
    service.refuses = "the key has expired"
    assert main(["sync", str(place)]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1:] == [f"not uploaded: {place / 'done'}", "0 of 1 uploaded."]
    assert "W&B says: ERROR the key has expired" in shown.err
    service.refuses = ""
    assert main(["sync", str(place)]) == 0


def test_without_a_key_nothing_is_tried(place: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sync", str(place)]) == 1
    shown = capsys.readouterr()
    assert shown.err == (
        "error: There is no key for W&B: set WANDB_API_KEY, or run `wandb login`, and repeat the command.\n"
    )
    assert "uploaded:" not in shown.out


def test_a_service_that_is_not_there_is_named(
    place: Path, service: Server, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")
    assert main(["sync", str(place)]) == 1
    assert "error: W&B does not answer at http://127.0.0.1:9 (" in capsys.readouterr().err


def test_nothing_to_upload_needs_no_key(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["sync", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "0 offline runs: 0 uploaded before, 0 going on.\n"
