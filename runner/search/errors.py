"""Owns the errors of the search. Other packages' errors pass through unchanged.

SearchError (ValueError)
|-- InvalidProblem      the question itself is wrong: goals, bounds, costs, candidates, budget
|-- UnknownAlgorithm    no algorithm has this name
`-- SearchFailed        the evaluator failed so often in a row that going on would waste the budget
"""

from __future__ import annotations

__all__ = ["InvalidProblem", "SearchError", "SearchFailed", "UnknownAlgorithm"]


class SearchError(ValueError):
    """A search that cannot be started or cannot go on."""


class InvalidProblem(SearchError):
    """The objectives, costs, bounds, candidates or budget contradict each other or the space."""


class UnknownAlgorithm(SearchError):
    """The name of the algorithm is not registered."""


class SearchFailed(SearchError):
    """Too many evaluations failed one after the other; the message carries the first cause."""
