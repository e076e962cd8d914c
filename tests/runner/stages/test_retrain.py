"""The stage of retraining: which points, what the record keeps of each, and going on after an end in the middle."""

from __future__ import annotations

import hashlib
import json
import random
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
import yaml

from runner import pipeline
from runner.errors import Conflict, Interrupted, NotFound, SpecError
from runner.front import INHERITED
from runner.registered.ledger import add_data
from runner.settings import Home
from runner.stages import retrain, retrain_trial, train
from runner.stages.retrain_recipe import RECIPE_EVENT, recipe_of
from runner.store import open_repository
from runner.store.records import ValueRecord
from runner.study import RetrainSpec, StudySpec, parse_study, recorded_spec
from tests.integration.studies import UNTIMED
from tests.runner.stages.test_train import write as linear_teacher

if TYPE_CHECKING:
    from runner.store.repository import Repository
    from runner.work import StudyWork
    from search_spaces import Architecture

STEPS, TRIALS = 8, 2
SMALL = {**UNTIMED["space"]["choices"], "depth": 1, "mixer": ["convolution", "softmax"], "heads": 1, "mlp_ratio": 1}


class Telling:
    """A reporter that remembers everything."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.told: list[tuple[int, int, str]] = []

    def stage(self, name: str, position: int, total: int) -> None: ...

    def progress(self, done: int, total: int, detail: str) -> None:
        self.told.append((done, total, detail))

    def note(self, message: str) -> None:
        self.notes.append(message)


class Study:
    """A study whose search is made up; its supernet is trained for one step."""

    def __init__(self, home: Home, repository: Repository, **settings: Any) -> None:
        self.home, self.repository = home, repository
        self.reporter = Telling()
        section = {"points": ["knee", "ends"], "steps": STEPS, "trials": TRIALS, "batch": 16, **settings}
        space = {**UNTIMED["space"], "choices": SMALL}
        data = {**UNTIMED, "space": space, "train": {"steps": 1, "batch": 16, "precision": "fp32"}, "retrain": section}
        self.spec = parse_study(data, "test")

    def work(self, stop_after: int = 10**9) -> StudyWork:
        asked = [0]

        def stop() -> bool:
            asked[0] += 1
            return asked[0] > stop_after

        study = pipeline.submit(self.spec, self.repository, self.home, self.reporter)
        return pipeline.open_work(study, self.repository, self.home, self.reporter, stop)

    def searched(self, numbers: dict[Architecture, tuple[float, float]] | None = None) -> StudyWork:
        """At the stage, with a front of three points unless other numbers are given."""
        work = self.work()
        train.run(work)
        largest, smallest = work.plan.space.largest(), work.plan.space.smallest()
        between = next(one for one in self.samples(work) if one not in (largest, smallest))
        given = numbers or {largest: (0.1, 900.0), between: (0.12, 200.0), smallest: (0.5, 100.0)}
        for architecture, (error, size) in given.items():
            values = [
                ValueRecord(metric="error", value=error, provenance="inherited"),
                ValueRecord(metric="model_bytes", value=size, provenance="computed"),
            ]
            work.record(architecture, INHERITED, "search", values, time.monotonic())
        return work

    @staticmethod
    def samples(work: StudyWork) -> Iterator[Architecture]:
        rng = random.Random(0)
        while True:
            yield work.plan.space.sample(rng)

    def recipes(self) -> list[dict[str, Any]]:
        (study,) = self.repository.studies()
        return [dict(e.payload) for e in self.repository.events(study.id) if e.kind == RECIPE_EVENT]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def repository(home: Home) -> Iterator[Repository]:
    with open_repository(home.database) as repository:
        yield repository


@pytest.fixture(autouse=True)
def _no_memory() -> None:
    """Weights of another study of the same specification are not this one's."""
    retrain_trial._trained.cache_clear()


def state(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


@pytest.mark.slow
def test_the_knee_and_both_ends_are_retrained_with_their_recipes(home: Home, repository: Repository) -> None:
    study = Study(home, repository)
    work = study.searched()
    study.reporter.told.clear()
    detail = retrain.run(work)
    front = work.front()
    assert front.knee is not None
    ends = [point.architecture.digest for point in front.ends]
    assert detail["architectures"] == [front.knee.architecture.digest, *ends]
    assert len(set(detail["architectures"])) == 3
    (agreed,) = detail["agreement"]
    assert (agreed["metric"], agreed["before"], agreed["after"], agreed["points"]) == (
        "error",
        "inherited",
        "retrained",
        3,
    )
    assert [recipe["architecture"] for recipe in study.recipes()] == detail["architectures"]
    recipe = recipe_of(work, front.knee.architecture)
    checkpoint = work.checkpoints(train.FOLDER).latest()
    assert checkpoint is not None
    sha256 = hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()
    assert recipe["supernet"] == {"steps": 1, "sha256": sha256}
    largest = work.plan.space.largest().digest
    assert recipe["teacher"] == {"name": "largest", "architecture": largest, "sha256": sha256}
    assert (recipe["start"], recipe["steps"], recipe["batch"], recipe["precision"]) == ("inherited", STEPS, 16, "fp32")
    assert recipe["seed"] == study.spec.seed
    assert [trial["step"] for trial in recipe["trials"]] == [STEPS, recipe["trials"][1]["step"]]
    chosen = recipe["trials"][recipe["trial"]]
    assert (recipe["learning_rate"], recipe["weight_decay"]) == (chosen["learning_rate"], chosen["weight_decay"])
    reached = front.knee.later["retrained"]["error"].value
    assert chosen[recipe["metric"]] == pytest.approx(reached)
    assert json.loads(json.dumps(recipe, allow_nan=False)) == recipe
    check_progress(study.reporter.told, detail["architectures"])


def check_progress(told: list[tuple[int, int, str]], architectures: list[str]) -> None:
    """One count over all points, and words that tell point, trial, step and score."""
    done = [done for done, _, _ in told]
    assert done == sorted(done)
    assert done[-1] == len(architectures) * TRIALS * STEPS
    assert {total for _, total, _ in told} == {len(architectures) * TRIALS * STEPS}
    for digest in architectures:
        words = [words for _, _, words in told if words.startswith(f"{digest}: trial 1 of 2: error 0.")]
        assert any(re.search(r"at step 8\b", each) for each in words)


@pytest.mark.slow
def test_a_knee_that_is_an_end_is_retrained_once(home: Home, repository: Repository) -> None:
    study = Study(home, repository)
    work = study.work()
    study.searched({work.plan.space.largest(): (0.1, 100.0)})
    assert retrain.run(work)["architectures"] == [work.plan.space.largest().digest]
    assert len(study.recipes()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("stop_after", [3, 40])
def test_what_was_cut_off_goes_on_bit_by_bit_with_every_option(tmp_path: Path, stop_after: int) -> None:
    options = {"start": "scratch", "teacher": "none", "ema": 0.9, "label_smoothing": 0.1, "warmup": 0.3}
    trained = {}
    for name in ("whole", "parts"):
        home = Home(tmp_path / name)
        with open_repository(home.database) as repository:
            study = Study(home, repository, **options)
            work = study.searched()
            if name == "parts":
                with pytest.raises(Interrupted):
                    retrain.run(study.work(stop_after))
                work = study.work()
                train.restore_weights(work)
            retrain.run(work)
            trained[name] = [state(retrain.retrained_module(work, point.architecture)) for point in work.front().points]
            assert [recipe["supernet"] for recipe in study.recipes()] == [None] * 3
            assert [recipe["teacher"] for recipe in study.recipes()] == [None] * 3
        retrain_trial._trained.cache_clear()
    assert all(same(*pair) for pair in zip(trained["whole"], trained["parts"], strict=True))


def test_a_registered_teacher_is_recorded_and_no_other_one_goes_on(
    home: Home, repository: Repository, tmp_path: Path
) -> None:
    file = linear_teacher(tmp_path / "teacher.onnx")
    home.path.mkdir(parents=True, exist_ok=True)
    add_data(home, "mine", file)
    study = Study(home, repository, teacher="mine", points=["knee"], trials=1)
    work = study.searched()
    retrain.run(work)
    (recipe,) = study.recipes()
    assert recipe["teacher"] == {"name": "mine", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    linear_teacher(file, seed=1)
    smallest = work.plan.space.smallest()
    with pytest.raises(Conflict, match=r"with which the retraining of 'untimed' began .*Put that one back"):
        retrain.retrain_point(work, smallest)
    file.unlink()
    knee = work.front().knee
    assert knee is not None
    assert retrain.retrained_module(work, knee.architecture) is not None  # finished: nobody has to teach
    with pytest.raises(NotFound, match=r"retrain\.teacher: 'mine' is registered as .* where nothing is now"):
        retrain.retrain_point(work, smallest)


def test_a_teacher_that_nobody_registered_is_refused_before_anything_is_recorded(
    home: Home, repository: Repository
) -> None:
    with pytest.raises(SpecError, match=r"retrain\.teacher: no model is registered as 'mine'.*supernaut data add"):
        Study(home, repository, teacher="mine").work()
    assert repository.studies() == ()


def test_what_an_earlier_version_retrained_gets_its_recipe_when_it_is_needed(
    home: Home, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Study(home, repository, points=["knee"], trials=1)
    work = study.searched()
    with monkeypatch.context() as earlier:
        earlier.setattr(retrain, "record_recipe", lambda *_: None)
        retrain.run(work)
    knee = work.front().knee
    assert knee is not None
    with pytest.raises(NotFound, match="supernaut retrain untimed"):
        recipe_of(work, knee.architecture)
    for _ in range(2):
        retrain.retrained_module(work, knee.architecture)
    assert [recipe["steps"] for recipe in study.recipes()] == [STEPS]


def test_a_specification_without_the_new_fields_is_read_and_found_again(home: Home, repository: Repository) -> None:
    spec = Study(home, repository).spec
    content = json.loads(spec.model_dump_json())
    for name in ("start", "teacher", "warmup", "label_smoothing", "ema"):
        del content["retrain"][name]
    text = json.dumps(content)
    assert recorded_spec(text, "untimed") == spec
    assert recorded_spec(text, "untimed").digest == spec.digest
    known = repository.create_study(name=spec.name, spec=text, spec_digest="of another version", seed=0)
    reporter = Telling()
    assert pipeline.submit(spec, repository, home, reporter) == known
    other = StudySpec.model_validate({**content, "seed": 1})
    with pytest.raises(Conflict, match="exists with other settings"):
        pipeline.submit(other, repository, home, reporter)


def test_the_page_shows_every_field_with_its_default() -> None:
    page = (Path(__file__).parents[3] / "docs" / "retraining.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.S)
    assert yaml.safe_load(shown) == {"retrain": RetrainSpec().model_dump()}


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"start": "fresh"}, ["retrain.start", "inherited", "scratch", "'fresh'"]),
        ({"teacher": "../model"}, ["retrain.teacher", "letters"]),
        ({"teacher": None}, ["retrain.teacher", "string"]),
        ({"ema": 1.0}, ["retrain.ema", "less than 1"]),
        ({"label_smoothing": 1.0}, ["retrain.label_smoothing", "less than 1"]),
        ({"warmup": 1.1}, ["retrain.warmup", "less than or equal to 1"]),
        ({"epochs": 3}, ["retrain.epochs", "steps"]),
    ],
)
def test_a_section_with_a_wrong_value_is_refused_by_field(section: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        parse_study({**UNTIMED, "retrain": section}, "test")
    assert all(word in str(caught.value) for word in words), caught.value
