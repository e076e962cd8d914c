"""Owns the executor that runs one evaluation at a time in this process: for tests, and to find faults."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from runner.search.outcome import Failure, Outcome

if TYPE_CHECKING:
    from types import TracebackType

    from runner.search.engine import Evaluator
    from search_spaces import Architecture


class SerialExecutor:
    """One evaluation at a time, in this process. Time limits do not hold here."""

    def __init__(self, evaluate: Evaluator) -> None:
        self._evaluate = evaluate
        self._waiting: list[tuple[Architecture, int]] = []

    def __enter__(self) -> SerialExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def free(self) -> int:
        return 1 - len(self._waiting)

    def submit(self, architecture: Architecture, attempt: int) -> None:
        self._waiting.append((architecture, attempt))

    def collect(self, timeout_s: float) -> Outcome | None:
        """Run what was submitted to its end, however long that takes."""
        if not self._waiting:
            return None
        architecture, attempt = self._waiting.pop(0)
        returned, failure = None, None
        began = time.perf_counter()
        try:
            returned = self._evaluate(architecture)
        except Exception as error:  # noqa: BLE001 - anything a user's evaluator raises fails one evaluation
            failure = Failure.of(error)
        seconds = time.perf_counter() - began
        return Outcome(architecture=architecture, attempt=attempt, seconds=seconds, returned=returned, failure=failure)

    def close(self) -> None:
        self._waiting.clear()
