"""Which values occur at which step of a widening training."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from search_spaces import Architecture, Categorical, Condition, Constraint, Ordinal, SearchSpace
from search_spaces.errors import UnknownChoice
from supernet.errors import TrainingError
from supernet.training.sampling import MultiArchitecture, Sandwich
from supernet.training.widening import OPEN_BY, Widening, evenly

SPACE = SearchSpace(
    {
        "depth": Ordinal(1, 2, 3),
        "width": Ordinal(8, 16),
        "layers.0.kernel": Ordinal(3, 5, 7),
        "layers.1.kernel": Ordinal(3, 5, 7),
        "mixer": Categorical("softmax", "conv"),
    }
)
STEPS = 100


def sandwich(space: SearchSpace) -> Sandwich:
    return Sandwich(space, random_subnets=3)


def values_at(widening: Widening, step: int, name: str) -> set[object]:
    """What a choice takes in 60 draws of a step: one of three values is missing with p < 3 * (2/3)^180 < 1e-31."""
    drawn = [a for seed in range(60) for a in widening.architectures(step, random.Random(seed))]
    return {architecture[name] for architecture in drawn}


@pytest.mark.parametrize(
    ("step", "kernels", "depths"),
    [
        (0, {7}, {3}),
        (19, {7}, {3}),
        (20, {3, 5, 7}, {3}),
        (49, {3, 5, 7}, {3}),
        (50, {3, 5, 7}, {1, 2, 3}),
        (99, {3, 5, 7}, {1, 2, 3}),
    ],
)
def test_groups_open_one_after_another(step: int, kernels: set[int], depths: set[int]) -> None:
    widening = Widening.over(SPACE, {"kernel": 0.2, "depth": 0.5}, STEPS, sandwich)
    assert values_at(widening, step, "layers.0.kernel") == kernels
    assert values_at(widening, step, "layers.1.kernel") == kernels
    assert values_at(widening, step, "depth") == depths
    assert values_at(widening, step, "mixer") == {"softmax", "conv"}, "what is not named is open from the start"
    assert values_at(widening, step, "width") == {8, 16}
    space = widening.space_at(step)
    assert set(space.choices["depth"].values) == depths
    assert space.contains(SPACE.smallest()) == (step >= 50)
    assert space.contains(SPACE.largest())


def test_every_architecture_belongs_to_the_whole_space() -> None:
    widening = Widening.over(SPACE, evenly(["depth", "width", "*.kernel", "mixer"]), STEPS, sandwich)
    for step in range(STEPS):
        for architecture in widening.architectures(step, random.Random(step)):
            assert SPACE.contains(architecture)


def test_a_closed_space_is_trained_once_a_step() -> None:
    widening = Widening.over(SPACE, evenly(list(SPACE.names)), STEPS, sandwich)
    assert widening.architectures(0, random.Random(0)) == [SPACE.largest()]


def test_even_shares_leave_the_rest_to_the_whole_space() -> None:
    assert evenly(["a", "b", "c", "d"]) == pytest.approx({"a": 0.125, "b": 0.25, "c": 0.375, "d": 0.5})
    assert max(evenly(["a"]).values()) == OPEN_BY


def test_constraints_and_inactive_choices_stay_possible() -> None:
    """The largest architecture has no `heads`; the constraint forbids the largest width beside the largest depth."""
    space = SearchSpace(
        {
            "depth": Ordinal(1, 2),
            "width": Ordinal(8, 16),
            "mixer": Categorical("softmax", "conv"),
            "heads": Ordinal(1, 2),
        },
        conditions={"heads": Condition("mixer", ("softmax",))},
        constraints=[Constraint(("depth", "width"), lambda a: a["depth"] * a["width"] <= 16, "small enough")],
    )
    widening = Widening.over(space, evenly(["heads", "width", "depth", "mixer"]), STEPS, sandwich)
    assert widening.architectures(0, random.Random(0)) == [Architecture({"depth": 2, "width": 8, "mixer": "conv"})]
    late = {a for seed in range(60) for a in widening.architectures(STEPS - 1, random.Random(seed))}
    assert late == set(space.enumerate())


def test_it_does_as_its_recipe_does() -> None:
    widening = Widening.over(SPACE, {"depth": 0.5}, STEPS, lambda part: MultiArchitecture(part, 4))
    assert widening.divides_batch
    assert widening.usual_distillation == "labels"
    assert not Widening.over(SPACE, {"depth": 0.5}, STEPS, sandwich).divides_batch


@dataclass(frozen=True)
class Refusal:
    opening: dict[str, float]
    error: type[Exception]
    words: str


@pytest.mark.parametrize(
    "refusal",
    [
        Refusal({"dept": 0.1}, UnknownChoice, "did you mean 'depth'"),
        Refusal({"depth": 0.5, "width": 0.2}, TrainingError, "ascending shares .* 0.5, 0.2"),
        Refusal({"depth": 1.5}, TrainingError, "from 0 to 1; got 1.5"),
        Refusal({"kernel": 0.1, "layers.0.*": 0.2}, TrainingError, "'layers.0.kernel' is opened twice"),
    ],
)
def test_impossible_openings_are_refused(refusal: Refusal) -> None:
    with pytest.raises(refusal.error, match=refusal.words):
        Widening.over(SPACE, refusal.opening, STEPS, sandwich)
