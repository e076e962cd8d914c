"""One evaluation's work: the same scores from mapped arrays as from the weights themselves."""

from __future__ import annotations

import math
import pickle
import random
import warnings
from typing import TYPE_CHECKING, Any

import pytest
import torch

from runner.scoring import Scorer, ScorerFactory, arrays_of, train_config
from runner.study import StudySpec, parse_study
from runner.validation import Plan, plan
from supernet import SharedWeights

if TYPE_CHECKING:
    import numpy as np


@pytest.fixture(scope="module")
def spec() -> StudySpec:
    return parse_study(
        {
            "name": "a",
            "task": {"name": "digits"},
            "space": {"name": "vision_transformer", "choices": {"depth": [1, 2], "width": [16], "bits": [4, 8, 32]}},
            "objectives": {"error": {}},
        },
        "test",
    )


@pytest.fixture(scope="module")
def planned(spec: StudySpec) -> Plan:
    return plan(spec)


@pytest.fixture
def weights(planned: Plan) -> SharedWeights:
    return SharedWeights(planned.build, planned.space, seed=1)


def read_only(arrays: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
    copies = {name: array.copy() for name, array in arrays.items()}
    for array in copies.values():
        array.flags.writeable = False
    return copies


def test_a_worker_scores_what_this_process_scores(spec: StudySpec, planned: Plan, weights: SharedWeights) -> None:
    factory = pickle.loads(pickle.dumps(ScorerFactory(spec=spec.model_dump_json(), name="a")))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        there = factory(read_only(arrays_of(weights)))
    here = Scorer(planned, weights)
    rng = random.Random(0)
    for _ in range(5):
        architecture = planned.space.sample(rng)
        scores = here(architecture)
        assert scores == there(architecture)
        assert set(scores) == set(planned.task.metrics)
        assert 0 < scores["error"] < 1


def test_the_arrays_are_not_copied(weights: SharedWeights) -> None:
    arrays = arrays_of(weights)
    name, parameter = next(iter(weights.named_parameters()))
    with torch.no_grad():
        parameter.fill_(3.0)
    assert (arrays[name] == 3.0).all()


def test_outputs_that_are_not_finite_are_no_score(planned: Plan, weights: SharedWeights) -> None:
    with torch.no_grad():
        weights.get_parameter("head.bias").fill_(math.nan)
    scores = Scorer(planned, weights)(planned.space.smallest())
    assert scores
    assert all(math.isnan(score) for score in scores.values())


def test_a_specification_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="another version"):
        ScorerFactory(spec='{"name": "a", "colour": 3}', name="a")({})


def test_training_follows_the_specification(spec: StudySpec) -> None:
    config = train_config(spec, "bf16")
    assert (config.steps, config.batch, config.seed, config.precision) == (1500, 128, 0, "bf16")
    assert train_config(spec).precision == "fp32"
