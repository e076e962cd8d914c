"""Answers near given answers: mutation, crossover and the list of neighbours.

Owns what "near" means.  Feasibility comes from `counting.py`: every result satisfies the constraints by
construction, so that nothing here rejects and tries again without a bound.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.counting import INACTIVE
from search_spaces.errors import InfeasibleSpace, SpaceError
from search_spaces.sampling import answers_at, index_of

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from search_spaces.counting import Answers, Frontier

_ATTEMPTS = 32  # mutations that constraints turned back into the parent, before any other architecture is drawn


def mutated(frontier: Frontier, answers: Answers, rng: random.Random, rate: float | None) -> Answers:
    """Other answers, in which each active choice changed with probability `rate` (one on average by default).

    Later choices keep their answers where they still can.  Where constraints undo every attempt, any other
    architecture is drawn uniformly.
    """
    if frontier.total == 1:
        raise InfeasibleSpace("this space holds a single architecture, so none to mutate to; widen it")
    movable = [
        position for position, answer in enumerate(answers) if answer != INACTIVE and frontier.sizes[position] > 1
    ]
    assert movable, "two architectures differ first in a choice that both answer"
    probability = 1 / len(movable) if rate is None else rate
    if not 0 < probability <= 1:
        raise SpaceError(f"rate is the probability of changing a choice, above 0 and at most 1; got {rate}")
    for _ in range(_ATTEMPTS):
        changing = {position for position in movable if rng.random() < probability} or {rng.choice(movable)}
        found = frontier.first(_mutation_preferences(frontier, answers, changing, rng))
        if found is not None and found != answers:
            return found
    own = index_of(frontier, answers)
    drawn = rng.randrange(frontier.total - 1)
    return answers_at(frontier, drawn + (drawn >= own))


def crossed(frontier: Frontier, first: Answers, second: Answers, rng: random.Random) -> Answers:
    """Answers in which each active choice follows one parent or the other, by a fair coin, where it can."""
    preferences = []
    for position, pair in enumerate(zip(first, second, strict=True)):
        parents = [answer for answer in rng.sample(pair, 2) if answer != INACTIVE]
        preferences.append([*parents, *_shuffled(frontier.sizes[position], rng)])
    found = frontier.first(preferences)
    assert found is not None, "every value of every choice is among the preferences"
    return found


def neighbours(frontier: Frontier, answers: Answers, ordered: Sequence[bool]) -> Iterator[Answers]:
    """All answers in which one decision differs.

    An ordered choice moves to the nearest value below and above that the other answers allow, another
    choice to any value they allow.  Choices that become active take their smallest feasible value.
    """
    for position, own in enumerate(answers):
        if own == INACTIVE:
            continue
        size = frontier.sizes[position]
        if ordered[position]:
            moves: tuple[Sequence[int], ...] = (range(own - 1, -1, -1), range(own + 1, size))
        else:
            moves = tuple((value,) for value in range(size) if value != own)
        for values in moves:
            preferences: list[Sequence[int]] = [
                range(size_here) if answer == INACTIVE else (answer,)
                for answer, size_here in zip(answers, frontier.sizes, strict=True)
            ]
            preferences[position] = values
            found = frontier.first(preferences)
            if found is not None:
                yield found


def _mutation_preferences(
    frontier: Frontier, answers: Answers, changing: set[int], rng: random.Random
) -> list[list[int]]:
    preferences = []
    for position, own in enumerate(answers):
        order = _shuffled(frontier.sizes[position], rng)
        if own != INACTIVE:
            order.remove(own)
            order.insert(len(order) if position in changing else 0, own)
        preferences.append(order)
    return preferences


def _shuffled(size: int, rng: random.Random) -> list[int]:
    return rng.sample(range(size), size)
