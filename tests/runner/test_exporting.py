"""Files of architectures written ahead by workers: the same as here, and here where a worker could not."""

from __future__ import annotations

import pickle
import random
from collections import deque
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from runner.exporting import Exporter, ExporterFactory, Exports
from runner.scoring import arrays_of
from runner.search.outcome import Failure, Outcome
from runner.study import StudySpec, parse_study
from runner.validation import Plan, plan
from supernet import SharedWeights

if TYPE_CHECKING:
    from search_spaces import Architecture


@pytest.fixture(scope="module")
def spec() -> StudySpec:
    return parse_study(
        {
            "name": "a",
            "task": {"name": "digits"},
            "space": {"name": "vision_transformer", "choices": {"depth": [1, 2], "width": [16], "bits": [32]}},
            "objectives": {"error": {}, "latency_ms": {}},
        },
        "test",
    )


@pytest.fixture(scope="module")
def planned(spec: StudySpec) -> Plan:
    return plan(spec)


@pytest.fixture(scope="module")
def weights(planned: Plan) -> SharedWeights:
    return SharedWeights(planned.build, planned.space, seed=1)


class Pool:
    """An executor of two workers that answers in the order of submission."""

    def __init__(self, answers: dict[Architecture, object]) -> None:
        self.answers, self.submitted, self.closed = answers, deque[Any](), False
        self.seen: list[Architecture] = []

    def free(self) -> int:
        return 2 - len(self.submitted)

    def submit(self, architecture: Architecture, attempt: int) -> None:
        assert self.free() > 0
        self.seen.append(architecture)
        self.submitted.append((architecture, attempt))

    def collect(self, timeout_s: float) -> Outcome:
        architecture, attempt = self.submitted.popleft()
        answer = self.answers.get(architecture)
        failure = Failure("worker_lost", "its worker died") if answer is None else None
        return Outcome(architecture=architecture, attempt=attempt, seconds=0.1, returned=answer, failure=failure)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.closed = True


def at_work(planned: Plan, weights: SharedWeights, pool: Pool | None, workers: object = 2) -> Any:
    return SimpleNamespace(
        plan=planned,
        weights=weights,
        workers=workers,
        rebuilding={"spec": planned.spec.model_dump_json(), "name": "a"},
        pool=lambda factory, arrays, beside_others: pool,
        stop=lambda: False,
    )


def some(planned: Plan, count: int) -> list[Architecture]:
    rng, found = random.Random(0), dict[Any, None]()
    while len(found) < count:
        found[planned.space.sample(rng)] = None
    return list(found)


@pytest.mark.slow
def test_another_process_writes_the_same_file(spec: StudySpec, planned: Plan, weights: SharedWeights) -> None:
    factory = pickle.loads(pickle.dumps(ExporterFactory(spec=spec.model_dump_json(), name="a")))
    smallest = planned.space.smallest()
    here = Exporter(planned, weights)(smallest)
    assert set(here) == {"latency_ms"}
    assert here == factory(arrays_of(weights))(smallest)


def test_files_are_written_ahead_a_few_at_a_time(planned: Plan, weights: SharedWeights) -> None:
    waiting = some(planned, 8)
    pool = Pool({one: {"latency_ms": one.digest.encode()} for one in waiting})
    with Exports(at_work(planned, weights, pool)) as exports:
        for done, one in enumerate(waiting):
            assert exports.files(waiting[done:]) == {"latency_ms": one.digest.encode()}
            assert len(pool.seen) == min(8, 4 * (1 + done // 4))
        assert not pool.closed
    assert pool.closed
    assert pool.seen == waiting


@pytest.mark.slow
def test_what_a_worker_could_not_write_is_written_here(planned: Plan, weights: SharedWeights) -> None:
    waiting = some(planned, 6)
    with Exports(at_work(planned, weights, Pool({}))) as exports:
        assert exports.files(waiting)["latency_ms"] == Exporter(planned, weights)(waiting[0])["latency_ms"]


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "count"), [("serial", 8), (2, 5)])
def test_no_workers_are_started_for_few_files(
    planned: Plan, weights: SharedWeights, workers: object, count: int
) -> None:
    with Exports(at_work(planned, weights, None, workers)) as exports:
        assert exports.files(some(planned, count))["latency_ms"]
