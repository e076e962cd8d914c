"""Search: find the architectures that trade the objectives best, with any evaluator.

`search` is the whole public surface for a caller; the parts are for the pipeline and for executors of their
own. Names are imported when first used, so that importing this package stays cheap.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runner.parallel.resources import Resources
    from runner.parallel.serial import SerialExecutor
    from runner.search.engine import Course, Evaluator, Executor, run, search
    from runner.search.errors import InvalidProblem, SearchError, SearchFailed, UnknownAlgorithm
    from runner.search.evaluation import Evaluation
    from runner.search.outcome import FAILURE_KINDS, Failure, FailureKind, Outcome
    from runner.search.pareto import hypervolume, knee, non_dominated
    from runner.search.problem import Problem, pose
    from runner.search.protocol import Algorithm
    from runner.search.registry import algorithm_names, create_algorithm
    from runner.search.result import SearchResult

__all__ = [
    "search",
    "SearchResult",
    "Evaluation",
    "Evaluator",
    "Problem",
    "pose",
    "Algorithm",
    "algorithm_names",
    "create_algorithm",
    "Executor",
    "Outcome",
    "Failure",
    "FailureKind",
    "FAILURE_KINDS",
    "SerialExecutor",
    "Resources",
    "Course",
    "run",
    "non_dominated",
    "hypervolume",
    "knee",
    "SearchError",
    "InvalidProblem",
    "UnknownAlgorithm",
    "SearchFailed",
]

_MODULES = {
    "runner.parallel.resources": ("Resources",),
    "runner.parallel.serial": ("SerialExecutor",),
    "runner.search.engine": ("search", "Evaluator", "Executor", "Course", "run"),
    "runner.search.errors": ("SearchError", "InvalidProblem", "UnknownAlgorithm", "SearchFailed"),
    "runner.search.evaluation": ("Evaluation",),
    "runner.search.outcome": ("FAILURE_KINDS", "Failure", "FailureKind", "Outcome"),
    "runner.search.pareto": ("non_dominated", "hypervolume", "knee"),
    "runner.search.problem": ("Problem", "pose"),
    "runner.search.protocol": ("Algorithm",),
    "runner.search.registry": ("algorithm_names", "create_algorithm"),
    "runner.search.result": ("SearchResult",),
}


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


class _CallablePackage(ModuleType):
    """`from runner import search` gives this package as soon as any of its modules was imported.

    Python binds a subpackage in its parent under its own name, which is also the name of the function;
    calling either does the same.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return import_module("runner.search.engine").search(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
