"""The trials of one training: which settings are tried, which are stopped early, and what is kept of each.

Owns the values, the stopping rule and the small files that are the truth about trials.  How they are run is
`tune_retrain`'s; nothing here needs Ray.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from runner.errors import Conflict, RunnerError, StudyFailed
from supernet.training.checkpoint import write_atomically

Mode = Literal["minimize", "maximize"]
State = Literal["finished", "stopped", "failed"]

# How far around the given settings trials are drawn, as factors.
LEARNING_RATE_FACTORS = (1 / 3, 3.0)
WEIGHT_DECAY_FACTORS = (0.1, 10.0)

RUNG_SHARES = (1 / 2, 3 / 4)  # of the steps

TUNING_FILE = "tuning.json"
TRIAL_FILE = "trial.json"
_VERSION = 1  # of both files


class TuningError(RunnerError):
    """Trials cannot be run as asked."""


class AllTrialsFailed(StudyFailed):
    """No trial came to the end of its training."""


@dataclass(frozen=True, kw_only=True)
class TrialSettings:
    """What distinguishes one trial from the others; trial 0 has the settings that were asked for."""

    index: int
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True)
class Point:
    """Validation metrics of a trial after a step."""

    step: int
    values: Mapping[str, float]


class Trial(Protocol):
    """What the function that trains one trial, in a process of its own, is given."""

    @property
    def settings(self) -> TrialSettings:
        """What to train with."""
        ...

    @property
    def folder(self) -> Path:
        """Where its checkpoints belong.  A trial that is run again finds its earlier ones there."""
        ...

    def report(self, step: int, values: Mapping[str, float]) -> None:
        """Tell the validation metrics after a step; a step told before is ignored.

        Does not return where the trial is to stop early.
        """
        ...

    def stop(self) -> bool:
        """Whether someone asked to stop: write a checkpoint, then raise or return."""
        ...


Train = Callable[[Trial], None]


def trial_grid(learning_rate: float, weight_decay: float, trials: int, seed: int) -> tuple[TrialSettings, ...]:
    """`trials` settings: the given ones first, the others drawn log-uniformly around them.

    The first settings stay the same if `trials` grows.  Raises `TuningError`.
    """
    if trials < 1:
        raise TuningError(f"the number of trials must be at least 1, got {trials}.")
    rng = random.Random(f"trials {seed}")  # a text as seed is hashed the same way in every process
    grid = [TrialSettings(index=0, learning_rate=learning_rate, weight_decay=weight_decay)]
    for index in range(1, trials):
        rate = learning_rate * _log_uniform(rng, *LEARNING_RATE_FACTORS)
        decay = weight_decay * _log_uniform(rng, *WEIGHT_DECAY_FACTORS)
        grid.append(TrialSettings(index=index, learning_rate=rate, weight_decay=decay))
    return tuple(grid)


def _log_uniform(rng: random.Random, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


# Stopping early


@dataclass(frozen=True, kw_only=True)
class StoppingRule:
    """When trials are compared, and how many go on: asynchronous successive halving (ASHA).

    Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", in the variant of Ray Tune's
    `ASHAScheduler`: a trial that comes to a rung goes on if it is at least as good as the best `1 / reduction` of
    those that were there before.
    """

    rungs: tuple[int, ...]  # steps, ascending
    reduction: float = 2.0

    def __post_init__(self) -> None:
        if self.reduction <= 1:
            raise TuningError(f"reduction must be above 1, got {self.reduction:g}.")
        if any(rung < 1 for rung in self.rungs) or list(self.rungs) != sorted(set(self.rungs)):
            raise TuningError(f"rungs must be steps in ascending order, got {self.rungs}.")


def stopping_rule(steps: int) -> StoppingRule:
    """For trainings with a warm-up and a cosine: rungs at a half and at three quarters of the steps.

    Not the early, geometric rungs that are usual: all trials share the schedule, and while its rate is high those
    with a lower one look better.  On the digits, eight settings for three networks, the ranks after a third of the
    steps said nothing about those at the end or the opposite (Spearman -0.1 to 0.2, after a sixth -0.9 to 0.6), and
    rungs there threw away most of what there was to gain; after a half they cost next to nothing.
    """
    rungs = {math.ceil(steps * share) for share in RUNG_SHARES}
    return StoppingRule(rungs=tuple(sorted(step for step in rungs if step < steps)))


@dataclass(kw_only=True)
class TrialRecord:
    """What is known of one trial; the process that trains it owns the file, the driver only reads it."""

    settings: TrialSettings
    points: list[Point] = field(default_factory=list)
    finished: bool = False
    failure: str | None = None  # not in the file: the same call tries a failed trial again

    @property
    def step(self) -> int:
        """The last step that was told of."""
        return self.points[-1].step if self.points else 0

    @property
    def ended(self) -> bool:
        """Whether no more points will come."""
        return self.finished or self.failure is not None

    def add(self, point: Point) -> bool:
        """Note a point; False where it was known."""
        if point.step <= self.step:
            return False
        self.points.append(point)
        return True

    def point_at(self, step: int) -> Point | None:
        """The first point at or after a step."""
        return next((point for point in self.points if point.step >= step), None)

    def save(self, folder: Path) -> None:
        """Write the file of this trial."""
        points = [[point.step, dict(point.values)] for point in self.points]
        content = {
            "version": _VERSION,
            "settings": asdict(self.settings),
            "finished": self.finished,
            "points": points,
        }
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / TRIAL_FILE, json.dumps(content).encode())

    @classmethod
    def load(cls, folder: Path, settings: TrialSettings) -> TrialRecord:
        """The record in `folder`, or an empty one."""
        content = _read(folder / TRIAL_FILE)
        if content is None:
            return cls(settings=settings)
        points = [Point(step, values) for step, values in content["points"]]
        return cls(settings=settings, points=points, finished=content["finished"])


def stops(
    records: Sequence[TrialRecord], rule: StoppingRule, metric: str, mode: Mode, steps: int
) -> list[Point | None]:
    """The point at which each trial is stopped early, as far as that is known already; None: it goes on.

    Decides as if the trials ran one after another, in order: a trial is compared with those before it in
    `records`, never with later ones, however fast those run.  Where one before it has not come as far as a rung, the
    decision there is left open and the trial goes on meanwhile.  So what is found does not depend on how many workers
    there are, on their speed, or on interruptions, and the first trial is never stopped.

    A trial that failed is no competitor: those that it had outdone go on.
    """
    sign = 1.0 if mode == "maximize" else -1.0
    stopped: list[Point | None] = []
    for position, record in enumerate(records):
        stop = None
        for rung in rule.rungs:
            point = _reached(record, rung, steps)
            before = list(zip(records[:position], stopped, strict=True))
            if point is None or not all(_settled(other, end, rung, steps) for other, end in before):
                break
            rewards = [
                sign * there.values[metric]
                for other, end in before
                if (there := _reached(other, rung, steps)) is not None
                and (other.failure is None if end is None else there.step <= end.step)
            ]
            if rewards and sign * point.values[metric] < np.percentile(rewards, 100 * (1 - 1 / rule.reduction)):
                stop = point
                break
        stopped.append(stop)
    return stopped


def _reached(record: TrialRecord, rung: int, steps: int) -> Point | None:
    """The point that a trial is judged by at a rung; the end of the training is no rung."""
    point = record.point_at(rung)
    return point if point is not None and point.step < steps else None


def _settled(record: TrialRecord, stop: Point | None, rung: int, steps: int) -> bool:
    """Whether it is known if, and how well, a trial came to a rung."""
    return record.ended or stop is not None or _reached(record, rung, steps) is not None


# The result


@dataclass(frozen=True, kw_only=True)
class TrialOutcome:
    """What became of one trial; the points of one that was stopped end where it was stopped."""

    settings: TrialSettings
    state: State
    points: tuple[Point, ...]
    reason: str | None = None  # of a failure

    @property
    def step(self) -> int:
        """The last step that counts."""
        return self.points[-1].step if self.points else 0


@dataclass(frozen=True, kw_only=True)
class TuneResult:
    """Every trial in the order of the grid, and which is the best of those that finished."""

    trials: tuple[TrialOutcome, ...]
    best: TrialOutcome
    folder: Path  # holds the checkpoints of the best trial


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """One tuning: what is tried, how it is judged, and the folder that holds its files."""

    folder: Path
    grid: tuple[TrialSettings, ...]
    metric: str
    mode: Mode
    steps: int
    rule: StoppingRule

    def __post_init__(self) -> None:
        if not self.grid or [settings.index for settings in self.grid] != list(range(len(self.grid))):
            raise TuningError("the trials of a grid must be numbered from 0 in order; make it with trial_grid().")
        if self.mode not in ("minimize", "maximize"):
            raise TuningError(f"mode must be 'minimize' or 'maximize', got {self.mode!r}.")
        if self.steps < 1:
            raise TuningError(f"steps must be at least 1, got {self.steps}.")

    def trial_folder(self, index: int) -> Path:
        """Where a trial's record and checkpoints lie."""
        return self.folder / f"trial-{index}"

    def records(self) -> list[TrialRecord]:
        """What is known of each trial."""
        return [TrialRecord.load(self.trial_folder(settings.index), settings) for settings in self.grid]

    def stops(self, records: Sequence[TrialRecord]) -> list[Point | None]:
        """Where each trial is stopped early, as far as it is known."""
        return stops(records, self.rule, self.metric, self.mode, self.steps)

    def begin(self) -> TuneResult | None:
        """Note in the folder what is tried; the result, if it is there already.

        Raises `Conflict` where the folder holds trials of another tuning.
        """
        content = _read(self.folder / TUNING_FILE)
        if content is None:
            self._write(None)
            return None
        if content["plan"] != self._plan():
            raise Conflict(
                f"{self.folder} holds trials with other settings than these; tune in another folder, or delete it."
            )
        return None if content["trials"] is None else self._result(content["trials"])

    def conclude(self, records: Sequence[TrialRecord]) -> TuneResult:
        """Choose the best of trials that have all ended, and keep the result.  Raises `AllTrialsFailed`."""
        stopped = self.stops(records)
        outcomes = [_outcome(record, stop) for record, stop in zip(records, stopped, strict=True)]
        if not any(outcome.state == "finished" for outcome in outcomes):
            first = next(outcome for outcome in outcomes if outcome.state == "failed")
            raise AllTrialsFailed(
                f"none of the {len(outcomes)} trials could be trained to the end; the first of them: {first.reason}"
            )
        for stale in (*self.folder.glob(".*.tmp"), *self.folder.glob("trial-*/.*.tmp")):
            stale.unlink(missing_ok=True)  # what was being written when a process was killed
        self._write([_to_json(outcome) for outcome in outcomes])
        return self._best(outcomes)

    def _result(self, trials: list[dict[str, Any]]) -> TuneResult:
        return self._best([_from_json(settings, content) for settings, content in zip(self.grid, trials, strict=True)])

    def _best(self, outcomes: Sequence[TrialOutcome]) -> TuneResult:
        sign = 1.0 if self.mode == "minimize" else -1.0
        finished = [outcome for outcome in outcomes if outcome.state == "finished"]
        best = min(finished, key=lambda outcome: sign * outcome.points[-1].values[self.metric])  # ties: the first
        return TuneResult(trials=tuple(outcomes), best=best, folder=self.trial_folder(best.settings.index))

    def _plan(self) -> dict[str, Any]:
        plan = {
            "grid": [asdict(settings) for settings in self.grid],
            "metric": self.metric,
            "mode": self.mode,
            "steps": self.steps,
            "rungs": list(self.rule.rungs),
            "reduction": self.rule.reduction,
        }
        return dict(json.loads(json.dumps(plan)))  # as it is read back: 2 and 2.0 are one number, a tuple is a list

    def _write(self, trials: list[dict[str, Any]] | None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        content = {"version": _VERSION, "plan": self._plan(), "trials": trials}
        write_atomically(self.folder / TUNING_FILE, json.dumps(content, indent=1).encode())


def _outcome(record: TrialRecord, stop: Point | None) -> TrialOutcome:
    if stop is not None:
        points = tuple(point for point in record.points if point.step <= stop.step)
        return TrialOutcome(settings=record.settings, state="stopped", points=points)
    if record.failure is not None:
        return TrialOutcome(
            settings=record.settings, state="failed", points=tuple(record.points), reason=record.failure
        )
    assert record.finished, f"trial {record.settings.index} has not ended"
    return TrialOutcome(settings=record.settings, state="finished", points=tuple(record.points))


def _to_json(outcome: TrialOutcome) -> dict[str, Any]:
    points = [[point.step, dict(point.values)] for point in outcome.points]
    return {"state": outcome.state, "points": points, "reason": outcome.reason}


def _from_json(settings: TrialSettings, content: Mapping[str, Any]) -> TrialOutcome:
    points = tuple(Point(step, values) for step, values in content["points"])
    return TrialOutcome(settings=settings, state=content["state"], points=points, reason=content["reason"])


def _read(path: Path) -> dict[str, Any] | None:
    """A file of ours; None where there is none.  Raises `TuningError` where it cannot be understood."""
    try:
        content = json.loads(path.read_bytes())
        version = content["version"]
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise TuningError(
            f"{path} is damaged ({error}); delete the folder {path.parent} and run the same command again."
        ) from error
    if version != _VERSION:
        raise TuningError(
            f"{path} was written by another version of Supernaut; use that version, or delete the folder "
            f"{path.parent} and run the same command again."
        )
    return dict(content)
