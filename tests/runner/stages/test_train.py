"""The training of a study: what its record and its user hear, whatever becomes of the process meanwhile."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from runner import pipeline
from runner.cli.studies import _in_short
from runner.errors import Conflict, Interrupted, SpecError
from runner.registered.ledger import add_data
from runner.scoring import train_config
from runner.settings import Home
from runner.stages import train
from runner.store import open_repository
from runner.study import parse_study
from supernet.training import supernet
from tests.integration.studies import UNTIMED

if TYPE_CHECKING:
    from runner.store.repository import Repository
    from runner.work import StudyWork

STEPS = 16


class Listening:
    """A reporter that remembers the notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def stage(self, name: str, position: int, total: int) -> None: ...

    def progress(self, done: int, total: int, detail: str) -> None: ...

    def note(self, message: str) -> None:
        self.notes.append(message)


class Study:
    """A tiny study at the stage of training, as often as its process begins anew."""

    def __init__(self, home: Home, repository: Repository, **settings: Any) -> None:
        self.home, self.repository = home, repository
        self.reporter = Listening()
        section = {"steps": STEPS, "batch": 16, "precision": "fp32", "random_subnets": 0, **settings}
        self._spec = parse_study({**UNTIMED, "train": section}, "test")

    def work(self, stop_after: int = 10**9) -> StudyWork:
        asked = [0]

        def stop() -> bool:
            asked[0] += 1
            return asked[0] > stop_after

        study = pipeline.submit(self._spec, self.repository, self.home, self.reporter)
        return pipeline.open_work(study, self.repository, self.home, self.reporter, stop)

    def events(self, kind: str) -> list[dict[str, Any]]:
        (study,) = self.repository.studies()
        return [dict(event.payload) for event in self.repository.events(study.id) if event.kind == kind]

    def scores(self) -> list[str]:
        return [note for note in self.reporter.notes if note.startswith("step ")]


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


@pytest.mark.slow
def test_smallest_random_and_largest_are_told_while_it_trains(home: Home, repository: Repository) -> None:
    """In the record and to the user, each check once, however often the process ends in between."""
    study = Study(home, repository)
    with pytest.raises(Interrupted):
        train.run(study.work(stop_after=7))
    told = study.events("train.health")
    assert [event["step"] for event in told] == [2, 4, 6]
    assert all(set(event) == {"step", "smallest", "random", "largest"} for event in told)
    assert study.scores()[0].startswith("step 2: validation error smallest 0.")
    assert all(f"{name} " in study.scores()[0] for name in ("smallest", "random", "largest"))
    with pytest.raises(Interrupted):
        train.run(study.work(stop_after=4))
    detail = train.run(study.work())
    assert study.events("train.health") == detail["health"]
    assert [point["step"] for point in detail["health"]] == list(range(2, STEPS + 1, 2))
    assert len(study.scores()) == STEPS // 2


@pytest.mark.slow
def test_a_score_that_is_not_finite_is_told_and_kept(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON has no infinity, and a perplexity may be so."""
    study = Study(home, repository)
    work = study.work()
    endless = replace(work.plan.task, measure=lambda logits, targets: {"error": math.inf})
    monkeypatch.setattr(work, "plan", replace(work.plan, task=endless))
    detail = train.run(work)
    assert study.events("train.health")[0] == {"step": 2, "smallest": None, "random": None, "largest": None}
    assert study.scores()[0].endswith("error smallest inf, random inf, largest inf")
    assert _in_short(detail).endswith("step 16, smallest not finite, random not finite, largest not finite")


@pytest.fixture
def _collapses_once(monkeypatch: pytest.MonkeyPatch, repository: Repository) -> None:
    """From step 7 on nothing is right any more, until training has gone back."""

    def wrong(*_: object) -> float:
        (study,) = repository.studies()
        events = repository.events(study.id)
        steps = [event.payload["step"] for event in events if event.kind == "train.health"]
        lost = not any(event.kind == "train.rollback" for event in events) and bool(steps) and steps[-1] >= 6
        return 0.9 if lost else 0.2

    monkeypatch.setattr(supernet, "share_of_wrong", wrong)


@pytest.mark.slow
@pytest.mark.usefixtures("_collapses_once")
@pytest.mark.parametrize("stops", [(9,), (12, 1)])
def test_a_rollback_is_in_the_record_and_told_once(home: Home, repository: Repository, stops: tuple[int, ...]) -> None:
    """Lost at the checks after 8, 10 and 12; whatever was stopped before, then or after."""
    study = Study(home, repository)
    for stop in stops:
        with pytest.raises(Interrupted):
            train.run(study.work(stop_after=stop))
    detail = train.run(study.work())
    (rollback,) = study.events("train.rollback")
    assert (rollback["number"], rollback["found_after"], rollback["back_to"]) == (1, 12, 4)
    assert rollback["rate_factor"] == 0.5
    assert "back at 90%, no better than a guess" in rollback["reason"]
    assert [event["step"] for event in study.events("train.health")] == [2, 4, 6, 8, 10, 12, *range(6, STEPS + 1, 2)]
    assert [point["step"] for point in detail["health"]] == list(range(2, STEPS + 1, 2))
    (note,) = [note for note in study.reporter.notes if "back to step 4" in note]
    assert note.endswith("with 0.5 times the learning rate")


@pytest.mark.slow
def test_a_study_trains_with_everything_at_once(home: Home, repository: Repository, tmp_path: Path) -> None:
    add_data(home, "mine", write(tmp_path / "teacher.onnx"))
    study = Study(
        home,
        repository,
        recipe="multi",
        random_subnets=2,
        widen=["mlp_ratio", "depth"],
        sampling={"mixer": {"softmax": 3}},
        teacher="mine",
        accumulate=2,
        ema=0.9,
        label_smoothing=0.1,
        warmup=0.3,
    )
    with pytest.raises(Interrupted):
        train.run(study.work(stop_after=7))
    detail = train.run(study.work())
    assert len(detail["health"]) == STEPS // 2
    (teacher,) = study.events("train.teacher")
    assert teacher["name"] == "mine"
    work = study.work()
    train.restore_weights(work)
    checkpoint = work.checkpoints(train.FOLDER).latest()
    assert checkpoint is not None
    averaged = {
        name.removeprefix("average."): t for name, t in checkpoint.tensors.items() if name.startswith("average.")
    }
    assert averaged
    assert all(bool((parameter == averaged[name]).all()) for name, parameter in work.weights.named_parameters())


@pytest.mark.slow
def test_another_teacher_in_the_midst_of_training_is_refused(
    home: Home, repository: Repository, tmp_path: Path
) -> None:
    file = write(tmp_path / "teacher.onnx")
    add_data(home, "mine", file)
    study = Study(home, repository, teacher="mine")
    with pytest.raises(Interrupted):
        train.run(study.work(stop_after=3))
    kept = tmp_path / "kept"
    shutil.copy(file, kept)
    write(file, seed=1)
    with pytest.raises(
        Conflict, match=r"is not the one with which the training of 'untimed' began .*Put that one back"
    ):
        train.run(study.work())
    shutil.copy(kept, file)
    train.run(study.work())


def test_a_teacher_of_other_classes_is_refused_before_the_study_exists(
    home: Home, repository: Repository, tmp_path: Path
) -> None:
    add_data(home, "mine", write(tmp_path / "teacher.onnx", classes=7))
    with pytest.raises(SpecError, match=r"train\.teacher: .*\(2, 7\), where \(2, 10\) is needed"):
        Study(home, repository, teacher="mine").work()
    assert list(repository.studies()) == []


def write(path: Path, *, classes: int = 10, seed: int = 0) -> Path:
    """An ONNX file that takes digits and answers something."""
    inputs = helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 1, 8, 8])
    outputs = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["batch", classes])
    matrix = np.random.default_rng(seed).standard_normal((64, classes)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["input"], ["flat"]),
        helper.make_node("MatMul", ["flat", "matrix"], ["output"]),
    ]
    graph = helper.make_graph(nodes, "linear", [inputs], [outputs], [numpy_helper.from_array(matrix, "matrix")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path
