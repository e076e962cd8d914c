"""What an order by importance is for: smaller subnets of a trained encoder lose less."""

from __future__ import annotations

from statistics import mean

import pytest
import torch
from torch import nn

from search_spaces import load_space
from supernet.models.registry import builder_of, load_family
from supernet.pretrained.calibration import Calibration
from supernet.pretrained.importance import CRITERIA, Criterion
from supernet.shared_weights import SharedWeights
from supernet.skeleton import build_real
from supernet.tasks.registry import load_task
from supernet.training.loop import LoopConfig
from supernet.training.retrain import retrain

SEEDS = 5


@pytest.mark.slow
def test_half_a_feed_forward_network_loses_less_if_its_features_are_ordered() -> None:
    """The validation loss of subnets of half the hidden features, over five models trained here.

    Magnitude and gradient find better halves than chance in nearly every model, activation on average; the whole
    model computes what it did, bit by bit without an order and within 1e-5 with one.
    """
    task, family = load_task("digits"), load_family("vision_transformer")
    options = {"depth": 2, "width": 32, "patch": 2, "mixer": "softmax", "heads": 2, "mlp_ratio": [2, 4], "bits": 32}
    space = load_space("vision_transformer", **options)
    build = builder_of(family, task)
    assert callable(family.couplings)
    hidden = [one for one in family.couplings(space.largest()) if one.name == "hidden features"]
    inputs, targets = task.train.read(slice(0, 512))
    calibration = Calibration(inputs=(inputs,), targets=(targets,))
    lost: dict[Criterion | None, list[float]] = {order: [] for order in (None, *CRITERIA)}
    for seed in range(SEEDS):
        model: nn.Module = build_real(build, space.largest(), seed)
        retrain(model, task, LoopConfig(steps=150, batch=64, learning_rate=4e-3, health_every=10**6, seed=seed))
        whole = task.score(model.eval(), task.validation)["loss"]
        with torch.no_grad():
            wanted = model(inputs)
        for order in (None, *CRITERIA):
            weights = SharedWeights.from_pretrained(
                model, build, space, order=order, couplings=hidden, calibration=calibration
            ).eval()
            with torch.no_grad():
                found = weights.borrow(space.largest())(inputs)
            if order is None:
                assert torch.equal(found, wanted)
            else:
                assert float((found - wanted).abs().max() / wanted.abs().max()) <= 1e-5
            half = task.score(weights.borrow(space.smallest()), task.validation)["loss"]
            lost[order].append(half - whole)
    for order in CRITERIA:
        assert mean(lost[order]) < mean(lost[None]), lost
    for order in CRITERIA[::2]:  # magnitude and gradient
        assert sum(one < other for one, other in zip(lost[order], lost[None], strict=True)) >= SEEDS - 1, lost
