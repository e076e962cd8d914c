"""A child whose studies are searches over a table: everything around a study is real, only training is missing.

Run like `runner.workers.child`.  Without torch it starts in half a second.
"""

from __future__ import annotations

import os
import random
import sys
import time
import types
from typing import TYPE_CHECKING, Any

from runner.errors import Interrupted
from runner.parallel.serial import SerialExecutor
from runner.search.engine import Course
from runner.search.engine import run as run_engine
from runner.search.evaluation import Evaluation
from runner.search.problem import pose
from runner.search.registry import create_algorithm
from runner.store.patience import patiently
from runner.store.records import NewEvaluation, NewReservation, ValueRecord
from search_spaces import Architecture, SearchSpace
from tests.runner.workers.tables import BUDGET, SECONDS_VARIABLE, SPACE

if TYPE_CHECKING:
    from runner.progress import Reporter, Stop
    from runner.store.records import StudyRecord
    from runner.store.repository import Repository


def run(study: StudyRecord, repository: Repository, home: object, reporter: Reporter, stop: Stop, **_: Any) -> None:
    """Search a table, as `runner.pipeline.run` runs a study."""
    state = repository.study(study.id).state
    if state == "running":
        repository.transition_study(study.id, "running", "interrupted", "its process ended without a word")
        state = "interrupted"
    repository.transition_study(study.id, state, "running")
    owner = f"{study.lease_owner}/{study.lease_attempt}"

    def commit(action: Any) -> Any:
        return patiently(action, patience_s=60, waiting=reporter.note, stop=stop, rng=random.Random())

    left = commit(lambda: repository.take_over(study.id, owner))
    done = repository.evaluations(study.id)
    problem = pose(SearchSpace(SPACE), {"error": "minimize", "cost": "minimize"})

    def reserve(architecture: Architecture, attempt: int) -> None:
        wanted = NewReservation(**key(architecture))
        commit(lambda: repository.reserve(study.id, wanted, owner=owner, lease_seconds=60, budget=BUDGET))

    def settle(evaluation: Evaluation) -> None:
        values = tuple(
            ValueRecord(metric=name, value=value, provenance="inherited") for name, value in evaluation.values.items()
        )
        row = NewEvaluation(**key(evaluation.architecture), values=values)
        commit(lambda: repository.settle(study.id, owner, evaluation.attempt, row))
        reporter.progress(1, 1, evaluation.architecture.digest)

    course = Course(
        evaluations=BUDGET,
        history=tuple(
            Evaluation.complete(
                Architecture.from_json(one.architecture_json), {value.metric: value.value for value in one.values}
            )
            for one in done
        ),
        pending=tuple((Architecture.from_json(one.architecture_json), one.attempt) for one in left),
        on_submit=reserve,
        on_evaluation=settle,
        stop=stop,
    )
    result = run_engine(problem, create_algorithm("random", problem, study.seed), SerialExecutor(looked_up), course)
    if result.reason == "stopped":
        repository.transition_study(study.id, "running", "interrupted", "stopped as asked")
        raise Interrupted("stopped as asked")
    repository.transition_study(study.id, "running", "complete")


def key(architecture: Architecture) -> dict[str, Any]:
    """What names an evaluation."""
    return {
        "digest": architecture.digest,
        "architecture_json": architecture.to_json(),
        "fidelity": "inherited",
        "seed": 0,
        "origin": "search",
    }


def looked_up(architecture: Architecture) -> dict[str, float]:
    """A row of the table."""
    time.sleep(float(os.environ.get(SECONDS_VARIABLE, "0.05")))
    return {"error": 1.0 / (1 + architecture["a"]), "cost": float(architecture["a"] + architecture["b"])}


if __name__ == "__main__":
    import runner
    from runner.workers import child

    table = types.ModuleType("runner.pipeline")
    table.run = run  # type: ignore[attr-defined]
    sys.modules["runner.pipeline"] = runner.pipeline = table  # type: ignore[attr-defined]
    child.main()
