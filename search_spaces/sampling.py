"""The numbering of a space's architectures in lexicographic order, and uniform draws by it.

Owns the bijection between 0 .. size - 1 and complete answers; the counts come from `counting.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.counting import INACTIVE
from search_spaces.errors import SpaceError

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from search_spaces.counting import Answers, Frontier, State


def answers_at(frontier: Frontier, index: int) -> Answers:
    """The answers with this number: declared order first, then each choice's values from first to last."""
    if not 0 <= index < frontier.total:
        raise SpaceError(f"index {index} is outside this space; it runs from 0 to {frontier.total - 1}")
    remaining = index
    answers: list[int] = []
    state: State = ()
    for position in range(len(frontier.sizes)):
        for answer in frontier.options(position, state):
            completions = frontier.count(position, state, answer)
            if remaining < completions:
                break
            remaining -= completions
        answers.append(answer)
        state = frontier.following(position, state, answer)
    return tuple(answers)


def all_answers(frontier: Frontier) -> Iterator[Answers]:
    """All complete answers in the order of their numbers; what neighbours share is found out once."""
    answers: list[int] = []
    states: list[State] = [()]
    if not frontier.sizes:
        yield ()
        return
    untried = [iter(frontier.options(0, ()))]
    while untried:
        position, state = len(answers), states[-1]
        answer = next((a for a in untried[-1] if frontier.count(position, state, a)), None)
        if answer is None:
            untried.pop()
            states.pop()
            del answers[-1:]
        elif position + 1 == len(frontier.sizes):
            yield (*answers, answer)
        else:
            answers.append(answer)
            states.append(frontier.following(position, state, answer))
            untried.append(iter(frontier.options(position + 1, states[-1])))


def index_of(frontier: Frontier, answers: Answers) -> int:
    """The number of these answers; the inverse of `answers_at`."""
    index = 0
    state: State = ()
    for position, given in enumerate(answers):
        for answer in frontier.options(position, state):
            if answer == given:
                break
            index += frontier.count(position, state, answer)
        state = frontier.following(position, state, given)
    return index


def uniform_answers(frontier: Frontier, rng: random.Random) -> Answers:
    """One of all complete answers, each with the same probability."""
    return answers_at(frontier, rng.randrange(frontier.total))


def balanced_answers(
    frontier: Frontier, rng: random.Random, weights: Sequence[Sequence[float] | None] | None = None
) -> Answers:
    """Complete answers in which each choice takes any answer that can still be completed, each equally likely.

    `weights` may hold, for each choice, one positive number for each of its values; a value is then drawn in
    proportion to it.
    """
    answers: list[int] = []
    state: State = ()
    for position in range(len(frontier.sizes)):
        possible = [a for a in frontier.options(position, state) if frontier.count(position, state, a)]
        given = weights[position] if weights is not None else None
        if given is None or possible == [INACTIVE]:
            answer = rng.choice(possible)
        else:
            (answer,) = rng.choices(possible, [given[a] for a in possible])
        answers.append(answer)
        state = frontier.following(position, state, answer)
    return tuple(answers)
