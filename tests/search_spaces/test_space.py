"""SearchSpace against brute force, and the messages for what does not fit."""

from __future__ import annotations

import json
import pickle
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search_spaces import (
    Architecture,
    Categorical,
    Condition,
    Constraint,
    InfeasibleSpace,
    InvalidArchitecture,
    Ordinal,
    SearchSpace,
    SpaceError,
    UnknownChoice,
    load_space,
)
from tests.search_spaces.spaces import Declaration, declarations, spaces


@pytest.fixture
def space() -> SearchSpace:
    return SearchSpace(
        {"depth": Ordinal(1, 2, 3), "mixer": Categorical("conv", "softmax"), "heads": Ordinal(1, 2, 4)},
        conditions={"heads": (Condition("mixer", ("softmax",)),)},
        constraints=(
            Constraint(
                ("depth", "heads"),
                lambda a: "heads" not in a or a["depth"] != 1 or a["heads"] != 4,
                "few heads",
            ),
        ),
    )


@pytest.mark.slow
@given(declarations())
@settings(max_examples=150, deadline=None)
def test_size_order_and_membership_equal_brute_force(declaration: Declaration) -> None:
    expected = [Architecture(answers) for answers in declaration.assignments()]
    if not expected:
        with pytest.raises(InfeasibleSpace) as caught:
            declaration.space()
        assert all(constraint.message in str(caught.value) for constraint in declaration.constraints)
        return
    space = declaration.space()
    assert space.size() == len(expected)
    assert list(space.enumerate()) == expected
    assert [space.index_of(architecture) for architecture in expected] == list(range(len(expected)))


@given(spaces(), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_sample_belongs_and_survives_every_codec(space: SearchSpace, seed: int) -> None:
    architecture = space.sample(random.Random(seed))
    assert space.contains(architecture)
    assert space.architecture_at(space.index_of(architecture)) == architecture
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert space.canonical(architecture) == architecture
    assert space.active(architecture) == tuple(name for name in space.names if name in architecture)


@given(spaces(), st.data())
@settings(max_examples=100, deadline=None)
def test_canonical_drops_inactive_answers_and_is_idempotent(space: SearchSpace, data: st.DataObject) -> None:
    answers = {name: data.draw(st.sampled_from(choice.values), label=name) for name, choice in space.choices.items()}
    try:
        architecture = space.canonical(answers)
    except InvalidArchitecture:
        return  # the constraints forbid it
    assert space.contains(architecture)
    assert space.canonical(architecture) == architecture
    assert all(architecture[name] == answers[name] for name in architecture)


@given(spaces())
@settings(max_examples=100, deadline=None)
def test_smallest_and_largest_are_the_first_and_last(space: SearchSpace) -> None:
    assert space.smallest() == space.architecture_at(0)
    assert space.largest() == space.architecture_at(space.size() - 1)


def test_sampling_is_uniform_under_conditions_and_constraints(space: SearchSpace) -> None:
    # 11 architectures, 11,000 draws: chi-square with 10 degrees of freedom is below 29.6 with 0.999;
    # the generator is fixed, so this cannot fail by chance.
    assert space.size() == 11
    rng = random.Random(7)
    seen = Counter(space.sample(rng).digest for _ in range(11_000))
    assert len(seen) == 11
    assert sum((count - 1000) ** 2 / 1000 for count in seen.values()) < 29.6


def test_the_same_generator_state_gives_the_same_sample(space: SearchSpace) -> None:
    assert [space.sample(random.Random(3)) for _ in range(5)] == [space.sample(random.Random(3))] * 5


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"depth": 4, "mixer": "conv"}, r"'depth' cannot be 4 .*allowed: 1, 2, 3"),
        ({"depth": 2.0, "mixer": "conv"}, r"'depth' cannot be 2\.0 \(of type float\)"),
        ({"depth": True, "mixer": "conv"}, r"'depth' cannot be True \(of type bool\)"),
        ({"depth": "2", "mixer": "conv"}, r"of type str"),
        ({"depth": 1}, r"'mixer' is active but not answered; answer one of 'conv', 'softmax'"),
        (
            {"depth": 1, "mixer": "conv", "heads": 2},
            r"'heads' is answered \(2\) but not active: it needs 'mixer'",
        ),
        (
            {"depth": 1, "mixr": "conv"},
            r"no choice 'mixr'; did you mean 'mixer'\? Allowed: depth, mixer, heads",
        ),
        (
            {"depth": 1, "mixer": "softmax", "heads": 4},
            r"'few heads' is broken by \{'depth': 1, 'heads': 4\}",
        ),
    ],
)
def test_what_does_not_fit_is_explained(space: SearchSpace, answers: dict, message: str) -> None:
    assert not space.contains(answers)
    with pytest.raises(InvalidArchitecture, match=message):
        space.check(answers)
    if "not active" not in message:
        with pytest.raises(InvalidArchitecture, match=message):
            space.canonical(answers)


def test_canonical_ignores_even_a_wrong_answer_to_an_inactive_choice(space: SearchSpace) -> None:
    assert space.canonical({"depth": 1, "mixer": "conv", "heads": 99}) == Architecture({"depth": 1, "mixer": "conv"})


@pytest.mark.parametrize("index", [-1, 11])
def test_an_index_outside_is_refused(space: SearchSpace, index: int) -> None:
    with pytest.raises(SpaceError, match="runs from 0 to 10"):
        space.architecture_at(index)


def test_questions_change_nothing(space: SearchSpace) -> None:
    first, second = space.architecture_at(0), space.architecture_at(10)
    before = [space.encode(first), space.encode(second), space.size(), space.index_of(second)]
    list(space.neighbours(second))
    space.mutate(first, random.Random(0))
    assert before == [space.encode(first), space.encode(second), space.size(), space.index_of(second)]
    with pytest.raises(TypeError):
        space.choices["depth"] = Ordinal(1)  # type: ignore[index]


def test_description_is_json_and_names_everything(space: SearchSpace) -> None:
    described = json.loads(json.dumps(space.describe()))
    assert described["choices"][2] == {
        "name": "heads",
        "kind": "ordinal",
        "values": [1, 2, 4],
        "conditions": [{"choice": "mixer", "values": ["softmax"]}],
    }
    assert described["constraints"] == [{"choices": ["depth", "heads"], "message": "few heads"}]


def test_digest_follows_the_description(space: SearchSpace) -> None:
    assert space.digest == "9218706240dd"
    assert space.narrow({"depth": (1, 2)}).digest != space.digest
    assert load_space("vision_transformer").digest == load_space("vision_transformer").digest


def test_a_space_without_lambdas_pickles() -> None:
    space = load_space("vision_transformer")
    copy = pickle.loads(pickle.dumps(space))
    assert copy.describe() == space.describe()
    assert copy.sample(random.Random(1)) == space.sample(random.Random(1))


def test_an_empty_space_names_its_constraints() -> None:
    with pytest.raises(InfeasibleSpace, match="a is above 5"):
        SearchSpace({"a": Ordinal(1, 2)}, constraints=[Constraint(("a",), lambda a: a["a"] > 5, "a is above 5")])


def test_repr_shows_the_size(space: SearchSpace) -> None:
    assert repr(space) == "<SearchSpace of 3 choices and 11 architectures>"
    assert "10^" in repr(SearchSpace({f"c{i}": Ordinal(1, 2) for i in range(64)}))


def test_fix_leaves_one_answer(space: SearchSpace) -> None:
    fixed = space.fix({"mixer": "softmax", "depth": 1})
    assert {(a["mixer"], a["depth"]) for a in fixed.enumerate()} == {("softmax", 1)}
    assert fixed.size() == 2
    with pytest.raises(UnknownChoice, match="did you mean 'depth'"):
        space.fix({"dpth": 1})
