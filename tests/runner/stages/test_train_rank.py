"""The training of a study on several processes: its record and its weights, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from runner.errors import Interrupted, SpecError
from runner.parallel.train_ranks import SCRATCH
from runner.scoring import train_config
from runner.settings import Home
from runner.stages import train
from runner.store import open_repository
from tests.runner.parallel.groups import Groups
from tests.runner.parallel.processes import VARIABLE, Marked
from tests.runner.stages.test_train import STEPS, Study

if TYPE_CHECKING:
    from runner.store.repository import Repository
    from runner.work import StudyWork
    from supernet.training.checkpoint import Checkpoint

LONG = 60  # steps, so that a process can be killed in the midst of them


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def repository(home: Home) -> Iterator[Repository]:
    with open_repository(home.database) as repository:
        yield repository


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks and checkpoints after every few steps."""
    monkeypatch.setattr(
        train, "train_config", lambda *given: replace(train_config(*given), checkpoint_every=4, health_every=2)
    )


class Deaf:
    """Hears nothing."""

    def __init__(self, work: StudyWork) -> None: ...

    def health(self, point: object) -> None: ...

    def rollback(self, rollback: object) -> None: ...


def newest(work: StudyWork) -> Checkpoint:
    found = work.checkpoints(train.FOLDER).latest()
    assert found is not None
    return found


def check_complete(study: Study, detail: dict[str, Any], work: StudyWork, steps: int = STEPS) -> None:
    """Each check is in the record once and in order, and the weights are what was trained."""
    assert [point["step"] for point in detail["health"]] == list(range(2, steps + 1, 2))
    assert study.events("train.health") == detail["health"]
    assert len(study.scores()) == steps // 2
    trained = newest(work)
    assert trained.step == steps
    assert trained.metadata["ranks"] == 2
    for name, parameter in work.weights.named_parameters():
        assert torch.equal(parameter, trained.tensors[f"model.{name}"])


def undisturbed(folder: Path, monkeypatch: pytest.MonkeyPatch, steps: int = STEPS) -> Checkpoint:
    """What two ranks learn of the same study."""
    with monkeypatch.context() as patch, open_repository(Home(folder).database) as repository:
        Groups().replace_ray(patch)
        study = Study(Home(folder), repository, ranks=2, steps=steps)
        work = study.work()
        check_complete(study, train.run(work), work, steps)
        return newest(work)


def check_same(first: Checkpoint, second: Checkpoint) -> None:
    assert first.metadata == second.metadata
    assert first.tensors.keys() == second.tensors.keys()
    assert all(torch.equal(first.tensors[name], second.tensors[name]) for name in first.tensors)


@pytest.mark.slow
def test_groups_are_lost_and_the_driver_is_stopped_and_killed(
    home: Home, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver that is killed has not heard of all that its ranks did; the next one tells it."""
    study = Study(home, repository, ranks=2)
    Groups(7).replace_ray(monkeypatch)
    with pytest.raises(Interrupted, match="a checkpoint of it is kept"):
        train.run(study.work(stop_after=10))
    assert any(
        note.startswith("process 2 was lost; all 2 processes start again from step 4") for note in study.reporter.notes
    )
    with monkeypatch.context() as patch:
        patch.setattr(train, "_Told", Deaf)
        train.run(study.work())
    work = study.work()
    check_complete(study, train.run(work), work)
    check_same(newest(work), undisturbed(tmp_path / "undisturbed", monkeypatch))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc, which this system lacks")
def test_a_killed_process_costs_the_steps_since_the_last_checkpoint(
    home: Home, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Ray Train, and to the bit."""
    marked = Marked()
    monkeypatch.setenv(VARIABLE, marked.mark)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    study = Study(home, repository, ranks=2, steps=LONG)
    killed: list[int] = []
    done: list[int] = []

    def progress(now: int, total: int, detail: str) -> None:
        done.append(now)
        if now >= 6 and not killed:
            killed.extend(marked.named("ray::RayTrainWorker")[-1:])
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(study.reporter, "progress", progress)
    work = study.work()
    detail = train.run(work)
    assert killed
    (note,) = [note for note in study.reporter.notes if "was lost; all 2 processes start again from step" in note]
    again_from = int(note.split()[-1])
    assert 4 <= again_from < done[-1] == LONG
    assert again_from % 4 == 0
    check_complete(study, detail, work, LONG)
    assert not list(work.path(train.FOLDER, SCRATCH).glob("*"))
    check_same(newest(work), undisturbed(tmp_path / "undisturbed", monkeypatch, LONG))


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        ({"ranks": 17}, r"train\.ranks: a batch of 16 has no 17 parts for 17 processes"),
        ({"ranks": 2, "accumulate": 9}, r"train\.ranks: a batch of 16 has no 18 parts"),
        ({"rank_threads": 2}, r"have a meaning for several processes"),
        ({"ranks": 2, "rank_gpus": 1, "precision": "auto"}, r"train\.precision: auto is measured on the processor"),
        ({"ranks": 0}, r"train\.ranks: input should be greater than or equal to 1"),
    ],
)
def test_impossible_ranks_are_refused(home: Home, repository: Repository, settings: dict[str, Any], what: str) -> None:
    with pytest.raises(SpecError, match=what):
        Study(home, repository, **settings).work()
