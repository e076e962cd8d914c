"""Studies that begin with pretrained weights: searched as they are, or after a short fine-tuning."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from runner import pipeline
from runner.errors import Conflict, Interrupted, NotFound, SpecError
from runner.pretrained import PRETRAINED_EVENT, recorded_ranks
from runner.registered.ledger import add_data, add_extension
from runner.registered.values import AllowedExtension
from runner.scoring import ScorerFactory, arrays_of
from runner.settings import Home
from runner.stages import train
from runner.stages.retrain_trial import _trained
from runner.store import open_repository
from runner.study import parse_study
from runner.validation import resolve
from search_spaces import Architecture, Ordinal, SearchSpace
from supernet import Axis, Coupling
from supernet.models.extension import own_model
from supernet.skeleton import build_real
from supernet.tasks.example import Example
from supernet.tasks.task import predict
from tests.integration.studies import UNTIMED, write
from tests.runner.stages.test_train import Listening

if TYPE_CHECKING:
    from runner.store.repository import Repository
    from runner.work import StudyWork
    from tests.integration.conftest import Call

STUDY: dict[str, Any] = {
    **UNTIMED,
    "space": {
        "name": "vision_transformer",
        "choices": {
            "depth": [1, 2],
            "width": [16, 32],
            "patch": 4,
            "mixer": ["softmax"],
            "heads": [1, 2],
            "mlp_ratio": [1, 2],
            "bits": 32,
        },
    },
    "search": {"evaluations": 10, "measured_latencies": 8, "workers": "serial"},
    "retrain": {"points": []},
}
NAME = "mine"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """A file of weights of the largest architecture, in fp16."""
    return written(tmp_path / "model.safetensors", seed=7)


def model(seed: int) -> nn.Module:
    """The model of that seed; its second layer is the larger one, so that layers in order are exchanged."""
    planned = resolve(parse_study(STUDY, "test"))
    made = build_real(planned.build, planned.space.largest(), seed)
    with torch.no_grad():
        for parameter in made.get_submodule("layers.1").parameters():
            parameter.mul_(2)
        for parameter in made.parameters():
            parameter.copy_(parameter.half())
    return made


def written(path: Path, seed: int, **changes: torch.Tensor) -> Path:
    tensors = {name: value.half().contiguous() for name, value in model(seed).state_dict().items()}
    save_file({**tensors, **{name.replace("__", "."): value for name, value in changes.items()}}, path)
    return path


def study(**train: Any) -> dict[str, Any]:
    return {**STUDY, "train": {"batch": 64, "precision": "fp32", "pretrained": NAME, **train}}


@pytest.mark.slow
@pytest.mark.parametrize(
    "train",
    [
        {"steps": 0, "order": "gradient", "order_layers": True},
        {"steps": 12, "order": "magnitude", "learning_rate": 1e-4},
    ],
    ids=["as-is", "fine-tuned"],
)
def test_from_registered_weights_to_a_front(call: Call, tmp_path: Path, weights: Path, train: dict[str, Any]) -> None:
    assert call("data", "add", NAME, weights)[0] == 0
    code, _, err = call("run", write(tmp_path / "study.json", study(**train)))
    assert code == 0, err
    assert "begun from the pretrained weights mine (SHA-256 " in err
    assert "parameters cast from float16" in err
    code, out, _ = call("front", "untimed", "--output", "json")
    assert code == 0
    assert json.loads(out)
    assert call("run", tmp_path / "study.json")[0] == 0  # again: there is nothing left to do


# The first stage alone, in this process


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def repository(home: Home) -> Iterator[Repository]:
    with open_repository(home.database) as repository:
        yield repository


def begun(home: Home, repository: Repository, stop_after: int = 10**9, **train: Any) -> StudyWork:
    """The study at work, as by a process of its own."""
    asked = [0]

    def stop() -> bool:
        asked[0] += 1
        return asked[0] > stop_after

    spec = parse_study(study(**train), "test")
    listening = Listening()
    return pipeline.open_work(pipeline.submit(spec, repository, home, listening), repository, home, listening, stop)


def logits(work: StudyWork) -> torch.Tensor:
    return predict(work.weights.extract(work.plan.space.largest()), work.plan.task.validation)


@pytest.mark.slow
def test_without_training_every_process_restores_what_the_first_made(
    home: Home, repository: Repository, weights: Path
) -> None:
    """The largest subnet is the model; workers and trials know in which order its layers are computed."""
    add_data(home, NAME, weights)
    settings: dict[str, Any] = {"steps": 0, "order": "magnitude", "order_layers": True}
    work = begun(home, repository, **settings)
    detail = train.run(work)
    assert [point["step"] for point in detail["health"]] == [0]
    wanted = predict(model(7), work.plan.task.validation)
    assert torch.allclose(logits(work), wanted, rtol=1e-4, atol=1e-5)
    assert recorded_ranks(work) == (("layers", (1, 0)),), "layers that keep their places would show nothing here"

    later = begun(home, repository, **settings)
    train.restore_weights(later)
    assert torch.equal(logits(later), logits(work))
    assert train.run(begun(home, repository, **settings)) == detail

    factory = ScorerFactory(
        spec=work.study.spec, name="untimed", registered=work.plan.registered, layer_ranks=recorded_ranks(work)
    )
    scores = factory(arrays_of(work.weights))(work.plan.space.largest())
    assert scores == work.plan.task.score(work.weights.borrow(work.plan.space.largest()), work.plan.task.validation)
    _, trained = _trained(work.study.spec, work.path(train.FOLDER), work.plan.registered, recorded_ranks(work))
    assert torch.equal(predict(trained.extract(work.plan.space.largest()), work.plan.task.validation), logits(work))


@pytest.mark.slow
def test_a_fine_tuning_that_was_stopped_goes_on_as_if_it_had_not(
    home: Home, repository: Repository, weights: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = {"steps": 6, "order": "activation", "order_layers": True, "learning_rate": 1e-3}
    add_data(home, NAME, weights)
    with pytest.raises(Interrupted):
        train.run(begun(home, repository, stop_after=3, **settings))
    work = begun(home, repository, **settings)
    train.run(work)
    other = Home(tmp_path / "other")
    add_data(other, NAME, weights)
    with open_repository(other.database) as untouched:
        whole = begun(other, untouched, **settings)
        train.run(whole)
        assert torch.equal(logits(whole), logits(work))
    events = [event for event in repository.events(work.study.id) if event.kind == PRETRAINED_EVENT]
    assert len(events) == 1
    assert events[0].payload["name"] == NAME
    assert len(events[0].payload["sha256"]) == 64


@pytest.mark.slow
def test_a_process_that_ended_before_its_first_checkpoint_begins_again(
    home: Home, repository: Repository, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_data(home, NAME, weights)
    settings: dict[str, Any] = {"steps": 0, "order": "magnitude", "order_layers": True}

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train, "_keep_as_begun", killed)
        with pytest.raises(KeyboardInterrupt):
            train.run(begun(home, repository, **settings))
    work = begun(home, repository, **settings)
    train.run(work)
    assert torch.allclose(logits(work), predict(model(7), work.plan.task.validation), rtol=1e-4, atol=1e-5)
    assert len([e for e in repository.events(work.study.id) if e.kind == PRETRAINED_EVENT]) == 1


@pytest.mark.slow
def test_training_does_not_go_on_with_another_file(home: Home, repository: Repository, weights: Path) -> None:
    add_data(home, NAME, weights)
    with pytest.raises(Interrupted):
        train.run(begun(home, repository, stop_after=2, steps=6))
    before = weights.read_bytes()
    written(weights, seed=8)
    with pytest.raises(Conflict, match=r"are not those with which the training of 'untimed' began \(SHA-256"):
        train.run(begun(home, repository, steps=6))
    weights.write_bytes(before)
    train.run(begun(home, repository, steps=6))


@pytest.mark.slow
def test_what_cannot_be_begun_with_is_refused_before_it_is_recorded(
    home: Home, repository: Repository, tmp_path: Path
) -> None:
    def refusal(steps: int = 0, **train: Any) -> str:
        with pytest.raises((SpecError, NotFound)) as caught:
            begun(home, repository, steps=steps, **train)
        assert not repository.studies()
        return str(caught.value)

    assert "train.pretrained: no model is registered as 'mine'" in refusal()
    path = written(tmp_path / "weights", seed=7, head__bias=torch.zeros(3), more=torch.zeros(1))
    add_data(home, NAME, path)
    message = refusal()
    assert all(word in message for word in ("of another shape: head.bias (3,), not (10,)", "unexpected: more (1,)"))
    torch.save({"head.bias": torch.zeros(10)}, path)
    assert "train.pretrained: " in refusal()
    assert "is no safetensors file" in refusal()
    written(path, seed=7, head__bias=torch.full((10,), float("nan")))
    assert "not finite: head.bias (10 of 10 values)" in refusal()
    path.unlink()
    assert "where nothing is now" in refusal()


class Stacked(nn.Module):
    """Residual perceptrons on an image of digits."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        hidden, depth = int(architecture["hidden"]), int(architecture["depth"])
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 64)) for _ in range(depth)
        )
        self.head = nn.Linear(64, 10)

    def forward(self, image_BCHW: torch.Tensor) -> torch.Tensor:
        x = image_BCHW.flatten(1)
        for layer in self.layers:
            x = x + layer(x)
        logits: torch.Tensor = self.head(x)
        return logits


SPACE = SearchSpace({"depth": Ordinal(1, 2), "hidden": Ordinal(8, 16)})
EXAMPLE = Example(kind="image", shape=(1, 8, 8), classes=10)
HIDDEN = Coupling("hidden", (Axis("0.weight"), Axis("0.bias"), Axis("2.weight", 1)), at="layers.*")
OWN = own_model(space=SPACE, build=Stacked, example=EXAMPLE, couplings=(HIDDEN,), residual_layers=("layers",))
PLAIN = own_model(space=SPACE, build=Stacked, example=EXAMPLE)


def test_a_family_of_one_s_own_says_what_can_be_ordered(home: Home, repository: Repository, tmp_path: Path) -> None:
    own = Stacked(SPACE.largest())
    with torch.no_grad():
        own.get_parameter("layers.1.0.weight").mul_(3)
    save_file(own.state_dict(), tmp_path / "own.safetensors")
    add_data(home, NAME, tmp_path / "own.safetensors")
    for name in ("OWN", "PLAIN"):
        target = f"tests.integration.test_pretrained:{name}"
        add_extension(home, AllowedExtension(name=name.lower(), kind="family", target=target))
    spec = {**study(steps=0, order="magnitude", order_layers=True), "space": {"name": "own"}}
    work = pipeline.open_work(
        pipeline.submit(parse_study(spec, "test"), repository, home, Listening()), repository, home, Listening()
    )
    train.run(work)
    (told,) = [event.payload for event in repository.events(work.study.id) if event.kind == PRETRAINED_EVENT]
    assert (told["ordered"], told["layers"]) == (["hidden at layers.0", "hidden at layers.1"], {"layers": [1, 0]})
    assert torch.allclose(logits(work), predict(own, work.plan.task.validation), rtol=1e-4, atol=1e-5)
    without = {**study(steps=0, order="magnitude"), "name": "plain", "space": {"name": "plain"}}
    with pytest.raises(SpecError, match="'plain' does not say what can be ordered"):
        pipeline.submit(parse_study(without, "test"), repository, home, Listening())


def test_layers_of_a_family_that_are_not_of_one_kind_are_not_ranked(
    home: Home, repository: Repository, tmp_path: Path
) -> None:
    convnet = {"name": "convnet", "choices": {"depth": 1, "width": 8, "kernel": 3, "attention": "none", "expansion": 2}}
    spec = {**study(steps=0, order="magnitude", order_layers=True), "space": convnet}
    planned = resolve(parse_study(spec, "test"))
    state = build_real(planned.build, planned.space.largest(), seed=1).state_dict()
    save_file(state, tmp_path / "convnet.safetensors")
    add_data(home, NAME, tmp_path / "convnet.safetensors")
    with pytest.raises(SpecError, match=r"train\.order_layers: the family 'convnet' has no layers that can be ranked"):
        pipeline.submit(parse_study(spec, "test"), repository, home, Listening())
    ordered = {**spec, "train": {**spec["train"], "order_layers": False}}
    work = pipeline.open_work(
        pipeline.submit(parse_study(ordered, "test"), repository, home, Listening()), repository, home, Listening()
    )
    train.run(work)  # with batch normalisation: statistics are those of the data
    assert all(value.isfinite().all() for value in work.weights.state_dict().values())
