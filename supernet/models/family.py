"""What Supernaut must know of a model family beside its search space: how it is built, shared, timed and counted.

Owns the type; each family's file in this package fills it in, and `registry` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

    from supernet.pretrained.coupling import Couplings
    from supernet.skeleton import Build
    from supernet.slicing import Layout
    from supernet.tasks.task import Task

LATENCY = "latency_ms"  # the names of other latencies end with it
CONTEXT_TOKENS = 1024  # at which costs and latencies that grow with the context are given, if a study does not say


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One thing to export and time: a module and an example of its inputs, each with a batch axis of two or more."""

    module: nn.Module
    inputs: tuple[Tensor, ...]


def whole(module: nn.Module, example: Tensor, tokens: int) -> Workload:
    """A forward pass of the whole network on the task's own input."""
    del tokens
    return Workload(module=module, inputs=(example,))


@dataclass(frozen=True, kw_only=True)
class ModelFamily:
    """A model family.

    `builder(task)` gives `build(architecture)`, and raises `IncompatibleTask` for a task whose inputs or targets it
    cannot take.  `latencies` and `costs` are the metrics that this family has beside those that every module has; they
    are functions of a module, and of the number of tokens of context where that matters.  `layouts` says, by pattern of
    parameter name, where leading slices are wrong; what a layer's class declares beside itself need not stand there.
    `example()` makes a small task of random samples that the family can be built for.  `couplings` lists what can be
    ordered by importance in pretrained weights; `residual_layers` are patterns of the paths of lists of layers that can
    be ranked.
    """

    name: str
    builder: Callable[[Task], Build]
    latencies: Mapping[str, Callable[[nn.Module, Tensor, int], Workload]] = field(
        default_factory=lambda: {LATENCY: whole}
    )
    costs: Mapping[str, Callable[[nn.Module, int], float]] = field(default_factory=dict)
    layouts: Mapping[str, Layout] = field(default_factory=dict)
    example: Callable[[], Task] | None = None
    couplings: Couplings = ()
    residual_layers: tuple[str, ...] = ()
