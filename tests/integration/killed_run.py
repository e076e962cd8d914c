"""Run a study in this process and kill the process, as `kill -9` does, at a chosen moment.

Usage: python -m tests.integration.killed_run HOME FILE STAGE PROGRESS
The process dies when STAGE reports its PROGRESS-th step; a PROGRESS of 0 is the moment the stage begins.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from runner.pipeline import run, submit
from runner.settings import Home
from runner.store import open_repository
from runner.study import load_study


class Killer:
    """A reporter that ends the process without a word."""

    def __init__(self, stage: str, progress: int) -> None:
        self._stage, self._progress = stage, progress
        self._current = ""
        self._seen = 0

    def stage(self, name: str, position: int, total: int) -> None:
        self._current, self._seen = name, 0
        self._maybe()

    def progress(self, done: int, total: int, detail: str) -> None:
        self._seen += 1
        self._maybe()

    def note(self, message: str) -> None:
        pass

    def _maybe(self) -> None:
        if self._current == self._stage and self._seen == self._progress:
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> None:
    home, file, stage, progress = sys.argv[1:]
    with open_repository(Home(Path(home)).database) as repository:
        reporter = Killer(stage, int(progress))
        study = submit(load_study(Path(file)), repository, Home(Path(home)), reporter)
        run(study, repository, Home(Path(home)), reporter)


if __name__ == "__main__":
    main()
