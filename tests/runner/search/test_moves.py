"""Moves on index rows agree with the search space, which owns what an architecture is."""

from __future__ import annotations

import random

import numpy as np
import pytest

from predictors.features import FeatureLayout, Features
from runner.search.moves import Moves
from search_spaces import SearchSpace, load_space


@pytest.fixture
def space() -> SearchSpace:
    return load_space("vision_transformer")


def test_every_row_is_an_architecture_of_the_space(space: SearchSpace) -> None:
    moves, layout, rng = Moves(space), FeatureLayout.of(space), np.random.default_rng(0)
    parents = moves.random(100, rng)
    shuffled = parents[rng.permutation(100)]
    rows = [parents, moves.mutated(parents, rng), moves.crossed(parents, shuffled, rng)]
    rows.append(moves.neighbours(parents[:5]))
    for architecture in Features(layout=layout, indices=np.vstack(rows)).architectures():
        space.check(architecture)


def test_neighbours_are_those_of_the_space(space: SearchSpace) -> None:
    moves, layout = Moves(space), FeatureLayout.of(space)
    for seed in range(20):
        architecture = space.sample(random.Random(seed))
        rows = moves.neighbours(layout.extract([architecture]).indices)
        found = list(Features(layout=layout, indices=rows).architectures())
        assert len(found) == len(set(found))
        assert set(found) == set(space.neighbours(architecture))


def test_moves_leave_their_parents_alone(space: SearchSpace) -> None:
    moves, rng = Moves(space), np.random.default_rng(0)
    parents = moves.random(20, rng)
    before = parents.copy()
    moves.mutated(parents, rng)
    moves.neighbours(parents)
    moves.crossed(parents, parents[::-1], rng)
    assert (parents == before).all()


def test_crossovers_of_equal_parents_are_the_parents(space: SearchSpace) -> None:
    moves, rng = Moves(space), np.random.default_rng(0)
    parents = moves.random(20, rng)
    assert (moves.crossed(parents, parents, rng) == parents).all()
    assert 0.0 < (moves.mutated(parents, rng) != parents).mean() < 0.5
