"""The training loop: batches, schedule, clipping, optimizer, health, checkpoints, exact resume.

It is the same for a supernet and for a single network; what one step does is a `Step` that the caller gives.
All randomness of step `n` is derived from the seed and `n`, so a resumed run is the uninterrupted one, bit by
bit on the CPU.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from supernet.errors import CheckpointError, NonFiniteLoss, TrainingError
from supernet.training.precision import PRECISIONS, Precision, computing_in

if TYPE_CHECKING:
    from supernet.tasks.task import Task
    from supernet.training.checkpoint import Checkpoints

Step = Callable[[int, Tensor, Tensor], Tensor]
"""(step, inputs, targets) -> the loss to report; has run `backward` when it returns."""

Health = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How to train.  Linear warm-up, then a cosine to zero; decoupled weight decay on matrices only."""

    steps: int
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of the steps
    clip_norm: float = 1.0  # of the whole gradient
    checkpoint_every: int = 200  # steps
    health_every: int = 100  # steps
    precision: Precision = "fp32"  # of the products in a step; weights and scores are always fp32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise TrainingError(f"precision is one of {', '.join(PRECISIONS)}; got {self.precision!r}.")
        for name in ("steps", "batch", "checkpoint_every", "health_every"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise TrainingError(f"{name} must be a positive number, got {getattr(self, name)}.")
        if not 0 <= self.weight_decay < math.inf:
            raise TrainingError(f"weight_decay must be zero or a positive number, got {self.weight_decay}.")
        if not 0 <= self.warmup <= 1:
            raise TrainingError(f"warmup is a share of the steps, between 0 and 1; got {self.warmup}.")


@dataclass(frozen=True)
class HealthPoint:
    """What a health check saw after a step."""

    step: int
    values: Health


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Those who follow a run: each is called between steps and must not change anything."""

    progress: Callable[[int, int, float], None] = lambda step, steps, loss: None
    health: Callable[[HealthPoint], None] = lambda point: None
    stop: Callable[[], bool] = lambda: False


class Stopped(Exception):
    """Training stopped between two steps because it was asked to; a checkpoint of that step was written."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One training run of `model` on the training split of `task`.

    `run` trains to the end, from the newest checkpoint where there is one.
    """

    model: nn.Module
    task: Task
    step: Step
    config: LoopConfig
    checkpoints: Checkpoints | None = None
    measure_health: Callable[[int], Health] | None = None
    watcher: Watcher = field(default_factory=Watcher)

    def run(self) -> list[HealthPoint]:
        """Train; return the health curve.  Raises `NonFiniteLoss`, `CheckpointError` or `Stopped`."""
        optimizer = _optimizer(self.model, self.config)
        start, curve = self._resume(optimizer)
        if start == 0:
            self._save(start, optimizer, curve)  # a folder that cannot be written is found before the work is done
        saved = start
        for step in range(start, self.config.steps):
            if self.watcher.stop():
                if saved < step:
                    self._save(step, optimizer, curve)
                raise Stopped(f"stopped after step {step} of {self.config.steps}")
            loss = self._one_step(step, optimizer)
            done = step + 1
            self.watcher.progress(done, self.config.steps, loss)
            if self.measure_health and (done % self.config.health_every == 0 or done == self.config.steps):
                point = HealthPoint(done, dict(self.measure_health(done)))
                curve.append(point)
                self.watcher.health(point)
            if self.checkpoints and (done % self.config.checkpoint_every == 0 or done == self.config.steps):
                self._save(done, optimizer, curve)
                saved = done
        return curve

    def _one_step(self, step: int, optimizer: torch.optim.Optimizer) -> float:
        inputs, targets = batch_of(self.task, step, self.config)
        rate = learning_rate(step, self.config)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad(set_to_none=True)
        with torch.random.fork_rng(devices=[]):  # dropout and the like
            torch.manual_seed(derive_seed(self.config.seed, "step", step))
            with computing_in(self.config.precision, inputs.device.type):
                loss = float(self.step(step, inputs, targets).detach())
        if not math.isfinite(loss):
            raise NonFiniteLoss(self._non_finite(step, f"the loss became {loss}"))
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm))
        if not math.isfinite(norm):
            raise NonFiniteLoss(self._non_finite(step, f"the gradient's norm became {norm}"))
        optimizer.step()
        return loss

    def _non_finite(self, step: int, what: str) -> str:
        try:
            last = self.checkpoints.latest() if self.checkpoints else None
            kept = f"the last good checkpoint is {last.path}" if last else "no checkpoint had been written"
        except CheckpointError as error:
            kept = str(error).rstrip(".")
        return (
            f"{what} at step {step + 1} of {self.config.steps} (learning rate "
            f"{learning_rate(step, self.config):.2e}); {kept}. Lower the learning rate, lengthen the "
            "warm-up, or look for non-finite values in the data."
        )

    def _save(self, step: int, optimizer: torch.optim.Optimizer, curve: Sequence[HealthPoint]) -> None:
        if not self.checkpoints:
            return
        tensors = {f"model.{name}": tensor for name, tensor in _state(self.model).items()}
        for name, parameter in self.model.named_parameters():
            for key, value in optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = value
        metadata = {
            "config": asdict(self.config),
            "health": [[point.step, dict(point.values)] for point in curve],
        }
        self.checkpoints.save(step, tensors, metadata)

    def _resume(self, optimizer: torch.optim.Optimizer) -> tuple[int, list[HealthPoint]]:
        checkpoint = self.checkpoints.latest() if self.checkpoints else None
        if checkpoint is None:
            return 0, []
        if checkpoint.metadata.get("config") != asdict(self.config):
            raise CheckpointError(
                f"{checkpoint.path} was made with other settings than these; train in another folder, or "
                "delete this one."
            )
        restore(self.model, checkpoint.tensors, str(checkpoint.path))
        for name, parameter in self.model.named_parameters():
            state = {
                key: checkpoint.tensors[f"optimizer.{key}.{name}"]
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{key}.{name}" in checkpoint.tensors
            }
            for key, value in state.items():
                # The fused optimizer walks through memory: averages must lie in it as the parameter does.
                like = parameter if value.shape == parameter.shape else value
                optimizer.state[parameter][key] = torch.empty_like(like, dtype=value.dtype).copy_(value)
        curve = [HealthPoint(step, values) for step, values in checkpoint.metadata["health"]]
        return checkpoint.step, curve


def restore(model: nn.Module, tensors: Mapping[str, Tensor], origin: str) -> None:
    """Copy the model's part of a checkpoint into `model`, in place.

    Raises `CheckpointError`, and changes nothing, where it does not fit.
    """
    state = _state(model)
    found = {name.removeprefix("model."): tensor for name, tensor in tensors.items() if name.startswith("model.")}
    wrong = [name for name in state.keys() | found.keys() if name not in state or name not in found]
    wrong += [
        name
        for name in state.keys() & found.keys()
        if (state[name].shape, state[name].dtype) != (found[name].shape, found[name].dtype)
    ]
    if wrong:
        raise CheckpointError(f"{origin} belongs to another model: it differs in {', '.join(sorted(wrong)[:4])}.")
    with torch.no_grad():
        for name, tensor in state.items():
            tensor.copy_(found[name])


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Parameters (tied ones once) and buffers by name, the tensors themselves."""
    return {
        **{name: parameter.detach() for name, parameter in model.named_parameters()},
        **dict(model.named_buffers()),
    }


def _optimizer(model: nn.Module, config: LoopConfig) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not trained:
        raise TrainingError("the model has no parameter that can be trained.")
    matrices = [parameter for parameter in trained if parameter.ndim >= 2]
    others = [parameter for parameter in trained if parameter.ndim < 2]
    groups: list[dict[str, Any]] = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, fused=True)


def learning_rate(step: int, config: LoopConfig) -> float:
    """Of a step: linear warm-up from near zero, then half a cosine to zero (Loshchilov & Hutter 2017)."""
    warm = max(1, round(config.steps * config.warmup))
    if step < warm:
        return config.learning_rate * (step + 1) / warm
    progress = (step - warm) / max(1, config.steps - warm)
    return config.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def batch_of(task: Task, step: int, config: LoopConfig) -> tuple[Tensor, Tensor]:
    """The augmented batch of a step: each epoch is a new permutation; a last, smaller batch is left out."""
    size = min(config.batch, len(task.train))
    epoch, position = divmod(step, len(task.train) // size)
    order = torch.randperm(len(task.train), generator=generator(config.seed, "epoch", epoch))
    rows = order[position * size : (position + 1) * size]
    inputs, targets = task.train.read(rows)
    return task.augment(inputs, generator(config.seed, "augment", step)), targets


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from a study's seed and what it is for; unlike sums, no two uses collide."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def generator(*parts: object) -> torch.Generator:
    """A generator of its own, seeded by `derive_seed(*parts)`."""
    return torch.Generator().manual_seed(derive_seed(*parts))
