"""Owns random search: every architecture that is left is equally likely. The baseline for everything else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.search.protocol import Record

if TYPE_CHECKING:
    from runner.search.evaluation import Evaluation
    from runner.search.problem import Problem
    from search_spaces import Architecture


class RandomSearch:
    """Draws without replacement."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._record = Record(problem, seed)

    def tell(self, evaluation: Evaluation) -> None:
        self._record.tell(evaluation)

    def expect(self, architecture: Architecture) -> None:
        self._record.promise(architecture)

    def ask(self, count: int) -> list[Architecture]:
        proposals: list[Architecture] = []
        for _ in range(count):
            architecture = self._record.supply.draw(self._record.rng("random"))
            if architecture is None:
                break
            self._record.promise(architecture)
            proposals.append(architecture)
        return proposals
