"""The workers of a comparison: new ones for each kind of training, all in one Ray."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING

from runner.parallel.errors import TooManyWorkers
from runner.parallel.local_cluster import store_bytes_for
from runner.scoring import arrays_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.parallel.shared_arrays import Array
    from runner.parallel.worker import EvaluatorFactory
    from runner.search.engine import Executor
    from runner.work import StudyWork


class Workers:
    """Starts Ray when the first workers are asked for; close it to end it."""

    def __init__(self, work: StudyWork) -> None:
        self._work = work
        self._undo = ExitStack()
        self._started = False

    def pool(self, factory: EvaluatorFactory, arrays: Mapping[str, Array], workers: int) -> Executor:
        """Workers that do what the factory makes; the caller closes them."""
        from runner.parallel.ray_pool import RayPool  # imports Ray, which a serial comparison can do without
        from runner.parallel.session import RaySettings, ray_session

        if not self._started:
            self._work.reporter.note(f"starting {workers} workers")
            size = sum(array.nbytes for array in arrays_of(self._work.weights).values())  # a later phase needs them
            self._undo.enter_context(ray_session(RaySettings.from_environment(workers, store_bytes_for(size))))
            self._started = True
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", TooManyWorkers)
            pool = RayPool(factory, arrays, workers=workers)
        for message in {str(warning.message) for warning in heard if issubclass(warning.category, TooManyWorkers)}:
            self._work.reporter.note(message)
        return pool

    def close(self) -> None:
        """End Ray, if it was started."""
        self._undo.close()
