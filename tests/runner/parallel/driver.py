"""A search in a process of its own, for tests that kill it or what it started.

Usage: python -m tests.runner.parallel.driver RECORD WORKERS EVALUATIONS SECONDS

WORKERS is a number, or `serial`. Continues from RECORD, a file with a line for each acknowledged evaluation
and each attempt that was reserved. The evaluator is deterministic and takes SECONDS. The first SIGTERM or
SIGINT drains, a second one ends at once.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from runner.errors import RunnerError
from runner.parallel.ray_pool import RayPool
from runner.search import Course, Evaluation, Evaluator, SerialExecutor, create_algorithm, pose, run
from search_spaces import Architecture
from tests.runner.search.spaces import cost, error, layered_space

OBJECTIVES = {"error": "minimize", "cost": "minimize"}
SEED = 5


class MakeEvaluator:
    """Evaluators that look at a shared array, so that each of them needs it to be there."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, arrays: Mapping[str, Any]) -> Evaluator:
        def evaluate(architecture: Architecture) -> dict[str, float]:
            time.sleep(self.seconds)
            return {"error": error(architecture) * float(arrays["one"][0]), "cost": cost(architecture)}

        return evaluate


class Record:
    """The truth: one line an event, on disk before the search goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.events: list[dict[str, Any]] = []
        if path.exists():
            self.events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]

    def write(self, **event: Any) -> None:
        self.events.append(event)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")
            file.flush()
            os.fsync(file.fileno())

    @property
    def evaluations(self) -> list[Evaluation]:
        return [
            Evaluation(
                architecture=Architecture.from_json(event["architecture"]),
                state=event["state"],
                values=event["values"],
                failure_kind=event["failure_kind"],
                failure_message=event["failure_message"],
                attempt=event["attempt"],
            )
            for event in self.events
            if event["kind"] == "evaluation"
        ]

    @property
    def pending(self) -> dict[Architecture, int]:
        """What was reserved and not acknowledged, with the attempts begun."""
        reserved: dict[Architecture, int] = {}
        for event in self.events:
            if event["kind"] == "submit":
                reserved[Architecture.from_json(event["architecture"])] = event["attempt"]
            elif event["kind"] == "evaluation":
                del reserved[Architecture.from_json(event["architecture"])]
        return reserved


class Stop:
    """Whether someone asked to stop; asked twice, the process ends."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        return self.asked

    def _ask(self, number: int, frame: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True


def main(path: Path, workers: str, evaluations: int, seconds: float) -> None:
    record = Record(path)
    stop = Stop()
    problem = pose(layered_space(), OBJECTIVES)

    def submit(architecture: Architecture, attempt: int) -> None:
        record.write(kind="submit", architecture=architecture.to_json(), attempt=attempt)

    def settle(evaluation: Evaluation) -> None:
        record.write(
            kind="evaluation",
            architecture=evaluation.architecture.to_json(),
            state=evaluation.state,
            values=dict(evaluation.values),
            failure_kind=evaluation.failure_kind,
            failure_message=evaluation.failure_message,
            attempt=evaluation.attempt,
            time=time.time(),
        )

    course = Course(
        evaluations=evaluations,
        history=tuple(record.evaluations),
        pending=tuple(record.pending.items()),
        on_submit=submit,
        on_evaluation=settle,
        stop=stop,
    )
    make, arrays = MakeEvaluator(seconds), {"one": np.ones(100_000)}
    serial = workers == "serial"
    with SerialExecutor(make(arrays)) if serial else RayPool(make, arrays, workers=int(workers)) as executor:
        record.write(kind="started", driver=os.getpid())
        result = run(problem, create_algorithm("nsga2", problem, SEED), executor, course)
    record.write(kind="ended", reason=result.reason)


if __name__ == "__main__":
    try:
        main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
    except RunnerError as found:
        sys.stderr.write(f"{type(found).__name__}: {found}\n")
        sys.exit(found.exit_code)
