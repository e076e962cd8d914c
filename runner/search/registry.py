"""Owns the names of the algorithms. Their modules are imported when one is asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from typing import TYPE_CHECKING

from runner.search.errors import UnknownAlgorithm

if TYPE_CHECKING:
    from runner.search.problem import Problem
    from runner.search.protocol import Algorithm, AlgorithmFactory

# name -> module and class; Optuna and SciPy take a second to import, so nothing is imported here.
_ALGORITHMS = {
    "random": ("runner.search.random_search", "RandomSearch"),
    "nsga2": ("runner.search.nsga2", "Nsga2"),
    "surrogate": ("runner.search.surrogate", "Surrogate"),
}


def algorithm_names() -> tuple[str, ...]:
    """The names that `search` accepts."""
    return tuple(_ALGORITHMS)


def create_algorithm(name: str, problem: Problem, seed: int) -> Algorithm:
    """A new algorithm that was told nothing yet."""
    if name not in _ALGORITHMS:
        near = difflib.get_close_matches(str(name), _ALGORITHMS, n=1, cutoff=0.3)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnknownAlgorithm(f"unknown algorithm {name!r}{hint} Allowed: {', '.join(_ALGORITHMS)}")
    module, attribute = _ALGORITHMS[name]
    factory: AlgorithmFactory = getattr(import_module(module), attribute)
    return factory(problem, seed)
