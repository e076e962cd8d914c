"""One training on several processes of Ray Train: real ones, which are killed and interrupted."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from runner.parallel import train_ranks
from runner.parallel.errors import InvalidResources
from runner.parallel.rank_words import Listener, run_rank
from runner.parallel.resources import Resources
from runner.parallel.train_ranks import SCRATCH, RanksLost
from supernet.errors import NonFiniteLoss, TrainingCollapsed
from supernet.training.checkpoint import Checkpoint, Checkpoints
from supernet.training.loop import HealthPoint, Stopped, Watcher, curve_of
from tests.integration.studies import ROOT
from tests.runner.parallel.groups import Groups
from tests.runner.parallel.processes import Marked
from tests.runner.parallel.rank_trainings import STEPS, SmallTraining, together
from tests.supernet.training.threads import in_threads

if TYPE_CHECKING:
    from supernet.training.reducer import Reducer


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    """What two ranks learn that nobody disturbs."""
    train = SmallTraining(folder=tmp_path_factory.mktemp("uninterrupted"))
    in_threads(lambda reducer: train(reducer, Watcher()))
    return newest(train.folder)


def newest(folder: Path) -> Checkpoint:
    found = Checkpoints(folder).latest()
    assert found is not None
    return found


def check_same(folder: Path, expected: Checkpoint) -> None:
    """To the bit, and nothing else is left in the folder."""
    found = newest(folder)
    assert found.step == expected.step == STEPS
    assert found.metadata == expected.metadata
    assert found.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(found.tensors[name], expected.tensors[name]) for name in found.tensors)
    assert {path.name for path in folder.iterdir() if path.suffix != ".safetensors"} <= {"lock", SCRATCH}
    assert not list(folder.glob(f"{SCRATCH}/*"))


class Heard:
    """A watcher's words."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.points: list[HealthPoint] = []
        self.watcher = Watcher(progress=lambda done, steps, loss: self.done.append(done), health=self.points.append)


# Without Ray


def test_what_a_rank_tells_reaches_the_watcher_once(tmp_path: Path, uninterrupted: Checkpoint) -> None:
    heard, scratch = Heard(), tmp_path / "scratch"
    scratch.mkdir()
    listener = Listener(scratch, heard.watcher)
    train = SmallTraining(folder=tmp_path / "run")
    in_threads(lambda reducer: run_rank(train, reducer, folder=train.folder, scratch=scratch))
    for _ in range(2):
        listener.listen()
    with (scratch / "rank-0").open("a") as file:
        file.write('{"kind": "progress", "done": 61')  # the rest of the line comes later
    listener.listen()
    assert heard.points == curve_of(uninterrupted)
    assert heard.done[-1] == STEPS
    assert heard.done == sorted(set(heard.done))
    assert (listener.finished, listener.stopped, listener.failure) == (True, None, None)
    check_same(train.folder, uninterrupted)


def test_a_rank_that_is_asked_to_stop_says_so(tmp_path: Path, uninterrupted: Checkpoint) -> None:
    """By a file, or because the folder of the words is gone."""
    train = SmallTraining(folder=tmp_path / "run")
    (tmp_path / "stop").touch()
    listener = Listener(tmp_path, Watcher())
    in_threads(lambda reducer: run_rank(train, reducer, folder=train.folder, scratch=tmp_path))
    listener.listen()
    assert listener.stopped == f"stopped after step 0 of {STEPS}"
    assert not listener.finished
    with pytest.raises(OSError, match="gone"):
        in_threads(lambda reducer: run_rank(train, reducer, folder=train.folder, scratch=tmp_path / "gone"))
    assert newest(train.folder).step == 0
    in_threads(lambda reducer: train(reducer, Watcher()))
    check_same(train.folder, uninterrupted)


@pytest.mark.parametrize(
    ("error", "told"),
    [(TrainingCollapsed("lost"), TrainingCollapsed), (OSError("full"), Exception), (RuntimeError("luck"), None)],
)
def test_errors_that_a_person_can_act_on_are_told(
    tmp_path: Path, error: Exception, told: type[Exception] | None
) -> None:
    def train(reducer: Reducer, watcher: Watcher) -> None:
        raise error

    with pytest.raises(type(error)):
        in_threads(lambda reducer: run_rank(train, reducer, folder=tmp_path, scratch=tmp_path), ranks=1)
    listener = Listener(tmp_path, Watcher())
    listener.listen()
    assert (listener.failure is None) == (told is None)
    if told is not None:
        assert isinstance(listener.failure, told)
        assert str(listener.failure) == str(error)


def test_lost_groups_are_started_again_as_long_as_they_get_further(
    tmp_path: Path, uninterrupted: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lost in 15, 17, 25 and 26, of which the second and the fourth had no new checkpoint."""
    group = Groups(15, 17, 25, 26).replace_ray(monkeypatch)
    heard = Heard()
    notes = together(SmallTraining(folder=tmp_path / "run"), heard.watcher, most_failures=3)
    assert notes == [f"process 2 was lost; all 2 processes start again from step {step}" for step in (10, 10, 20, 20)]
    assert group.started == 5
    assert [point.step for point in heard.points] == [15, 15, 30, 45, 60]
    assert heard.points[1:] == curve_of(uninterrupted)
    check_same(tmp_path / "run", uninterrupted)


def test_a_rank_that_always_dies_ends_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Groups(15, 17, 13, 12, 11).replace_ray(monkeypatch)
    with pytest.raises(RanksLost, match=r"on 2 processes failed 3 times in a row after step 10, .*process 2 was lost"):
        together(SmallTraining(folder=tmp_path / "run"))
    assert group.started == 3


def test_what_ends_a_training_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = Groups().replace_ray(monkeypatch)
    with pytest.raises(NonFiniteLoss, match=r"the loss became nan at step 13 of 60 .*step-00000010"):
        together(SmallTraining(folder=tmp_path / "run", fail_at=12))
    assert group.started == 1


def test_a_watcher_stops_all_ranks(tmp_path: Path, uninterrupted: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a checkpoint; the same call goes on."""
    Groups().replace_ray(monkeypatch)
    done: list[int] = []
    asks = Watcher(progress=lambda now, steps, loss: done.append(now), stop=lambda: bool(done))
    with pytest.raises(Stopped, match=r"stopped after step \d+ of 60"):
        together(SmallTraining(folder=tmp_path / "run"), asks)
    assert 0 < newest(tmp_path / "run").step < STEPS
    together(SmallTraining(folder=tmp_path / "run"))
    check_same(tmp_path / "run", uninterrupted)


# With Ray


@pytest.mark.slow
@pytest.mark.usefixtures("local_ray")
def test_processes_for_which_there_is_no_room_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidResources, match="need 2000 GPUs, Ray has 0 here"):
        train_ranks.train_on_ranks(
            SmallTraining(folder=tmp_path), ranks=2, resources=Resources(gpus=1000), folder=tmp_path, watcher=Watcher()
        )


def driver(folder: Path, *arguments: str) -> int:
    """In a process group of its own, of which nothing may be left."""
    marked = Marked()
    command = [sys.executable, "-m", "tests.runner.parallel.rank_trainings", str(folder), *arguments]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=marked.environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
        start_new_session=True,
    )
    marked.check_none_left()
    assert (done.stdout, done.stderr) == ("", "")
    return done.returncode


@pytest.mark.slow
def test_the_driver_may_die(tmp_path: Path, uninterrupted: Checkpoint) -> None:
    """The same command goes on; Ctrl-C stops it at a checkpoint of its own."""
    train = SmallTraining(folder=tmp_path / "run")
    assert driver(train.folder, "--kill", "14") == -signal.SIGKILL
    assert newest(train.folder).step >= 10
    # Of the steps 42 to 46 at least one is told; a checkpoint is written every ten steps, and when asked to stop.
    assert driver(train.folder, "--wait", "46", "--interrupt", "42") == 130
    assert 42 < newest(train.folder).step <= 47
    in_threads(lambda reducer: train(reducer, Watcher()))
    check_same(train.folder, uninterrupted)
