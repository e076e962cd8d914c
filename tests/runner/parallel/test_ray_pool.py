"""What only a pool of processes can do, and what can only go wrong there."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from runner.parallel.errors import EvaluatorFailed, InvalidResources
from runner.parallel.ray_pool import RayPool
from runner.search import InvalidProblem, Outcome, Resources
from runner.search.engine import search
from search_spaces import Architecture
from tests.runner.parallel.evaluators import (
    MakeGate,
    make_behave,
    make_dies,
    make_fails,
    make_reader,
    make_threads,
)
from tests.runner.parallel.processes import wait_until
from tests.runner.search.spaces import measure, tiny_space

if TYPE_CHECKING:
    from runner.parallel.session import RaySession

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("local_ray")]


def named(action: str) -> Architecture:
    return Architecture({"a": action})


def collected(pool: RayPool) -> Outcome:
    found = pool.collect(30.0)
    assert found is not None
    return found


def pid_of(pool: RayPool) -> int:
    pool.submit(named("pid"), 1)
    returned = collected(pool).returned
    assert isinstance(returned, dict)
    return int(returned["pid"])


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_worker_goes_on_while_another_is_busy(tmp_path: Path) -> None:
    """No barrier: three evaluations end while the first one still runs."""
    with RayPool(MakeGate(tmp_path), workers=2) as pool:
        pool.submit(named("long"), 1)
        wait_until((tmp_path / "long.began").exists, 120.0, lambda: "it never began")
        for short in ("one", "two", "three"):
            pool.submit(named(short), 1)
            (tmp_path / f"{short}.open").touch()
            assert collected(pool).architecture == named(short)
        (tmp_path / "long.open").touch()
        assert collected(pool).architecture == named("long")


@pytest.mark.parametrize("action", ["die", "abort"])
def test_a_worker_that_dies_is_reported_and_replaced(action: str) -> None:
    with RayPool(make_behave, workers=1) as pool:
        before = pid_of(pool)
        pool.submit(named(action), 2)
        lost = collected(pool)
        assert lost.attempt == 2
        assert lost.failure is not None
        assert lost.failure.kind == "worker_lost"
        assert "its worker died" in lost.failure.message
        assert "in place" in lost.failure.message
        assert pid_of(pool) != before
        assert gone(before)


def test_an_idle_worker_that_dies_costs_one_attempt_at_most() -> None:
    with RayPool(make_behave, workers=1) as pool:
        os.kill(pid_of(pool), signal.SIGKILL)
        time.sleep(1.0)
        pool.submit(named("return"), 1)
        first = collected(pool)
        if first.failure is not None:
            assert first.failure.kind == "worker_lost"
            pool.submit(named("return"), 2)
            assert collected(pool).failure is None


@pytest.mark.parametrize("action", ["sleep", "hold"])
def test_a_time_limit_ends_the_evaluation_and_not_the_others(action: str) -> None:
    """`hold` keeps the interpreter's lock in C, so that nothing written in Python could end it."""
    with RayPool(make_behave, workers=2, time_limit_s=1.5) as pool:
        began = time.monotonic()
        pool.submit(named(action), 1)
        pool.submit(named("return"), 1)
        assert collected(pool).failure is None
        late = collected(pool)
        assert late.failure is not None
        assert (late.architecture, late.failure.kind) == (named(action), "time_limit")
        assert late.failure.message == "it took longer than 1.5 s and was ended"
        assert 1.5 <= late.seconds < 4.0
        assert time.monotonic() - began < 10.0
        pool.submit(named("return"), 1)
        assert collected(pool).failure is None


def test_leaving_the_process_is_a_failure() -> None:
    with RayPool(make_behave, workers=1) as pool:
        pool.submit(named("exit"), 1)
        failure = collected(pool).failure
        assert failure is not None
        assert (failure.kind, failure.message) == ("exception", "SystemExit: 3")


def test_what_cannot_be_sent_back_is_a_failure() -> None:
    with RayPool(make_behave, workers=1) as pool:
        pool.submit(named("lock"), 1)
        failure = collected(pool).failure
        assert failure is not None
        assert failure.message.startswith("TypeError: cannot pickle")


def test_an_evaluator_that_cannot_be_sent_is_refused_before_anything_starts() -> None:
    lock = threading.Lock()
    with pytest.raises(InvalidResources, match=r"cannot be sent to workers \(TypeError: cannot pickle"):
        RayPool(lambda _: lambda _: {"error": float(lock.locked())}, workers=1)


def test_an_evaluator_that_cannot_be_made_ends_it_at_once() -> None:
    began = time.monotonic()
    with pytest.raises(EvaluatorFailed, match="RuntimeError: no such file"):
        RayPool(make_fails, workers=2)
    with pytest.raises(EvaluatorFailed, match="5 workers died while they were made"):
        RayPool(make_dies, workers=2)
    assert time.monotonic() - began < 40.0


def test_workers_use_the_threads_that_they_are_given() -> None:
    for cpus in (1, 2):
        with RayPool(make_threads, workers=1, resources=Resources(cpus=cpus)) as pool:
            pool.submit(named("threads"), 1)
            returned = collected(pool).returned
            assert returned == {"error": 0.0, "torch": cpus, "pools": cpus, "variable": cpus}


class TestSharedArrays:
    """In shared memory, the same for all, and read-only for good."""

    WEIGHTS = np.arange(500_000, dtype=np.float32)

    def test_workers_map_the_same_memory_and_a_write_ends_only_the_writer(self) -> None:
        arrays = {"weights": self.WEIGHTS.copy(), "small": np.array([[1, 2], [3, 4]], dtype=np.int16)}
        expected = {"sum.weights": self.WEIGHTS.sum(dtype=np.float64), "sum.small": 10.0}
        healthy = {name: 1.0 for array in arrays for name in (f"shared.{array}", f"aligned.{array}")}
        with RayPool(make_reader, arrays, workers=2) as pool:

            def check() -> None:
                for _ in range(2):
                    pool.submit(named("read"), 1)
                for _ in range(2):
                    returned = collected(pool).returned
                    assert isinstance(returned, dict)
                    assert expected.items() <= returned.items()
                    assert healthy.items() <= returned.items()

            check()
            pool.submit(named("write"), 1)
            failure = collected(pool).failure
            assert failure is not None
            assert failure.kind == "worker_lost"
            assert "wrote to a shared array in place" in failure.message
            pool.submit(named("write-numpy"), 1)
            failure = collected(pool).failure
            assert failure is not None
            assert failure.message == "ValueError: assignment destination is read-only"
            check()
        assert (arrays["weights"] == self.WEIGHTS).all()


class TestResources:
    """Demands that make no sense, or more than there is."""

    @pytest.mark.parametrize("workers", [0, -1, 1.5, True, None])
    def test_workers(self, workers: object) -> None:
        with pytest.raises(InvalidResources, match=f"at least 1, got {workers!r}"):
            RayPool(make_behave, workers=workers)  # type: ignore[arg-type]

    @pytest.mark.parametrize("limit", [0, -1.0, float("nan"), float("inf")])
    def test_time_limits(self, limit: float) -> None:
        with pytest.raises(InvalidResources, match="time_limit_s must be a positive number"):
            RayPool(make_behave, workers=1, time_limit_s=limit)

    def test_more_workers_than_cores_are_warned_of(self) -> None:
        cores = os.cpu_count() or 1
        with (
            pytest.warns(UserWarning, match=f"this machine has {cores} cores: .* {cores} workers do as much"),
            pytest.raises(InvalidResources, match=r"64 workers need 64 CPUs in all, Ray has \d+ here"),
        ):
            RayPool(make_behave, workers=64)

    def test_gpus_that_are_not_there(self) -> None:
        with pytest.raises(InvalidResources, match=r"2 workers need 200 GPUs in all, Ray has \d+ here"):
            RayPool(make_behave, workers=2, resources=Resources(gpus=100))


class TestSearch:
    """The same through the public function."""

    def test_workers_are_an_argument(self, local_ray: RaySession) -> None:
        result = search(tiny_space(), _error_of_a, {"error": "minimize"}, algorithm="random", workers=2)
        assert result.reason == "exhausted"
        assert {e.architecture for e in result.evaluations} == set(tiny_space().enumerate())
        assert all(e.attempt == 1 and e.duration_ms is not None for e in result.evaluations)

    def test_a_time_limit_fails_single_evaluations(self) -> None:
        def evaluate(architecture: Architecture) -> dict[str, float]:
            if architecture["a"] == 2:
                time.sleep(30.0)
            return {"error": 0.0}

        result = search(tiny_space(), evaluate, {"error": "minimize"}, algorithm="random", workers=2, time_limit_s=0.5)
        failed = [e for e in result.evaluations if e.failure_kind == "time_limit"]
        assert {e.architecture["a"] for e in failed} == {2}
        assert len(failed) == 4

    def test_a_poisoned_architecture_is_set_aside(self) -> None:
        def evaluate(architecture: Architecture) -> dict[str, float]:
            if architecture == tiny_space().largest():
                os.kill(os.getpid(), signal.SIGKILL)
            return {"error": 0.0}

        result = search(tiny_space(), evaluate, {"error": "minimize"}, algorithm="random", workers=2)
        (aside,) = [e for e in result.evaluations if e.state == "failed"]
        assert (aside.architecture, aside.failure_kind, aside.attempt) == (tiny_space().largest(), "worker_lost", 3)
        assert aside.failure_message is not None
        assert aside.failure_message.startswith("set aside after 3 attempts: its worker died")
        assert len(result.evaluations) == 12

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"workers": "two"}, "'serial' or a whole number|\"serial\" or a whole number"),
            ({"time_limit_s": 3.0}, "time_limit_s=3.0 needs workers"),
        ],
    )
    def test_nonsense_is_refused(self, options: dict[str, object], message: str) -> None:
        with pytest.raises(InvalidProblem, match=message):
            search(tiny_space(), measure, {"error": "minimize"}, **options)  # type: ignore[arg-type]


def _error_of_a(architecture: Architecture) -> dict[str, float]:
    return {"error": float(architecture["a"])}
