"""What tests ask of a study's record after something went wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from runner.front import best_values, read_front
from runner.settings import Home
from runner.store import open_repository

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.store import EvaluationRecord, Repository


def rows(home: Path, name: str) -> list[EvaluationRecord]:
    with open_repository(Home(home).database) as repository:
        return list(repository.evaluations(repository.study(name).id))


def scores(home: Path, name: str) -> list[tuple[str, str, float]]:
    """What a study found, without what depends on a clock."""
    return [
        (row.digest, row.fidelity, value.value)
        for row in rows(home, name)
        for value in row.values
        if value.metric == "error"
    ]


def check_invariants(repository: Repository, name: str) -> None:
    """What must hold of a record after every fault, whatever it was."""
    study = repository.study(name)
    evaluations = repository.evaluations(study.id)
    keys = [(row.digest, row.fidelity, row.seed) for row in evaluations]
    assert len(keys) == len(set(keys)), "an evaluation was counted twice"
    assert [row.sequence for row in evaluations] == list(range(1, len(evaluations) + 1))
    events = [event.sequence for event in repository.events(study.id)]
    assert events == list(range(1, len(events) + 1))
    spec = json.loads(study.spec)
    reserved = repository.reservations(study.id)
    inherited = sum(row.fidelity == "inherited" for row in evaluations)
    assert inherited + len(reserved) <= spec["search"]["evaluations"], "the budget was overspent"
    assert not {row.digest for row in reserved} & {row.digest for row in evaluations if row.fidelity == "inherited"}
    front = read_front(study, repository)
    best = {point.architecture.digest for point in front.points}
    assert best == _front_by_definition(evaluations, front.goals), "the front is not the non-dominated set of the rows"
    assert not [point for point in front.points if point.predicted(front.goals)], "a predicted point on the front"


def _front_by_definition(rows: Sequence[EvaluationRecord], goals: Mapping[str, str]) -> set[str]:
    """Computed anew, pair by pair."""
    vectors = {
        row.digest: [best_values(row.values)[m].value * (1 if g == "minimize" else -1) for m, g in goals.items()]
        for row in rows
        if row.fidelity == "inherited" and row.state == "complete"
    }

    def dominates(first: list[float], second: list[float]) -> bool:
        return first != second and all(a <= b for a, b in zip(first, second, strict=True))

    return {digest for digest, own in vectors.items() if not any(dominates(other, own) for other in vectors.values())}
