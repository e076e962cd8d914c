"""What a specification means here, refused before anything is paid for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from predictors.costs import cost
from runner import validation
from runner.errors import SpecError, Unreachable
from runner.study import parse_study
from runner.validation import Plan, computed_costs, plan
from search_spaces import Architecture, SpaceError

if TYPE_CHECKING:
    from torch import nn


def planned(**changes: Any) -> Plan:
    least = {
        "name": "a",
        "task": {"name": "digits"},
        "space": {"name": "vision_transformer", "choices": {"depth": [1, 2], "width": [16], "patch": 4}},
        "objectives": {"error": {}},
    }
    return plan(parse_study({**least, **changes}, "test"))


def space(**choices: Any) -> dict[str, Any]:
    return {"name": "vision_transformer", "choices": choices}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": {"name": "digit"}}, ["task", "Did you mean 'digits'"]),
        ({"task": {"name": "digits", "image_size": 3}}, ["task", "image_size"]),
        ({"space": {"name": "vision_transfomer"}}, ["space", "vision_transformer"]),
        ({"space": space(dept=[2])}, ["space", "dept", "depth"]),
        ({"space": space(mixer=["sofmax"])}, ["space", "sofmax", "softmax"]),
        ({"space": space(patch=[3])}, ["space.choices", "patch of 3", "does not divide", "8"]),
        ({"space": space(patch=[1], window=[3])}, ["window", "does not divide"]),
        ({"objectives": {"eror": {}}}, ["objectives.eror", "error", "latency_ms"]),
        ({"objectives": {"error": {"goal": "maximize"}}}, ["objectives.error.goal", "minimize"]),
        ({"search": {"algorithm": "surogate"}}, ["search.algorithm", "surrogate"]),
        ({"retrain": {"points": ["best"]}}, ["retrain.points", "knee", "ends", "best"]),
    ],
)
def test_names_that_mean_nothing(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SpecError) as caught:
        planned(**changes)
    for word in words:
        assert word in str(caught.value)


def test_a_computed_bound_that_nothing_can_meet() -> None:
    with pytest.raises(Unreachable) as caught:
        planned(objectives={"error": {}, "model_bytes": {"at_most": 10}})
    assert "objectives.model_bytes" in str(caught.value)
    assert "reach from" in str(caught.value)


@pytest.mark.slow
def test_a_narrow_window_that_few_architectures_meet_is_not_refused() -> None:
    """Uniform samples of this space are nearly all deep; the window holds shallow ones."""
    made = planned(
        space=space(depth=[2, 3, 4, 6]),
        objectives={"error": {}, "model_bytes": {"at_least": 60_000, "at_most": 90_000}},
    )
    assert made.bounds == {"model_bytes": (60_000, 90_000)}


@pytest.mark.parametrize("objective", [{"error": {"at_most": -0.1}}, {"accuracy": {"at_least": 1.5}}])
def test_a_score_that_no_model_can_reach(objective: dict[str, Any]) -> None:
    with pytest.raises(Unreachable, match="between 0 and 1"):
        planned(objectives=objective)


def test_a_computed_bound_that_something_meets() -> None:
    assert planned(objectives={"error": {}, "parameters": {"at_most": 3000}}).bounds == {"parameters": (None, 3000)}


def test_computed_costs_agree_with_the_real_module() -> None:
    made = planned(objectives={"error": {}, "macs": {}, "peak_activation_bytes": {}})
    for architecture in (made.space.smallest(), made.space.largest()):
        expected = cost(made.build(architecture), made.task.example(1))
        assert computed_costs(architecture, made) == {
            "parameters": expected.parameters,
            "model_bytes": expected.model_bytes,
            "macs": expected.macs,
            "peak_activation_bytes": expected.peak_activation_bytes,
        }


def test_the_space_is_the_family_as_narrowed() -> None:
    made = planned(space=space(depth=2, width=[16], patch=[2], mixer=["identity"], mlp_ratio=[1], bits=[8]))
    assert made.space.size() == 1
    with pytest.raises(SpaceError):
        made.space.fix({"depth": 3})


@pytest.mark.slow
def test_bits_without_a_kernel_are_refused_and_the_others_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "missing_kernel", lambda bits: "no MatMulNBits" if bits == 4 else None)
    with pytest.raises(SpecError, match=r"layers\.0\.bits offers 4 bits, .*\(no MatMulNBits\); choose among: 8, 32"):
        planned(space=space(bits=[4, 8, 32]))
    planned(space=space(bits=[8, 32]))
    monkeypatch.setattr(validation, "missing_kernel", lambda bits: "nothing" if bits != 32 else None)
    with pytest.raises(SpecError, match="choose among: 32"):
        planned(space=space(bits=[8]))


def test_tokens_belong_to_metrics_that_grow_with_the_context() -> None:
    with pytest.raises(SpecError, match=r"latency_ms\.tokens: latency_ms does not depend on a number of tokens"):
        planned(objectives={"error": {}, "latency_ms": {"tokens": 64}})


def test_values_that_do_not_fit_each_other_show_before_training() -> None:
    """Neither value is wrong in the largest architecture that has it."""
    made = planned(space=space(depth=[1, 2], width=[16, 24, 32], patch=[2, 4], mlp_ratio=[1, 2]))

    def build(architecture: Architecture) -> nn.Module:
        if architecture["width"] == 16 and architecture["patch"] == 4:
            raise ValueError("16 and 4 do not fit")
        return made.build(architecture)

    with pytest.raises(SpecError, match=r"space\.choices: 16 and 4 do not fit"):
        validation._check_builds(replace(made, build=build))
