"""Trainings with one seed, on the workers: handed out, repeated where a worker is lost, recorded as they end.

Owns when an attempt is repeated, what is final and what the next call tries again, and how everything is stopped.
"""

from __future__ import annotations

import shutil
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runner.errors import StudyFailed
from runner.fidelity.trainings import diverged, training_folder
from runner.search.engine import ATTEMPTS, MAX_CONSECUTIVE_FAILURES

if TYPE_CHECKING:
    from runner.fidelity.trainings import TrainingJob
    from runner.search.engine import Executor
    from runner.search.outcome import Failure, Outcome
    from search_spaces import Architecture

_WAIT_SECONDS = 1.0
_GRACE_SECONDS = 60.0  # for trainings under way to write a checkpoint when everything is to stop


@dataclass(kw_only=True)
class Campaign:
    """Trainings of one job.  `enter` records scores, `fail` a failure that would only happen again."""

    job: TrainingJob
    enter: Callable[[Mapping[str, Any], Outcome], None]
    fail: Callable[[Architecture, str, str, int], None]
    stop: Callable[[], bool]
    note: Callable[[str], None]
    unfinished: dict[str, str] = field(default_factory=dict)  # digest -> why this call could not train it
    _in_a_row: int = 0

    def run(self, executor: Executor, architectures: Sequence[Architecture]) -> None:
        """Train all of them, or until `stop` says so; what is under way then leaves a checkpoint.

        Raises `StudyFailed` where one after another fails.
        """
        waiting = deque((architecture, 1) for architecture in architectures)
        under_way: dict[str, int] = {}
        self.job.stop_file.unlink(missing_ok=True)  # of a call that was killed while it stopped
        while waiting or under_way:
            if self.stop():
                self._wind_up(executor, len(under_way))
                return
            while waiting and executor.free() > 0:
                architecture, attempt = waiting.popleft()
                executor.submit(architecture, attempt)
                under_way[architecture.digest] = attempt
            outcome = executor.collect(_WAIT_SECONDS)
            if outcome is None or under_way.get(outcome.architecture.digest) != outcome.attempt:
                continue
            del under_way[outcome.architecture.digest]
            if outcome.failure is not None and self.stop():
                continue  # a training in this process that was asked to stop
            if self._settle(outcome):
                waiting.append((outcome.architecture, outcome.attempt + 1))

    def _wind_up(self, executor: Executor, under_way: int) -> None:
        """Ask for checkpoints, record what ends anyway, and wait no longer than that takes."""
        if not under_way:
            return
        self.job.stop_file.parent.mkdir(parents=True, exist_ok=True)
        self.job.stop_file.touch()
        try:
            deadline = time.monotonic() + _GRACE_SECONDS
            while under_way and time.monotonic() < deadline:
                outcome = executor.collect(_WAIT_SECONDS)
                if outcome is not None:
                    under_way -= 1
                    if outcome.failure is None:
                        self._settle(outcome)
        finally:
            self.job.stop_file.unlink(missing_ok=True)

    def _settle(self, outcome: Outcome) -> bool:
        """Record what came of an attempt; whether to try again."""
        architecture, failure = outcome.architecture, outcome.failure
        if failure is None:
            assert isinstance(outcome.returned, Mapping)
            self._record(outcome, outcome.returned)
            shutil.rmtree(training_folder(self.job, architecture), ignore_errors=True)
            self._in_a_row = 0
            return False
        if failure.kind in ATTEMPTS:
            if outcome.attempt < ATTEMPTS[failure.kind]:
                return True
            message = f"set aside after {outcome.attempt} attempts: {failure.message}"
            self.fail(architecture, failure.kind, message, outcome.attempt)
            return False
        self._leave(architecture, failure)
        return False

    def _record(self, outcome: Outcome, returned: Mapping[str, Any]) -> None:
        found = diverged(returned)
        if found is None:
            self.enter(returned, outcome)
        else:
            self.fail(outcome.architecture, *found, outcome.attempt)

    def _leave(self, architecture: Architecture, failure: Failure) -> None:
        """An error that may be the machine's (a full disk, a file that is gone): for the next call to try again."""
        self.unfinished[architecture.digest] = failure.message
        self.note(f"{architecture.digest} could not be trained, and is left for the next call: {failure.message}")
        self._in_a_row += 1
        if self._in_a_row >= MAX_CONSECUTIVE_FAILURES:
            raise StudyFailed(
                f"{self._in_a_row} trainings in a row failed; the last, of {architecture.digest}: {failure.message}"
            )
