"""Owns what an algorithm is to the engine, and the record that every algorithm keeps of what it was told."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Protocol

from runner.search.supply import Supply

if TYPE_CHECKING:
    from runner.search.evaluation import Evaluation
    from runner.search.problem import Problem
    from search_spaces import Architecture


class Algorithm(Protocol):
    """Proposes architectures and learns from their evaluations.

    All of its state follows from what it was told and asked: a new instance that is told the same evaluations
    proposes the same architectures. Evaluations may be told in another order than asked for, and without
    having been asked for.
    """

    def tell(self, evaluation: Evaluation) -> None:
        """Learn the result of one evaluation, complete or failed."""
        ...

    def expect(self, architecture: Architecture) -> None:
        """Note that an architecture is under way without having been asked for: a former run began it."""
        ...

    def ask(self, count: int) -> list[Architecture]:
        """Up to so many architectures neither told nor asked before; fewer only where none is left."""
        ...


class AlgorithmFactory(Protocol):
    """Makes an algorithm for a problem and a seed."""

    def __call__(self, problem: Problem, seed: int) -> Algorithm: ...


class Record:
    """What was told and what is pending, with randomness that depends on nothing else."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self.problem = problem
        self.seed = seed
        self.told: list[Evaluation] = []
        self.pending: dict[Architecture, None] = {}  # in the order in which they were asked for
        self.supply = Supply(problem)

    def tell(self, evaluation: Evaluation) -> None:
        """Note an evaluation; its architecture is pending no longer."""
        self.told.append(evaluation)
        self.pending.pop(evaluation.architecture, None)
        self.supply.take(evaluation.architecture)

    def promise(self, architecture: Architecture) -> None:
        """Note that an architecture was asked for."""
        self.pending[architecture] = None
        self.supply.take(architecture)

    @property
    def position(self) -> int:
        """How many architectures were told or asked so far: the number of the next proposal."""
        return len(self.told) + len(self.pending)

    def rng(self, purpose: str) -> random.Random:
        """Randomness for the next proposal, from the seed and the numbers told and pending alone."""
        return stream(purpose, self.seed, len(self.told), len(self.pending))


def stream(purpose: str, *numbers: int) -> random.Random:
    """Randomness that depends on a purpose and numbers alone."""
    # A string seeds by its SHA-512, the same in every process (unlike hash()).
    return random.Random("/".join([purpose, *map(str, numbers)]))
