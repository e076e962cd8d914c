"""Workers know what is registered from what they are given: they do not look into the state folder."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from runner.errors import SpecError
from runner.registered.values import NOTHING, AllowedExtension, Registered, RegisteredData
from runner.scoring import Scorer, ScorerFactory, arrays_of
from runner.stages.retrain_trial import RetrainJob, _trained
from runner.study import parse_study
from runner.validation import Plan, resolve
from supernet.training.checkpoint import Checkpoints

HERE = "tests.runner.registered.own_code"


@pytest.fixture
def planned(tmp_path: Path) -> Plan:
    (tmp_path / "numbers.txt").write_text("1 2 3 4 5 6 7 8")
    registered = Registered(
        data=(RegisteredData(name="numbers", path=str(tmp_path / "numbers.txt")),),
        extensions=(
            AllowedExtension(name="mine", kind="task", target=f"{HERE}:from_file"),
            AllowedExtension(name="net", kind="family", target=f"{HERE}:FAMILY"),
        ),
    )
    spec = parse_study(
        {
            "name": "s",
            "task": {"name": "mine", "data": "numbers"},
            "space": {"name": "net"},
            "objectives": {"error": {}},
            "train": {"steps": 1},
        },
        "test",
    )
    return resolve(spec, registered)


def test_one_that_scores(planned: Plan) -> None:
    weights = planned.shared_weights()
    factory = ScorerFactory(spec=planned.spec.model_dump_json(), name="s", registered=planned.registered)
    there = pickle.loads(pickle.dumps(factory))(arrays_of(weights))
    architecture = planned.space.largest()
    assert there(architecture) == Scorer(planned, weights)(architecture)
    with pytest.raises(SpecError, match="supernaut extension allow mine"):
        replace(factory, registered=NOTHING)(arrays_of(weights))


def test_one_that_retrains(planned: Plan, tmp_path: Path) -> None:
    weights = planned.shared_weights()
    tensors = {f"model.{name}": tensor for name, tensor in weights.state_dict().items()}
    Checkpoints(tmp_path / "supernet").save(1, tensors, {})
    job = RetrainJob(
        spec=planned.spec.model_dump_json(),
        architecture=planned.space.largest().to_json(),
        supernet=tmp_path / "supernet",
        registered=planned.registered,
    )
    again = pickle.loads(pickle.dumps(job))
    there, _ = _trained(again.spec, again.supernet, again.registered, again.layer_ranks)
    assert (there.task.name, there.family.name) == ("mine", "net")
    with pytest.raises(SpecError, match="supernaut extension allow mine"):
        _trained(job.spec, job.supernet, NOTHING, job.layer_ranks)
