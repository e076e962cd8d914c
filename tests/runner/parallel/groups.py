"""Takes the place of Ray Train where nothing but the driver is tested."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

from runner.parallel import train_ranks
from runner.parallel.rank_words import run_rank
from supernet.errors import TrainingError
from tests.supernet.training.threads import in_threads

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from runner.parallel.rank_words import TrainRank
    from supernet.training.loop import Watcher
    from supernet.training.reducer import Reducer


class Groups:
    """Groups of two threads, some of which are lost when they have got so far.

    The driver is told of every step in the middle of a group, as it is by real ones.
    """

    def __init__(self, *lost_at: int) -> None:
        self.lost_at, self.started = list(lost_at), 0

    def __call__(
        self, train: TrainRank, *, folder: Path, scratch: Path, poll: Callable[[], None], **others: object
    ) -> str | None:
        del others
        self.started += 1
        step = self.lost_at.pop(0) if self.lost_at else None

        def rank(reducer: Reducer, watcher: Watcher) -> None:
            def progress(done: int, steps: int, loss: float) -> None:
                watcher.progress(done, steps, loss)
                poll()
                if done == step:
                    raise RuntimeError("lost")

            train(reducer, replace(watcher, progress=progress))

        try:
            in_threads(lambda reducer: run_rank(rank, reducer, folder=folder, scratch=scratch))
        except RuntimeError:
            return "process 2 was lost"
        except TrainingError:
            return "they failed"
        return None

    def replace_ray(self, monkeypatch: pytest.MonkeyPatch) -> Groups:
        """From now on the driver starts these."""
        instead = SimpleNamespace(check_room=lambda *given: None, run_group=self)
        monkeypatch.setitem(sys.modules, "runner.parallel.ray_train", instead)
        session = SimpleNamespace(settings=None, alive=lambda: True)
        monkeypatch.setattr(train_ranks, "ray_session", lambda settings: nullcontext(session))
        return self
