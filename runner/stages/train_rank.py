"""Training of the shared weights of a study as one of several processes, which have nothing but a description of it.

Owns how a rank rebuilds what it trains; needs neither the record nor Ray.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from runner.process import settle
from runner.recipes import open_teacher, sampler_of
from runner.registered.values import NOTHING, Registered
from runner.study import recorded_spec
from runner.validation import resolve
from supernet.training.checkpoint import Checkpoints
from supernet.training.supernet import train_supernet

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.pretrained.ranked import LayerRanks
    from supernet.training.loop import LoopConfig, Watcher
    from supernet.training.reducer import Reducer


@dataclass(frozen=True, kw_only=True)
class RankJob:
    """Everything a rank needs, in a few lines: the weights it begins with are in the newest checkpoint."""

    spec: str  # of the study, as JSON
    config: LoopConfig
    folder: Path  # of the checkpoints
    threads: int = 1
    gpu: bool = False  # train on the current CUDA device
    registered: Registered = NOTHING  # a rank does not look into the state folder
    layer_ranks: LayerRanks = ()  # of pretrained weights

    def __call__(self, reducer: Reducer, watcher: Watcher) -> None:
        """Train to the end, or until any rank is asked to stop.  Raises what `Loop.run` raises."""
        settle()
        torch.set_num_threads(self.threads)
        planned = resolve(recorded_spec(self.spec, "trained"), self.registered)
        weights = planned.shared_weights(layer_ranks=self.layer_ranks)
        train_supernet(
            weights.to("cuda") if self.gpu else weights,
            planned.task,
            sampler_of(planned.spec.train, planned.space),
            self.config,
            distillation=planned.spec.train.distillation,
            teacher=open_teacher(planned),
            checkpoints=Checkpoints(self.folder),
            watcher=watcher,
            reducer=reducer,
        )
