"""One training on several processes: starts them, starts them again where one is lost, and tells what they say.

Owns the driver: how often a group of processes may be lost, and when it ends.  What a rank does and says is
`rank_words`', how Ray Train runs a group `ray_train`'s.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runner.errors import RunnerError
from runner.parallel.errors import ClusterFailed
from runner.parallel.rank_words import Listener, TrainRank, ask_to_stop
from runner.parallel.session import RaySettings, ray_session
from supernet.training.checkpoint import Checkpoints
from supernet.training.loop import Stopped

if TYPE_CHECKING:
    from runner.parallel.resources import Resources
    from supernet.training.loop import Watcher

SCRATCH = ".ranks"  # in the folder of the checkpoints, because both must be seen by every rank
FAILURES_IN_A_ROW = 3  # of a group, without a new checkpoint in between


class RanksLost(RunnerError):
    """Processes that train together were lost, or failed, again and again."""


def train_on_ranks(
    train: TrainRank,
    *,
    ranks: int,
    resources: Resources,
    folder: Path,
    watcher: Watcher,
    note: Callable[[str], None] = lambda message: None,
    most_failures: int = FAILURES_IN_A_ROW,
) -> None:
    """Call `train` in `ranks` processes that are joined to a process group, until it ends in all of them.

    It is to write its checkpoints to `folder` and to begin with the newest one: where a process is lost, all are
    started again.  `watcher` hears of the training in this process, of what is repeated again, and says when to stop;
    `note` hears of losses.

    Raises `Stopped`, `RanksLost` after `most_failures` in a row without a new checkpoint, whatever error of ours ended
    the training, and what `ray_session` raises.
    """
    failures = 0
    with ray_session(RaySettings.from_environment(ranks * resources.threads)) as session:
        from runner.parallel.ray_train import check_room, run_group  # Ray reads its settings from the session

        check_room(session.settings, ranks, resources)
        while True:
            before = _newest(folder)
            with _scratch(folder / SCRATCH) as scratch:
                listener = Listener(scratch, watcher)

                def poll(listener: Listener = listener, scratch: Path = scratch) -> None:
                    listener.listen()
                    if watcher.stop():
                        ask_to_stop(scratch)

                reason = run_group(
                    train,
                    ranks=ranks,
                    resources=resources,
                    folder=folder,
                    scratch=scratch,
                    poll=poll,
                    alive=session.alive,
                )
                listener.listen()
            if listener.failure is not None:
                raise listener.failure
            if listener.finished and reason is None:
                return
            if listener.stopped is not None or watcher.stop():
                raise Stopped(listener.stopped or f"stopped after step {_newest(folder)}")
            reason = reason or "a process ended without a word"
            now = _newest(folder)
            failures = failures + 1 if now == before else 1
            if not session.alive():
                if failures >= most_failures:
                    raise ClusterFailed(
                        f"Ray died {failures} times without any progress in between; see the system's log"
                    )
                session.restart()
            elif failures >= most_failures:
                raise RanksLost(
                    f"training on {ranks} processes failed {failures} times in a row after step {now}, the newest "
                    f"checkpoint; the last time, {reason}. Look for what ends it (the system's log, free memory), or "
                    "train in one process."
                )
            note(f"{reason}; all {ranks} processes start again from step {now}")


def _newest(folder: Path) -> int:
    return max(Checkpoints(folder).steps(), default=0)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A new folder in this one, which is gone afterwards; a killed run may have left others.

    Never one of the same name: a process of an earlier group, if any is left, must not be heard.
    """
    shutil.rmtree(folder, ignore_errors=True)
    scratch = folder / uuid.uuid4().hex
    scratch.mkdir(parents=True)
    try:
        yield scratch
    finally:
        shutil.rmtree(folder, ignore_errors=True)
