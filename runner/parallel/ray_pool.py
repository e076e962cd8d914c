"""Owns the executor that runs evaluations on Ray: an actor a worker, each with one evaluation at a time.

The driver keeps what waits, what runs where and what attempt it is; Ray only runs it. So a worker, a node or the
whole of Ray may die: what ran there comes back as `worker_lost`, and a new one takes its place.
"""

from __future__ import annotations

import math
import pickle
import time
import warnings
from collections import deque
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import ray
from ray import cloudpickle

from predictors.latency.device import usable_cores
from runner.parallel.errors import ClusterFailed, EvaluatorFailed, InvalidResources, TooManyWorkers
from runner.parallel.local_cluster import store_bytes_for
from runner.parallel.resources import Resources
from runner.parallel.session import RaySettings, ray_session
from runner.parallel.shared_arrays import packed
from runner.parallel.worker import Reply, Worker
from runner.search.outcome import Failure, FailureKind, Outcome

if TYPE_CHECKING:
    from types import TracebackType

    from runner.parallel.shared_arrays import Array, Buffer, Layout
    from runner.parallel.worker import EvaluatorFactory
    from search_spaces import Architecture

_LOOK_SECONDS = 0.25  # how often Ray and the time limits are looked at
_START_SECONDS = 120.0  # for the process of a worker; its evaluator may take longer to be made
_LOSSES_IN_A_ROW = 5  # of workers while they are made, or of Ray, without any result in between


@dataclass
class _Slot:
    """One place for a worker. It waits for one answer at a time: `ref`, meant as `stage` says."""

    actor: Any
    stage: Literal["starting", "preparing", "idle", "busy"]
    ref: Any
    since: float  # when the stage began
    work: tuple[Architecture, int] | None = None


class RayPool:
    """Evaluations in `workers` processes, on this machine or on the cluster that SUPERNAUT_RAY_ADDRESS names.

    make_evaluator  called once in each worker, with the shared arrays; what it returns evaluates there
    arrays          put into shared memory once; a write to them ends the worker that tries
    resources       what each worker may use
    time_limit_s    an evaluation that takes longer is ended with its worker; None for no limit

    Raises InvalidResources, EvaluatorFailed and what `ray_session` raises. Use it as a context manager.
    """

    def __init__(
        self,
        make_evaluator: EvaluatorFactory,
        arrays: Mapping[str, Array] | None = None,
        *,
        workers: int,
        resources: Resources = Resources(),  # noqa: B008 - a frozen value
        time_limit_s: float | None = None,
    ) -> None:
        _check(workers, time_limit_s)
        self._workers, self._resources, self._time_limit_s = workers, resources, time_limit_s
        self._factory = _pickled(make_evaluator)
        self._buffer: Buffer | None = None
        self._layout: Layout | None = None
        if arrays:
            self._buffer, self._layout = packed(arrays)
        self._queue: deque[tuple[Architecture, int]] = deque()
        self._outcomes: deque[Outcome] = deque()
        self._slots: list[_Slot] = []
        self._losses = 0  # in a row
        self._shared: Any = None  # where the buffer lies
        self._actor_class: Any = None
        size = 0 if self._buffer is None else self._buffer.nbytes
        settings = RaySettings.from_environment(max(1, math.ceil(workers * resources.cpus)), store_bytes_for(size))
        _warn_of_too_many(settings, workers, resources)
        with ExitStack() as undo:
            self._session = undo.enter_context(ray_session(settings))
            _check_capacity(settings, workers, resources)
            self._start()
            undo.callback(self._end_workers)
            while not any(slot.stage == "idle" for slot in self._slots):
                self._look(_LOOK_SECONDS)
            self._undo = undo.pop_all()

    def __enter__(self) -> RayPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def free(self) -> int:
        busy = sum(slot.stage == "busy" for slot in self._slots)
        return self._workers - busy - len(self._queue) - len(self._outcomes)

    def submit(self, architecture: Architecture, attempt: int) -> None:
        self._queue.append((architecture, attempt))
        self._hand_out()

    def collect(self, timeout_s: float) -> Outcome | None:
        deadline = time.monotonic() + timeout_s
        while not self._outcomes:
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            self._look(min(left, _LOOK_SECONDS))
        return self._outcomes.popleft()

    def close(self) -> None:
        self._queue.clear()
        self._outcomes.clear()
        self._undo.close()

    def _start(self) -> None:
        """Put the arrays where workers find them, and start all workers."""
        self._shared = None if self._buffer is None else ray.put(self._buffer)
        # Once for all workers: Ray sends a class to its head and waits, and the head may die any time.
        self._actor_class = ray.remote(Worker)
        self._slots = [self._new_slot() for _ in range(self._workers)]

    def _new_slot(self) -> _Slot:
        needs = self._actor_class.options(num_cpus=self._resources.cpus, num_gpus=self._resources.gpus, max_restarts=0)
        actor = needs.remote(self._resources.threads)
        return _Slot(actor=actor, stage="starting", ref=actor.hello.remote(), since=time.monotonic())

    def _end_workers(self) -> None:
        for slot in self._slots:
            if self._session.alive():
                ray.kill(slot.actor)
        self._slots, self._shared = [], None

    def _look(self, timeout_s: float) -> None:
        """Wait for one answer of a worker at most so long; see to whatever was lost or took too long."""
        waiting = {slot.ref: slot for slot in self._slots if slot.ref is not None}
        answered, _ = ray.wait(list(waiting), timeout=timeout_s) if waiting else ([], [])
        if not self._session.alive():
            self._begin_anew()
            return
        for ref in answered:
            self._answered(waiting[ref])
        now = time.monotonic()
        for slot in self._slots:
            if slot.stage == "busy" and self._time_limit_s is not None and now - slot.since > self._time_limit_s:
                self._give_up(slot, "time_limit", f"it took longer than {self._time_limit_s} s and was ended")
        self._check_that_some_start(now)
        self._hand_out()

    def _answered(self, slot: _Slot) -> None:
        try:
            answer = ray.get(slot.ref)
        except Exception as error:  # noqa: BLE001 - Ray has many, and hands on some of the system's
            self._lost(slot, error)
            return
        if slot.stage == "starting":
            ref = slot.actor.prepare.remote(self._factory, self._shared, self._layout)
            slot.stage, slot.ref = "preparing", ref
        elif slot.stage == "preparing":
            if answer is not None:
                raise EvaluatorFailed(f"the evaluator could not be made in a worker:\n{answer}")
            slot.stage, slot.ref = "idle", None
        else:
            assert slot.work is not None
            self._losses = 0
            self._outcomes.append(_outcome(*slot.work, answer))
            slot.stage, slot.ref, slot.work = "idle", None, None
        slot.since = time.monotonic()

    def _lost(self, slot: _Slot, error: Exception) -> None:
        """The process of a worker is gone."""
        if slot.stage != "busy":
            self._losses += 1
            if self._losses >= _LOSSES_IN_A_ROW:
                raise EvaluatorFailed(
                    f"{self._losses} workers died while they were made; the last: {_first_line(error)}. "
                    f"{_WHY_WORKERS_DIE}"
                ) from error
            self._replace(slot)
            return
        kind: FailureKind = "out_of_memory" if _is_out_of_memory(error) else "worker_lost"
        self._give_up(slot, kind, f"its worker died ({_first_line(error)}). {_WHY_WORKERS_DIE}")

    def _give_up(self, slot: _Slot, kind: FailureKind, message: str) -> None:
        """Report what runs there as failed, and put a new worker in its place."""
        assert slot.work is not None
        architecture, attempt = slot.work
        self._outcomes.append(
            Outcome(
                architecture=architecture,
                attempt=attempt,
                seconds=time.monotonic() - slot.since,
                failure=Failure(kind, message),
            )
        )
        self._replace(slot)

    def _replace(self, slot: _Slot) -> None:
        ray.kill(slot.actor)
        self._slots[self._slots.index(slot)] = self._new_slot()

    def _begin_anew(self) -> None:
        """Ray itself is gone: start it again; what ran is lost."""
        self._losses += 1
        if self._losses >= _LOSSES_IN_A_ROW:
            raise ClusterFailed(f"Ray died {self._losses} times without a result in between; see the system's log")
        now = time.monotonic()
        for slot in self._slots:
            if slot.work is not None:
                failure = Failure("worker_lost", "Ray's own processes died under it")
                architecture, attempt = slot.work
                self._outcomes.append(
                    Outcome(architecture=architecture, attempt=attempt, seconds=now - slot.since, failure=failure)
                )
        self._slots, self._shared = [], None
        self._session.restart()
        self._start()

    def _hand_out(self) -> None:
        """Give what waits to idle workers."""
        for slot in self._slots:
            if slot.stage == "idle" and self._queue:
                slot.work = self._queue.popleft()
                slot.stage, slot.ref, slot.since = "busy", slot.actor.evaluate.remote(slot.work[0]), time.monotonic()

    def _check_that_some_start(self, now: float) -> None:
        if all(slot.stage == "starting" and now - slot.since > _START_SECONDS for slot in self._slots):
            free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
            raise ClusterFailed(
                f"no worker could be started within {_START_SECONDS:.0f} s: Ray has {free.get('CPU', 0.0):g} CPUs and "
                f"{free.get('GPU', 0.0):g} GPUs free, a worker needs {self._resources.cpus:g} and "
                f"{self._resources.gpus:g}"
            )


_WHY_WORKERS_DIE = (
    "Usual causes: the system was short of memory and killed it; native code crashed; or it wrote to a shared array "
    "in place (torch.from_numpy(array).add_(1), for example), which is not allowed: clone it first."
)


def _outcome(architecture: Architecture, attempt: int, reply: Reply) -> Outcome:
    returned, failure = None, reply.failure
    if reply.returned is not None:
        try:
            returned = pickle.loads(reply.returned)
        except Exception as error:  # noqa: BLE001 - the pickle is made of what a user's evaluator returned
            failure = Failure.of(error)
    return Outcome(
        architecture=architecture, attempt=attempt, seconds=reply.seconds, returned=returned, failure=failure
    )


def _pickled(make_evaluator: EvaluatorFactory) -> bytes:
    try:
        pickled: bytes = cloudpickle.dumps(make_evaluator)  # type: ignore[no-untyped-call]
    except Exception as error:
        raise InvalidResources(
            f"the evaluator cannot be sent to workers ({type(error).__name__}: {error}). Give a function or object "
            "without open files, locks, generators or connections: make those inside, when it is first called. "
            'Or search with workers="serial"'
        ) from error
    return pickled


def _is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, ray.exceptions.OutOfMemoryError) or "low on memory" in str(error)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


def _check(workers: object, time_limit_s: float | None) -> None:
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise InvalidResources(f"workers must be a whole number of at least 1, got {workers!r}")
    if time_limit_s is not None and not 0 < time_limit_s < math.inf:
        raise InvalidResources(f"time_limit_s must be a positive number of seconds or None, got {time_limit_s!r}")


def _warn_of_too_many(settings: RaySettings, workers: int, resources: Resources) -> None:
    cores = usable_cores()
    if settings.address is None and workers * resources.cpus > cores:
        warnings.warn(
            f"{workers} workers with {resources.cpus:g} CPUs each, but this machine has {cores} cores: evaluations "
            f"will wait for each other and take longer; {max(1, int(cores / resources.cpus))} workers do as much",
            TooManyWorkers,
            stacklevel=3,
        )


def _check_capacity(settings: RaySettings, workers: int, resources: Resources) -> None:
    """Refuse what a Ray of our own can never run; a cluster may grow."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    for name, needed in (("CPU", workers * resources.cpus), ("GPU", workers * resources.gpus)):
        if settings.address is None and needed > there.get(name, 0.0):
            raise InvalidResources(
                f"{workers} workers need {needed:g} {name}s in all, Ray has {there.get(name, 0.0):g} here; "
                f"take fewer workers or a smaller share for each"
            )
