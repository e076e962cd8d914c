"""The training loop: batches, schedule, clipping, optimizer, health, checkpoints, exact resume, going back.

It is the same for a supernet and for a single network; what one step does is a `Step` that the caller gives.
All randomness of step `n` is derived from the seed and `n`, so a resumed run is the uninterrupted one, bit by
bit on the CPU.

Several processes may train one model together, each on its rows of every batch, with the same weights and decisions
(`Reducer`).  Only rank 0 measures, writes checkpoints and tells.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import Tensor, nn

from supernet.errors import CheckpointError, NonFiniteLoss, TrainingCollapsed, TrainingError
from supernet.training.averaging import Average
from supernet.training.batches import Batch, divided
from supernet.training.collapse import MOST_ROLLBACKS, RATE_CUT, CollapseRule, Rollback
from supernet.training.optimizer import learning_rate, optimizer_of
from supernet.training.precision import PRECISIONS, Precision, computing_in
from supernet.training.reducer import Alone, Reducer, any_rank, reduce_gradients, take_over
from supernet.training.snapshot import collect, model_state, put_back

if TYPE_CHECKING:
    from supernet.tasks.task import Task
    from supernet.training.checkpoint import Checkpoint, Checkpoints


Step = Callable[[Batch], Tensor]
"""What to do with a batch: returns its own mean loss, after `batch.backward` of it."""

Health = Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How to train.  Linear warm-up, then a cosine to zero; decoupled weight decay on matrices only.

    A warm-up of 0.3 makes it a one-cycle rate (Smith & Topin 2018).
    """

    steps: int
    batch: int = 128
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    warmup: float = 0.1  # share of the steps
    clip_norm: float = 1.0  # of the whole gradient
    label_smoothing: float = 0.0  # of the targets, wherever labels are learnt
    accumulate: int = 1  # parts of a batch, computed one after another for one update
    ema: float | None = None  # decay of the averaged weights, which are then what is scored and used
    checkpoint_every: int = 200  # steps
    health_every: int = 100  # steps
    precision: Precision = "fp32"  # of the products in a step; weights and scores are always fp32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise TrainingError(f"precision is one of {', '.join(PRECISIONS)}; got {self.precision!r}.")
        for name in ("steps", "batch", "checkpoint_every", "health_every", "accumulate"):
            if getattr(self, name) < 1:
                raise TrainingError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("learning_rate", "clip_norm"):
            if not 0 < getattr(self, name) < math.inf:
                raise TrainingError(f"{name} must be a positive number, got {getattr(self, name)}.")
        if not 0 <= self.weight_decay < math.inf:
            raise TrainingError(f"weight_decay must be zero or a positive number, got {self.weight_decay}.")
        if not 0 <= self.warmup <= 1:
            raise TrainingError(f"warmup is a share of the steps, between 0 and 1; got {self.warmup}.")
        if not 0 <= self.label_smoothing < 1:
            raise TrainingError(f"label_smoothing must be at least 0 and below 1, got {self.label_smoothing}.")
        if self.ema is not None and not 0 < self.ema < 1:
            raise TrainingError(f"ema is a decay between 0 and 1, or None for no averaging; got {self.ema}.")


@dataclass(frozen=True)
class HealthPoint:
    """What a health check saw after a step.

    `values` are for people; `wrong`, the share of wrong predictions by subnet, is what a collapse shows in.
    """

    step: int
    values: Health
    wrong: Health = field(default_factory=dict)

    def plain(self) -> list[Any]:
        """As JSON has it; the constructor takes the parts back."""
        return [self.step, dict(self.values), dict(self.wrong)]


@dataclass(frozen=True, kw_only=True)
class Watcher:
    """Those who follow a run: each is called between steps and must not change anything.

    Of several processes, any may be asked to stop and only rank 0 tells.  `rollback` hears of each return to a
    checkpoint, and when a run is resumed again of all those before.
    """

    progress: Callable[[int, int, float], None] = lambda step, steps, loss: None
    health: Callable[[HealthPoint], None] = lambda point: None
    rollback: Callable[[Rollback], None] = lambda rollback: None
    stop: Callable[[], bool] = lambda: False


class Stopped(Exception):
    """Training stopped between two steps because it was asked to; a checkpoint of that step was written."""


class _NotFinite(Exception):
    """A step's loss or gradient is NaN or infinite; nothing was updated."""


@dataclass
class _Run:
    """What changes while a loop runs.  All but `saved` is in a checkpoint."""

    optimizer: torch.optim.Optimizer
    average: Average | None
    step: int = 0  # how many were done
    curve: list[HealthPoint] = field(default_factory=list)
    rollbacks: list[Rollback] = field(default_factory=list)
    # The newest two regular checkpoints that their own or a later check found healthy, the older one first.
    healthy: tuple[int, ...] = (0,)
    saved: int = 0  # the step of the newest checkpoint


@dataclass(frozen=True, kw_only=True)
class Loop:
    """One training run of `model` on the training split of `task`.

    `run` trains to the end, from the newest checkpoint where there is one.  With a `rule`, a run that collapses goes
    back to its last healthy checkpoint and on from there with half the learning rate, up to `MOST_ROLLBACKS` times.
    """

    model: nn.Module
    task: Task
    step: Step
    config: LoopConfig
    checkpoints: Checkpoints | None = None
    measure_health: Callable[[int], HealthPoint] | None = None
    rule: CollapseRule | None = None
    watcher: Watcher = field(default_factory=Watcher)
    reducer: Reducer = field(default_factory=Alone)

    def run(self) -> list[HealthPoint]:
        """Train; return the health curve.  The model then holds the averaged weights, where they are asked for.

        Raises `NonFiniteLoss`, `TrainingCollapsed`, `CheckpointError` or `Stopped`, and `RankFailed` where another
        process failed.
        """
        run = self._begin()
        while run.step < self.config.steps:
            if any_rank(self.reducer, self.watcher.stop()):
                if run.saved < run.step:
                    self._save(run)
                raise Stopped(f"stopped after step {run.step} of {self.config.steps}")
            try:
                loss = self._one_step(run)
            except _NotFinite as found:
                self._go_back(run, str(found), finite=False)
                continue
            self._told.progress(run.step, self.config.steps, loss)
            collapse = self._check(run)
            if collapse is not None:
                self._go_back(run, collapse)
            elif run.step % self.config.checkpoint_every == 0 or run.step == self.config.steps:
                self._save(run)
        if run.average is not None:
            run.average.put()
        return run.curve

    @property
    def _told(self) -> Watcher:
        """Who hears of this process."""
        return self.watcher if self.reducer.rank == 0 else Watcher()

    def _one_step(self, run: _Run) -> float:
        rate = self._rate(run)
        for group in run.optimizer.param_groups:
            group["lr"] = rate
        run.optimizer.zero_grad(set_to_none=True)
        # All rows on every rank, which then computes its own: what is random about them is drawn for the whole batch.
        inputs, targets = batch_of(self.task, run.step, self.config)
        rank, ranks, device = self.reducer.rank, self.reducer.ranks, next(self.model.parameters()).device
        loss = 0.0
        with torch.random.fork_rng(devices=[]):  # dropout and the like
            torch.manual_seed(derive_seed(self.config.seed, "step", run.step, *([rank] if ranks > 1 else [])))
            with computing_in(self.config.precision, device.type):
                for batch in divided(run.step, inputs, targets, self.config.accumulate, rank=rank, ranks=ranks):
                    loss += batch.share * float(self.step(batch.on(device)).detach())
        loss = reduce_gradients(self.reducer, list(self.model.parameters()), loss)
        # From here on all ranks compute the same from the same.
        if not math.isfinite(loss):
            raise _NotFinite(f"the loss became {loss}")
        norm = float(nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm))
        if not math.isfinite(norm):
            raise _NotFinite(f"the gradient's norm became {norm}")
        run.optimizer.step()
        run.step += 1
        if run.average is not None:
            run.average.update(run.step)
        return loss

    def _rate(self, run: _Run) -> float:
        return learning_rate(run.step, self.config) * RATE_CUT ** len(run.rollbacks)

    def _check(self, run: _Run) -> str | None:
        """Measure health where it is due; what has collapsed, in words, or None."""
        last = run.step == self.config.steps
        if self.measure_health is None or not (run.step % self.config.health_every == 0 or last):
            return None
        measure = self.measure_health

        def measured() -> list[Any]:
            with run.average.in_place() if run.average is not None else nullcontext():
                return measure(run.step).plain()

        point = HealthPoint(*self.reducer.agree(measured))
        run.curve.append(point)
        self._told.health(point)
        if self.rule is None:
            return None
        if self._fine(run):
            self._trust(run, self._regular(run.step - 1))  # of this step there is none yet
        return self.rule.verdict([point.wrong for point in run.curve], last=last)

    def _go_back(self, run: _Run, reason: str, *, finite: bool = True) -> None:
        """Return to the last healthy checkpoint with a lower learning rate, or raise where that is not possible."""
        if self.checkpoints is None or self.rule is None or len(run.rollbacks) == MOST_ROLLBACKS:
            self._give_up(run, reason, finite=finite)
        # Not to where it stands: from there nothing but the same would follow.
        earlier = [step for step in run.healthy if step < run.step]
        checkpoint = self._newest(at_most=earlier[-1]) if earlier else None
        if checkpoint is None:
            self._give_up(run, reason, finite=finite)
        rollback = Rollback(len(run.rollbacks) + 1, run.step, checkpoint.step, reason)
        # The checkpoint does not know all of them if training went back beyond it before.
        rollbacks = [*run.rollbacks, rollback]
        healthy = (*(step for step in run.healthy if step < checkpoint.step), checkpoint.step)
        self._put_back(run, checkpoint)
        run.rollbacks, run.healthy = rollbacks, healthy
        self._save(run)
        self._told.rollback(rollback)

    def _give_up(self, run: _Run, reason: str, *, finite: bool) -> NoReturn:
        try:
            last = self.checkpoints.latest(at_most=run.healthy[-1] if self.rule else None) if self.checkpoints else None
            kept = f"the last good checkpoint is {last.path}" if last else "no checkpoint had been written"
        except CheckpointError as error:
            kept = str(error).rstrip(".")
        if finite or run.rollbacks:
            before = "; ".join(map(str, run.rollbacks))
            raise TrainingCollapsed(
                f"training collapsed after step {run.step} of {self.config.steps} (learning rate {self._rate(run):.2e})"
                f": {reason}; {kept}{f'. It had gone back before: {before}' if before else ''}. Lower the learning "
                "rate, lengthen the warm-up, narrow the space, or look for damaged data."
            )
        raise NonFiniteLoss(
            f"{reason} at step {run.step + 1} of {self.config.steps} (learning rate {self._rate(run):.2e}); {kept}. "
            "Lower the learning rate, lengthen the warm-up, or look for non-finite values in the data."
        )

    def _begin(self) -> _Run:
        """Where the newest checkpoint left off, or the beginning, of which a checkpoint is made."""
        checkpoint = self._newest()
        if checkpoint is None:
            take_over(self.reducer, list(model_state(self.model).values()))
        run = _new_run(self.model, self.config)
        if checkpoint is None:
            self._save(run)  # a folder that cannot be written is found before the work is done
            return run
        if checkpoint.metadata.get("config") != asdict(self.config):
            raise CheckpointError(
                f"{checkpoint.path} was made with other settings than these; train in another folder, or "
                "delete this one."
            )
        ranks = checkpoint.metadata.get("ranks", 1)
        if ranks != self.reducer.ranks:
            raise CheckpointError(
                f"{checkpoint.path} was made by {ranks} processes that trained together and can only be continued by "
                f"as many, not by {self.reducer.ranks}: what each of them draws at random depends on it."
            )
        self._put_back(run, checkpoint)
        for rollback in run.rollbacks:  # the process may have been killed before the last one was told
            self._told.rollback(rollback)
        return run

    def _newest(self, *, at_most: int | None = None) -> Checkpoint | None:
        """The newest checkpoint that rank 0 can read, of a step up to `at_most`, on every rank."""
        if self.checkpoints is None:
            return None
        checkpoints = self.checkpoints
        found: list[Checkpoint | None] = []

        def newest() -> int | None:
            found.append(checkpoints.latest(at_most=at_most))
            return found[0].step if found[0] else None

        step = self.reducer.agree(newest)
        if step is None:
            return None
        checkpoint = found[0] if found else checkpoints.latest(at_most=step)
        if checkpoint is None or checkpoint.step != step:
            raise CheckpointError(
                f"process {self.reducer.rank + 1} of {self.reducer.ranks} does not find the checkpoint of step {step} "
                f"in {checkpoints.folder}; all of them must see this folder under the same path."
            )
        return checkpoint

    def _put_back(self, run: _Run, checkpoint: Checkpoint) -> None:
        put_back(checkpoint.tensors, self.model, run.average, run.optimizer, str(checkpoint.path))
        run.step = checkpoint.step
        run.curve, run.rollbacks = curve_of(checkpoint), rollbacks_of(checkpoint)
        run.healthy = tuple(checkpoint.metadata["healthy"])
        run.saved = run.step

    def _save(self, run: _Run) -> None:
        if self.checkpoints is None:
            return
        regular = self._regular(run.step)
        if run.curve and run.curve[-1].step == regular == run.step and self._fine(run):
            self._trust(run, run.step)
        checkpoints, keep = self.checkpoints, {*run.healthy, regular} if self.rule else ()

        def save() -> None:
            tensors = collect(self.model, run.average, run.optimizer)
            checkpoints.save(run.step, tensors, _metadata(run, self.config, self.reducer.ranks), keep=keep)

        self.reducer.agree(save)
        run.saved = run.step

    def _fine(self, run: _Run) -> bool:
        return self.rule is not None and self.rule.fine([point.wrong for point in run.curve])

    def _trust(self, run: _Run, step: int) -> None:
        run.healthy = (*run.healthy, step)[-2:] if step > run.healthy[-1] else run.healthy

    def _regular(self, step: int) -> int:
        """The newest step up to this one of which a run makes a checkpoint, whether or not it was ever stopped."""
        return step // self.config.checkpoint_every * self.config.checkpoint_every


def begin(model: nn.Module, config: LoopConfig, checkpoints: Checkpoints, ranks: int) -> None:
    """Write the checkpoint with which `ranks` processes begin, unless there is one: they need not know where from."""
    if checkpoints.latest() is None:
        run = _new_run(model, config)
        checkpoints.save(run.step, collect(model, run.average, run.optimizer), _metadata(run, config, ranks))


def _new_run(model: nn.Module, config: LoopConfig) -> _Run:
    average = Average(model_state(model), config.ema) if config.ema is not None else None
    return _Run(optimizer_of(model, config), average)


def _metadata(run: _Run, config: LoopConfig, ranks: int) -> dict[str, Any]:
    return {
        "config": asdict(config),
        "ranks": ranks,
        "health": [point.plain() for point in run.curve],
        "rollbacks": [rollback.to_json() for rollback in run.rollbacks],
        "healthy": run.healthy,
    }


def curve_of(checkpoint: Checkpoint) -> list[HealthPoint]:
    """The health checks up to a checkpoint."""
    return [HealthPoint(*point) for point in checkpoint.metadata["health"]]


def rollbacks_of(checkpoint: Checkpoint) -> list[Rollback]:
    """Each return to a checkpoint before this one."""
    return [Rollback.from_json(data) for data in checkpoint.metadata["rollbacks"]]


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
