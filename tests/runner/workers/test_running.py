"""A worker as a process: it ends when it is asked to, and with the server that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("way", ["the server is gone", "SIGTERM"])
def test_it_ends_in_good_order(tmp_path: Path, way: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "runner.workers", "--home", str(tmp_path / "home")],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: value for name, value in os.environ.items() if name != "SUPERNAUT_DATABASE_URL"},
        text=True,
    )
    assert process.stderr is not None
    assert process.stdin is not None
    assert process.stderr.readline().startswith("worker ")
    if way == "SIGTERM":
        process.send_signal(signal.SIGTERM)
    else:
        process.stdin.close()
        process.stdin = None
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 0
    assert rest.endswith("worker stopped\n")
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
