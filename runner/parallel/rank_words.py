"""What the ranks of a training and their driver say to each other, and how a rank trains while it does so.

They talk through files of one folder, which all of them see as they see the checkpoints: each rank writes lines of its
own, the driver a request to stop.  So it does not matter who starts the ranks, and nothing waits for anyone.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import runner.errors
import supernet.errors
from runner.errors import RunnerError, StudyFailed, exit_code
from runner.parallel.folder_lock import alone
from supernet.errors import RankFailed, SupernetError
from supernet.training.collapse import Rollback
from supernet.training.loop import HealthPoint, Stopped, Watcher
from supernet.training.reducer import Reducer

TrainRank = Callable[[Reducer, Watcher], None]
"""Trains as one rank of several, from the newest checkpoint to the end.  It is sent to other processes."""

PROGRESS_SECONDS = 0.2  # between two words of progress
LOCK_SECONDS = 120.0  # how long rank 0 waits for that of an earlier group to let go of the checkpoints
_STOP = "stop"


def run_rank(train: TrainRank, reducer: Reducer, *, folder: Path, scratch: Path) -> None:
    """Train as one rank, and tell the driver what becomes of it.

    `folder` is that of the checkpoints, `scratch` that of the words.  What a person can act on is told and ends the
    training; anything else is only raised: another group of processes may have more luck.
    """
    say = _Say(scratch / f"rank-{reducer.rank}")
    try:
        if reducer.rank == 0:
            with alone(folder, LOCK_SECONDS):
                train(reducer, _watcher(say, scratch))
        else:
            train(reducer, _watcher(say, scratch))
    except Stopped as stopped:
        say("stopped", message=str(stopped))
    except RankFailed:  # whose failure it was tells the reason
        raise
    except Exception as error:
        if exit_code(error) is not None:
            say("failed", error=type(error).__name__, message=str(error))
        raise
    else:
        say("finished")


def ask_to_stop(scratch: Path) -> None:
    """Ask all ranks to stop between two steps, with a checkpoint."""
    (scratch / _STOP).touch()


class _Say:
    """Appends lines to the file of one rank."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self, kind: str, **what: Any) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"kind": kind, **what}) + "\n")


def _watcher(say: _Say, scratch: Path) -> Watcher:
    told = -math.inf

    def progress(done: int, steps: int, loss: float) -> None:
        nonlocal told
        if time.monotonic() - told >= PROGRESS_SECONDS or done == steps:
            told = time.monotonic()
            say("progress", done=done, steps=steps, loss=loss)

    return Watcher(
        progress=progress,
        health=lambda point: say("health", point=point.plain()),
        rollback=lambda rollback: say("rollback", rollback=rollback.to_json()),
        # Of a driver that was killed, the next one removes the folder.
        stop=lambda: (scratch / _STOP).exists() or not scratch.exists(),
    )


@dataclass
class Listener:
    """The driver's side: hands what the ranks say to a watcher, each line once."""

    scratch: Path
    watcher: Watcher
    finished: bool = False
    stopped: str | None = None  # in words
    failure: Exception | None = None
    _read: dict[Path, int] = field(default_factory=dict)  # bytes

    def listen(self) -> None:
        """Take in what is new."""
        for path in sorted(self.scratch.glob("rank-*")):
            with path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines, end, _ = file.read().rpartition(b"\n")  # the last line may not be whole yet
            self._read[path] = self._read.get(path, 0) + len(lines) + len(end)
            for line in lines.splitlines():
                self._hear(json.loads(line))

    def _hear(self, said: dict[str, Any]) -> None:
        match said.pop("kind"):
            case "progress":
                self.watcher.progress(said["done"], said["steps"], said["loss"])
            case "health":
                self.watcher.health(HealthPoint(*said["point"]))
            case "rollback":
                self.watcher.rollback(Rollback.from_json(said["rollback"]))
            case "finished":
                self.finished = True
            case "stopped":
                self.stopped = said["message"]
            case "failed":
                self.failure = self.failure or _error(said["error"], said["message"])


def _error(name: str, message: str) -> Exception:
    """The error of ours that a rank named."""
    for module in (supernet.errors, runner.errors):
        kind = getattr(module, name, None)
        if isinstance(kind, type) and issubclass(kind, (SupernetError, RunnerError)):
            return kind(message)
    return StudyFailed(message)
