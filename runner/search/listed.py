"""Owns the algorithm that proposes what it was given, in that order: for designed samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.search.evaluation import Evaluation
    from search_spaces import Architecture


class Listed:
    """Proposes each architecture of a list once, and learns nothing."""

    def __init__(self, architectures: Iterable[Architecture]) -> None:
        self._waiting = dict.fromkeys(architectures)

    def tell(self, evaluation: Evaluation) -> None:
        self.expect(evaluation.architecture)

    def expect(self, architecture: Architecture) -> None:
        self._waiting.pop(architecture, None)

    def ask(self, count: int) -> list[Architecture]:
        proposed = list(self._waiting)[: max(count, 0)]
        for architecture in proposed:
            del self._waiting[architecture]
        return proposed
