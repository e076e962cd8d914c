"""Every example shares its weights as it says: outputs and gradients of subnets against models without any slicing."""

from __future__ import annotations

import random
import socket
from typing import TYPE_CHECKING, Any

import pytest
import torch
from torch import Tensor

from examples.own_models import llama_decoder
from supernet.skeleton import build_real
from tests.own_models.models import MODELS, OwnModel
from tests.own_models.silenced import assert_equal_outputs_and_gradients
from tests.supernet.toys import randomise

if TYPE_CHECKING:
    from search_spaces import Architecture
    from supernet import SharedWeights


@pytest.fixture(scope="module", params=MODELS)
def model(request: pytest.FixtureRequest) -> OwnModel:
    return MODELS[request.param]


@pytest.fixture(scope="module")
def weights(model: OwnModel) -> SharedWeights:
    """In double precision and without dropout; the CNN stays in training mode, where its norms use the batch."""
    made = randomise(model.weights()).double()
    return made.train(model is MODELS["cnn"])


def _inputs(model: OwnModel) -> Tensor:
    given = model.task.example(3)
    return given.double() if given.is_floating_point() else given


def _architectures(model: OwnModel) -> list[Architecture]:
    space, rng = model.space, random.Random(5)
    return [space.smallest(), space.largest(), *(space.sample(rng) for _ in range(4))]


def test_subnets_compute_what_the_uniform_model_does_without_what_they_lack(
    model: OwnModel, weights: SharedWeights
) -> None:
    inputs = _inputs(model)
    for architecture in _architectures(model):
        weights.zero_grad()
        full = model.full(int(architecture["depth"])).double().train(weights.training)
        kept = model.kept(architecture)
        assert_equal_outputs_and_gradients(weights.borrow(architecture), full, weights, kept, inputs)


def test_a_gradient_reaches_every_parameter(model: OwnModel, weights: SharedWeights) -> None:
    inputs = _inputs(model)
    weights.zero_grad()
    weights.borrow(model.space.largest())(inputs).square().sum().backward()
    without = [name for name, parameter in weights.named_parameters() if parameter.grad is None]
    zero = [name for name, parameter in weights.named_parameters() if not parameter.grad.any()]  # type: ignore[union-attr]
    assert (without, zero) == ([], [])


def test_building_needs_no_network_and_is_repeatable(model: OwnModel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a build opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    architecture = model.space.smallest()
    first, second = (build_real(model.build, architecture, seed=1).state_dict() for _ in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("model", ["llama"], indirect=True)
def test_tied_embeddings_stay_tied(model: OwnModel, weights: SharedWeights) -> None:
    smallest = model.space.smallest()
    for module in (weights.borrow(smallest), weights.extract(smallest)):
        assert module.model.lm_head.weight is module.model.model.embed_tokens.weight


def test_heads_keep_their_own_key_head() -> None:
    """Two query heads for each of two key heads are rows 0-15 and 24-39 of the largest projection, not rows 0-31."""
    (region, second) = llama_decoder.QueryHeads(axis=0).regions((48, 5), (32, 5))
    assert [region.shared[0], second.shared[0]] == [slice(0, 16), slice(24, 40)]
    assert [region.subnet[0], second.subnet[0]] == [slice(0, 16), slice(16, 32)]
