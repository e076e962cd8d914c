"""Training one trial: what is told and kept of it, whatever process it runs in."""

from __future__ import annotations

import fcntl
import math
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner.parallel import trial_work
from runner.parallel.folder_lock import FolderTaken
from runner.parallel.trial_work import StopTrial, TrialWork
from runner.parallel.trials import StoppingRule, Trial, TrialRecord, Tuning, trial_grid
from supernet.errors import NonFiniteLoss

STEPS = 3


@pytest.fixture
def tuning(tmp_path: Path) -> Tuning:
    grid = trial_grid(0.1, 0.0, 2, seed=0)
    return Tuning(
        folder=tmp_path, grid=grid, metric="error", mode="minimize", steps=STEPS, rule=StoppingRule(rungs=(1,))
    )


def work(tuning: Tuning, train: Callable[[Trial], None], *, stop: bool = False) -> list[Mapping[str, Any]]:
    """Train trial 1; what was told of it."""
    told: list[Mapping[str, Any]] = []
    TrialWork(tuning=tuning, train=train, stop=lambda: stop, tell=told.append)(1)
    return told


def kept(tuning: Tuning) -> TrialRecord:
    return TrialRecord.load(tuning.trial_folder(1), tuning.grid[1])


def until(last: int) -> Callable[[Trial], None]:
    """A training that always begins anew and ends after a step."""

    def train(trial: Trial) -> None:
        for step in range(1, last + 1):
            trial.report(step, {"error": 1 / step})

    return train


def test_every_point_is_kept_before_it_is_told(tuning: Tuning) -> None:
    steps: list[int] = []

    def tell(message: Mapping[str, Any]) -> None:
        assert not message["points"] or kept(tuning).step == message["points"][-1][0]
        steps.extend(step for step, _ in message["points"])

    TrialWork(tuning=tuning, train=until(STEPS), stop=lambda: False, tell=tell)(1)
    assert steps == [1, 2, 3]
    assert kept(tuning).finished


def test_a_trial_that_is_run_again_tells_what_is_known_and_no_point_twice(tuning: Tuning) -> None:
    work(tuning, until(2))
    told = work(tuning, until(STEPS))
    assert [[step for step, _ in message["points"]] for message in told] == [[1, 2], [3], []]
    assert [message["finished"] for message in told] == [False, False, True]


def test_a_finished_trial_is_not_trained_again(tuning: Tuning) -> None:
    work(tuning, until(STEPS))
    told = work(tuning, lambda _: pytest.fail("trained again"))
    assert told[-1]["finished"]


def test_a_stopped_trial_ends_at_its_report(tuning: Tuning) -> None:
    def tell(message: Mapping[str, Any]) -> None:
        raise StopTrial

    with pytest.raises(StopTrial):
        TrialWork(tuning=tuning, train=until(STEPS), stop=lambda: False, tell=tell)(1)
    assert (kept(tuning).step, kept(tuning).finished) == (1, False)


def diverge(_: Trial) -> None:
    raise NonFiniteLoss("the loss became nan")


def stumble(_: Trial) -> None:
    raise ZeroDivisionError("by nothing")


def be_nan(trial: Trial) -> None:
    trial.report(1, {"error": math.nan})


def forget(trial: Trial) -> None:
    trial.report(1, {"loss": 1.0})


@pytest.mark.parametrize(
    ("train", "reason"),
    [
        (diverge, "the loss became nan"),
        (stumble, "ZeroDivisionError: by nothing"),
        (be_nan, "error became nan at step 1 of 3"),
        (forget, "reported loss, but is judged by 'error'"),
        (until(2), "it ended after step 2 of 3 without a word"),
    ],
)
def test_failures_are_told_with_their_reason_and_not_kept(
    tuning: Tuning, train: Callable[[Trial], None], reason: str
) -> None:
    assert reason in work(tuning, train)[-1]["failure"]
    assert not kept(tuning).ended


@pytest.mark.parametrize("train", [until(2), stumble])
def test_what_ends_when_asked_to_stop_has_not_failed(tuning: Tuning, train: Callable[[Trial], None]) -> None:
    assert all(message["failure"] is None for message in work(tuning, train, stop=True))
    assert not kept(tuning).ended


def test_what_is_complete_when_asked_to_stop_is_finished(tuning: Tuning) -> None:
    assert work(tuning, until(STEPS), stop=True)[-1]["finished"]


def test_two_processes_never_train_one_trial(tuning: Tuning, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tuning.trial_folder(1)
    folder.mkdir()
    with (folder / "lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        monkeypatch.setattr(trial_work, "LOCK_SECONDS", 0.2)
        with pytest.raises(FolderTaken, match="another process has trained"):
            work(tuning, until(STEPS))
        monkeypatch.setattr(trial_work, "LOCK_SECONDS", 30.0)
        threading.Timer(0.3, lambda: fcntl.flock(other, fcntl.LOCK_UN)).start()
        assert work(tuning, until(STEPS))[-1]["finished"]
