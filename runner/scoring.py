"""Scores of architectures with shared weights: the work of one evaluation, here or in a worker process.

Owns how a worker rebuilds what it needs from the specification and mapped arrays.  Who runs how many of these at a
time is the executor's business.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from runner.registered.values import NOTHING, Registered
from runner.study import recorded_spec
from runner.validation import resolve
from supernet.training.loop import LoopConfig
from supernet.training.supernet import score_inherited

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from runner.study import StudySpec
    from runner.validation import Plan
    from search_spaces import Architecture
    from supernet.pretrained.ranked import LayerRanks
    from supernet.shared_weights import SharedWeights
    from supernet.training.precision import Precision


class Scorer:
    """Validation metrics of an architecture with shared weights; all NaN where any is not finite.

    An error rate of outputs that are NaN would be a number like any other.
    """

    def __init__(self, plan: Plan, weights: SharedWeights) -> None:
        self._plan = plan
        self._weights = weights
        self._config = train_config(plan.spec)

    def __call__(self, architecture: Architecture) -> dict[str, float]:
        scores = score_inherited(self._weights, architecture, self._plan.task, self._config)
        if all(math.isfinite(score) for score in scores.values()):
            return scores
        return dict.fromkeys(scores, math.nan)


@dataclass(frozen=True, kw_only=True)
class ScorerFactory:
    """Makes the scorer of a study from its specification and the arrays of its shared weights, in any process.

    The arrays are looked into, not copied: they may be read-only.
    """

    spec: str  # JSON
    name: str
    registered: Registered = NOTHING  # a worker does not look into the state folder
    layer_ranks: LayerRanks = ()

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> Scorer:
        plan = resolve(recorded_spec(self.spec, self.name), self.registered)
        return Scorer(plan, shared_weights_of(plan, arrays, self.layer_ranks))


def shared_weights_of(plan: Plan, arrays: Mapping[str, NDArray[Any]], layer_ranks: LayerRanks) -> SharedWeights:
    """Shared weights that look into arrays, to be scored or extracted; nobody trains them."""
    return plan.shared_weights({name: _tensor(array) for name, array in arrays.items()}, layer_ranks).eval()


def arrays_of(weights: SharedWeights) -> dict[str, NDArray[Any]]:
    """The shared tensors as arrays, by name; they share memory with the weights."""
    return {name: parameter.detach().numpy() for name, parameter in weights.named_parameters()}


def train_config(spec: StudySpec, precision: Precision = "fp32") -> LoopConfig:
    """How the supernet of a study is trained."""
    train = spec.train
    return LoopConfig(
        steps=max(1, train.steps),  # of a study that trains nothing, only the batches are asked for
        batch=train.batch,
        learning_rate=train.learning_rate,
        weight_decay=train.weight_decay,
        warmup=train.warmup,
        label_smoothing=train.label_smoothing,
        accumulate=train.accumulate,
        ema=train.ema,
        precision=precision,
        seed=spec.seed,
    )


def _tensor(array: NDArray[Any]) -> Tensor:
    with warnings.catch_warnings():
        # Nobody writes to them: they need no gradients, and the pages may be protected.
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable", category=UserWarning)
        return torch.from_numpy(array)
