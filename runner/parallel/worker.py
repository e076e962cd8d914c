"""Owns what happens inside a worker process: one evaluator, one evaluation at a time.

Nothing here raises: whatever goes wrong with an evaluator is told in a reply. Imports neither Ray nor any other
heavy library, because the number of threads must be set before they are loaded.
"""

from __future__ import annotations

import os
import pickle
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from runner.process import settle
from runner.search.outcome import Failure

if TYPE_CHECKING:
    from runner.parallel.shared_arrays import Array, Buffer, Layout
    from runner.search.engine import Evaluator
    from search_spaces import Architecture

EvaluatorFactory = Callable[[Mapping[str, "Array"]], "Evaluator"]
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


@dataclass(frozen=True)
class Reply:
    """What one attempt gave, ready to be sent: `returned` is pickled, so that the receiver can guard against it."""

    seconds: float
    returned: bytes | None
    failure: Failure | None


class Worker:
    """Made empty, so that a process is known before user code runs in it; then prepared; then asked."""

    def __init__(self, threads: int) -> None:
        for name in _THREAD_VARIABLES:
            os.environ[name] = str(threads)
        self._threads = threads
        self._shared: Buffer | None = None
        self._evaluate: Evaluator | None = None

    def hello(self) -> None:
        """Answers as soon as there is a process."""

    def prepare(self, make_evaluator: bytes, buffer: Buffer | None, layout: Layout | None) -> str | None:
        """Make the evaluator; the traceback if that fails."""
        from threadpoolctl import threadpool_limits

        from runner.parallel.shared_arrays import protected

        try:
            arrays: Mapping[str, Array] = {}
            if buffer is not None and layout is not None:
                self._shared = protected(buffer)
                arrays = layout.views(self._shared)
            factory: EvaluatorFactory = pickle.loads(make_evaluator)
            settle()
            self._evaluate = factory(arrays)
        except (Exception, SystemExit):  # noqa: BLE001 - anything a user's code raises
            return traceback.format_exc()
        threadpool_limits(self._threads)
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(self._threads)
        return None

    def evaluate(self, architecture: Architecture) -> Reply:
        """One attempt."""
        assert self._evaluate is not None, "prepare comes first"
        returned, failure = None, None
        began = time.perf_counter()
        try:
            returned = pickle.dumps(_plain(self._evaluate(architecture)))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - anything a user's evaluator raises
            failure = Failure.of(error)
        return Reply(time.perf_counter() - began, returned, failure)


def _plain(returned: Any) -> Any:
    """Numbers of any library as Python's, so that the receiver need not have the library."""
    if not isinstance(returned, Mapping):
        return returned
    plain: dict[str, Any] = {}
    for name, value in returned.items():
        try:
            plain[name] = float(value)
        except (TypeError, ValueError):
            plain[name] = value
    return plain
