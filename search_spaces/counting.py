"""How many ways a partly answered space can be completed: a frontier dynamic programme in declared order.

Owns activity, constraints and counts in terms of positions and indices.  Answers are tuples with one entry
for each choice: the index of its value, or INACTIVE.  Names and architectures belong to `space.py`.

The state before position i holds the answers of those earlier choices that a later condition or constraint
still reads; two prefixes with the same state have the same completions.  (This is the transfer-matrix method:
Stanley, Enumerative Combinatorics I, section 4.7.)  Counts are made once, in the constructor, and never
change, so that any number of threads may read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from search_spaces.errors import SpaceError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from search_spaces.choice import Choice
    from search_spaces.constraint import Condition, Constraint
    from search_spaces.values import Value

Answers: TypeAlias = tuple[int, ...]
State: TypeAlias = tuple[int, ...]

INACTIVE = -1
_Scope: TypeAlias = "tuple[tuple[str, int, tuple[Value, ...]], ...]"  # name, slot and values of each choice
MAXIMUM_STATES = 1_000_000  # one constraint over 13 choices: 800,000 states took 9 s and 0.25 GB


@dataclass(frozen=True, kw_only=True)
class _Step:
    """What happens at one position.  A slot is a place in the state, followed by this position's answer."""

    conditions: tuple[tuple[int, frozenset[int]], ...]  # slot, indices that let the choice be active
    constraints: tuple[tuple[_Scope, Constraint], ...]  # those of which this is the last choice
    kept: tuple[int, ...]  # slots that make the next state


class Frontier:
    """The steps of a space and the number of completions of each state that can be reached."""

    def __init__(
        self,
        choices: Mapping[str, Choice],
        conditions: Mapping[str, Sequence[Condition]],
        constraints: Sequence[Constraint],
    ) -> None:
        self.sizes = tuple(len(choice.values) for choice in choices.values())
        self._steps = _steps(choices, conditions, constraints)
        reached = self._reachable_states(conditions, constraints)
        self._counts = self._count_backwards(reached)

    @property
    def total(self) -> int:
        """The number of complete answers."""
        return self._counts[0][()]

    @property
    def states(self) -> int:
        """The number of states that are kept, which is what construction and memory cost."""
        return sum(len(counts) for counts in self._counts)

    def is_active(self, position: int, state: State) -> bool:
        """Whether the choice at `position` is to be answered."""
        return all(state[slot] in allowed for slot, allowed in self._steps[position].conditions)

    def options(self, position: int, state: State) -> Sequence[int]:
        """The indices to choose from, or only INACTIVE."""
        return range(self.sizes[position]) if self.is_active(position, state) else (INACTIVE,)

    def broken(self, position: int, state: State, answer: int) -> Constraint | None:
        """The first constraint that this answer breaks; each is judged at the last of its choices."""
        extended = (*state, answer)
        for scope, constraint in self._steps[position].constraints:
            answers = {name: values[extended[slot]] for name, slot, values in scope if extended[slot] != INACTIVE}
            if not constraint.allows(answers):
                return constraint
        return None

    def following(self, position: int, state: State, answer: int) -> State:
        """The state after this answer."""
        extended = (*state, answer)
        return tuple(extended[slot] for slot in self._steps[position].kept)

    def count(self, position: int, state: State, answer: int) -> int:
        """In how many ways the space can be completed once `position` is answered so."""
        if self.broken(position, state, answer) is not None:
            return 0
        return self._counts[position + 1][self.following(position, state, answer)]

    def first(self, preferences: Sequence[Sequence[int]]) -> Answers | None:
        """The first complete answers when each active choice tries its preferences in the order given.

        None if no completion keeps to the preferences.  A depth-first search; states known to lead nowhere
        are remembered, so that it is never longer than the number of states.
        """
        dead: set[tuple[int, State]] = set()
        answers: list[int] = []
        states: list[State] = [()]
        trials = [self._trials(0, (), preferences)]
        while len(answers) < len(self._steps):
            position, state = len(answers), states[-1]
            for answer in trials[-1]:
                if self.count(position, state, answer) == 0:
                    continue
                following = self.following(position, state, answer)
                if (position + 1, following) in dead:
                    continue
                answers.append(answer)
                states.append(following)
                trials.append(self._trials(position + 1, following, preferences))
                break
            else:
                if not answers:
                    return None
                dead.add((position, states.pop()))
                trials.pop()
                answers.pop()
        return tuple(answers)

    def _trials(self, position: int, state: State, preferences: Sequence[Sequence[int]]) -> Iterator[int]:
        if position == len(self._steps):
            return iter(())
        return iter(preferences[position] if self.is_active(position, state) else (INACTIVE,))

    def _reachable_states(
        self, conditions: Mapping[str, Sequence[Condition]], constraints: Sequence[Constraint]
    ) -> list[set[State]]:
        reached: list[set[State]] = [{()}]
        total = 1
        for position in range(len(self._steps)):
            following: set[State] = set()
            for state in reached[-1]:
                for answer in self.options(position, state):
                    if self.broken(position, state, answer) is None:
                        following.add(self.following(position, state, answer))
                if total + len(following) > MAXIMUM_STATES:
                    raise SpaceError(_too_many_states(conditions, constraints))
            total += len(following)
            reached.append(following)
        return reached

    def _count_backwards(self, reached: list[set[State]]) -> list[dict[State, int]]:
        counts: list[dict[State, int]] = [dict.fromkeys(reached[-1], 1)]
        for position in reversed(range(len(self._steps))):
            after = counts[-1]
            counts.append(
                {
                    state: sum(
                        after[self.following(position, state, answer)]
                        for answer in self.options(position, state)
                        if self.broken(position, state, answer) is None
                    )
                    for state in reached[position]
                }
            )
        counts.reverse()
        return counts


def _steps(
    choices: Mapping[str, Choice],
    conditions: Mapping[str, Sequence[Condition]],
    constraints: Sequence[Constraint],
) -> tuple[_Step, ...]:
    names = list(choices)
    last_read = _last_reads(names, conditions, constraints)
    position_of = {name: position for position, name in enumerate(names)}
    endings: dict[int, list[Constraint]] = {}
    for constraint in constraints:
        end = max(position_of[name] for name in constraint.choices)
        endings.setdefault(end, []).append(constraint)
    steps = []
    live: list[str] = []
    for position, name in enumerate(names):
        extended = [*live, name]
        slot_of = {read: slot for slot, read in enumerate(extended)}
        live = [read for read in extended if last_read[read] > position]
        ending = endings.get(position, [])
        steps.append(
            _Step(
                conditions=tuple(
                    (slot_of[condition.choice], _accepted(condition, choices[condition.choice]))
                    for condition in conditions.get(name, ())
                ),
                constraints=tuple(
                    (tuple((read, slot_of[read], choices[read].values) for read in each.choices), each)
                    for each in ending
                ),
                kept=tuple(slot_of[read] for read in live),
            )
        )
    return tuple(steps)


def _last_reads(
    names: Sequence[str], conditions: Mapping[str, Sequence[Condition]], constraints: Sequence[Constraint]
) -> dict[str, int]:
    """For each choice the last position at which its answer is read, at least its own."""
    position_of = {name: position for position, name in enumerate(names)}
    last_read = dict(position_of)
    for name, listed in conditions.items():
        for condition in listed:
            last_read[condition.choice] = max(last_read[condition.choice], position_of[name])
    for constraint in constraints:
        end = max(position_of[name] for name in constraint.choices)
        for name in constraint.choices:
            last_read[name] = max(last_read[name], end)
    return last_read


def _accepted(condition: Condition, choice: Choice) -> frozenset[int]:
    return frozenset(index for index, value in enumerate(choice.values) if condition.accepts(value))


def _too_many_states(conditions: Mapping[str, Sequence[Condition]], constraints: Sequence[Constraint]) -> str:
    advice = (
        f"counting this space needs more than {MAXIMUM_STATES:,} states, because too many answers must be "
        "remembered at once"
    )
    if constraints:
        widest = max(constraints, key=lambda constraint: len(constraint.choices))
        named = ", ".join(widest.choices[:8]) + (", ..." if len(widest.choices) > 8 else "")
        advice += f"; the widest constraint is {widest.message!r} over {len(widest.choices)} choices ({named})"
    elif conditions:
        busiest = max(conditions, key=lambda name: len(conditions[name]))
        advice += f"; {busiest!r} has the most conditions ({len(conditions[busiest])})"
    return advice + (
        ". Declare choices next to those they depend on (layer by layer), split the constraint into narrower "
        "ones, or drop it and give the search a bound on a cost instead"
    )
