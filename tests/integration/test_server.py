"""`supernaut serve` as people use it: other processes submit, watch, look and export, with nothing set up."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from runner.settings import Home
from runner.store import open_repository
from tests.integration.studies import ROOT, UNTIMED, environment, supernaut, write

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "client.md").read_text(encoding="utf-8")
NOBODY = {"SUPERNAUT_SERVER": "", "SUPERNAUT_TOKEN": ""}
PATIENCE_S = 120.0  # of whoever waits here; nothing is measured with it


def until(found: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not found():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def start(home: Path, *arguments: str, stderr: int = subprocess.PIPE) -> subprocess.Popen[str]:
    """A verb in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "runner.cli.main", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        text=True,
        cwd=ROOT,
        env={**environment(home), **NOBODY},
    )


@contextmanager
def server(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A server that listens; where it still runs at the end, Ctrl-C ends it."""
    process = start(home, "serve", *arguments, stderr=subprocess.DEVNULL)
    try:
        until(lambda: written(home).get("pid") == process.pid or process.poll() is not None, "the server")
        assert process.poll() is None
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)


def written(home: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((home / "server.json").read_text()))
    except FileNotFoundError:
        return {}


@contextmanager
def hearing(process: subprocess.Popen[str]) -> Iterator[list[str]]:
    """The lines on a process's standard error, as they come; ends it where it is still there at the end."""
    lines: list[str] = []

    def follow() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)  # noqa: PERF402  (one by one: others read the list meanwhile)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield lines
    finally:
        process.kill()
        process.wait()
        thread.join()
        assert process.stderr is not None
        process.stderr.close()


def test_a_study_from_submission_to_exported_files(tmp_path: Path) -> None:
    """What docs/client.md says in Python, then the same study through the verbs, here and from elsewhere."""
    home, desk = tmp_path / "home", tmp_path / "desk"
    desk.mkdir()
    (desk / "study.yaml").write_text(yaml.safe_dump({**UNTIMED, "name": "digits"}))
    with server(home, "--port", "0"):
        code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, flags=re.S))
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            capture_output=True,
            text=True,
            cwd=desk,
            env={**environment(home), **NOBODY, "PYTHONPATH": str(ROOT)},
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for words in ("complete 18", "error_provenance", "model.onnx", "stage.state", "no-such-study"):
            assert words in done.stdout
        assert supernaut(home, "verify", str(desk / "model"), "--no-latency").returncode == 0

        watched = supernaut(home, "watch", "digits", **NOBODY)
        assert watched.returncode == 0
        front = supernaut(home, "front", "digits", **NOBODY)
        assert front.stdout in watched.stdout

        rows = json.loads(supernaut(home, "front", "digits", "-o", "json").stdout)
        knee = next(row["architecture"] for row in rows if row["knee"])
        elsewhere = {
            "SUPERNAUT_SERVER": written(home)["url"],
            "SUPERNAUT_TOKEN": (home / "token").read_text().strip(),
        }
        exported = supernaut(tmp_path / "none", "export", "digits", knee[:8], "--to", str(desk / "mine"), **elsewhere)
        assert exported.returncode == 0, exported.stderr
        manifest = json.loads((desk / "mine" / "manifest.json").read_text())
        assert manifest["architecture"]["digest"] == knee
        again = supernaut(tmp_path / "none", "front", "digits", "-o", "json", **elsewhere)
        assert json.loads(again.stdout) == rows
        assert not (tmp_path / "none").exists()
    assert written(home) == {}
    assert supernaut(home, "watch", "digits", **NOBODY).returncode == 5


def test_watching_survives_a_server_that_is_killed(tmp_path: Path) -> None:
    home, file = tmp_path / "home", write(tmp_path / "s.json", UNTIMED)
    with server(home, "--port", "0", "--no-worker") as process:
        port = written(home)["url"].rpartition(":")[2]
        watching = start(home, "submit", str(file), "--watch")
        with hearing(watching) as heard:
            until(lambda: said(heard, "watching untimed"), "the watcher")
            process.kill()
            process.wait()
            until(lambda: said(heard, "trying again"), "the watcher to notice")
            gone = supernaut(home, "cancel", "untimed", **NOBODY)
            assert (gone.returncode, "supernaut serve" in gone.stderr) == (5, True)
            with server(home, "--port", port, "--no-worker"):
                until(lambda: said(heard, "answers again"), "the watcher to come back")
                assert supernaut(home, "cancel", "untimed", **NOBODY).returncode == 0
                assert watching.wait(PATIENCE_S) == 130
    assert said(heard, "resume untimed")


def said(heard: list[str], words: str) -> bool:
    return any(words in line for line in heard)


def test_ctrl_c_leaves_a_watched_study_to_itself(tmp_path: Path) -> None:
    """Watched in a terminal, which shows a live line."""
    home, file = tmp_path / "home", write(tmp_path / "s.json", UNTIMED)
    with server(home, "--port", "0", "--no-worker"):
        assert supernaut(home, "submit", str(file), **NOBODY).returncode == 0
        ours, theirs = pty.openpty()
        watching = start(home, "watch", "untimed", stderr=theirs)
        os.close(theirs)
        shown = b""
        while b"watching untimed" not in shown:
            shown += os.read(ours, 1024)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(PATIENCE_S) == 130
        while b"goes on without you" not in shown:
            shown += os.read(ours, 1024)
        os.close(ours)
        with open_repository(Home(home).database) as repository:
            study = repository.study("untimed")
        assert (study.state, study.desired_state) == ("created", "running")
