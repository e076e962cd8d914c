"""The worker processes of one study: a pool for each kind of work, all in one Ray."""

from __future__ import annotations

import warnings
from contextlib import ExitStack
from typing import TYPE_CHECKING

from runner.parallel.errors import TooManyWorkers
from runner.parallel.local_cluster import store_bytes_for
from runner.parallel.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.parallel.shared_arrays import Array
    from runner.parallel.worker import EvaluatorFactory
    from runner.progress import Reporter
    from runner.search.engine import Executor

_BESIDE_OTHERS = Resources(cpus=0)  # of workers that rest whenever others work


class WorkerPools:
    """Starts Ray when the first workers are asked for; close it to end it."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._undo = ExitStack()
        self._started = False

    def pool(
        self,
        factory: EvaluatorFactory,
        arrays: Mapping[str, Array],
        *,
        workers: int,
        weight_bytes: int,
        time_limit_s: float | None = None,
        beside_others: bool = False,
    ) -> Executor:
        """Workers that do what the factory makes; the caller closes them.

        `weight_bytes` is what the largest arrays of any pool of this study take.  Workers `beside_others` need no
        core of their own, since their caller lets nothing else work while they do.
        """
        from runner.parallel.ray_pool import RayPool  # imports Ray, which a serial study can do without
        from runner.parallel.session import RaySettings, ray_session

        if not self._started:
            self._reporter.note(f"starting {workers} workers")
            settings = RaySettings.from_environment(workers, store_bytes_for(weight_bytes))
            self._undo.enter_context(ray_session(settings))
            self._started = True
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always", TooManyWorkers)
            pool = RayPool(
                factory,
                arrays,
                workers=workers,
                resources=_BESIDE_OTHERS if beside_others else Resources(),
                time_limit_s=time_limit_s,
            )
        for message in {str(warning.message) for warning in heard if issubclass(warning.category, TooManyWorkers)}:
            self._reporter.note(message)
        return pool

    def close(self) -> None:
        """End Ray, if it was started."""
        self._undo.close()
