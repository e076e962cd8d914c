"""SearchSpace: named choices, when each is active, and constraints between them.

Owns the translation between architectures (names and values) and answers (positions and indices), and every
message about an architecture that does not fit.  Counting, sampling, encoding and neighbourhoods have
modules of their own, which know answers only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from search_spaces import encoding, narrowing, neighbourhood, sampling
from search_spaces.architecture import Architecture
from search_spaces.choice import Choice, Ordinal
from search_spaces.constraint import Condition, Constraint
from search_spaces.counting import INACTIVE, Answers, Frontier, State
from search_spaces.declaration import check_declaration
from search_spaces.errors import InfeasibleSpace, InvalidArchitecture, unknown_name
from search_spaces.values import Value, canonical_json, digest_of

if TYPE_CHECKING:
    import random


class SearchSpace:
    """What can be chosen.  Immutable; its size is counted when it is made, so an empty space never exists.

    The order of the choices matters twice: a condition may only name an earlier choice, and counting is cheap
    where choices stand near those they depend on.
    """

    def __init__(
        self,
        choices: Mapping[str, Choice],
        *,
        conditions: Mapping[str, Condition | Sequence[Condition]] = MappingProxyType({}),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        listed = {
            name: (given,) if isinstance(given, Condition) else tuple(given) for name, given in conditions.items()
        }
        check_declaration(choices, listed, constraints)
        self._assemble(dict(choices), listed, tuple(constraints))

    def _assemble(
        self,
        choices: dict[str, Choice],
        conditions: dict[str, tuple[Condition, ...]],
        constraints: tuple[Constraint, ...],
    ) -> None:
        self._choices = choices
        self._conditions = conditions
        self._constraints = constraints
        self._names = tuple(choices)
        self._frontier = Frontier(choices, conditions, constraints)
        if self._frontier.total == 0:
            rules = "; ".join(repr(constraint.message) for constraint in constraints)
            raise InfeasibleSpace(f"no architecture satisfies the constraints: {rules}. Allow more values or drop one")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the choices in declared order."""
        return self._names

    @property
    def choices(self) -> Mapping[str, Choice]:
        """The choices by name, in declared order."""
        return MappingProxyType(self._choices)

    @property
    def conditions(self) -> Mapping[str, tuple[Condition, ...]]:
        """For each choice that has any, the conditions that must all hold for it to be active."""
        return MappingProxyType(self._conditions)

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The rules between choices."""
        return self._constraints

    def __repr__(self) -> str:
        size = self.size()
        shown = str(size) if size < 10**9 else f"10^{len(str(size)) - 1}"
        return f"<SearchSpace of {len(self._names)} choices and {shown} architectures>"

    # ---- counting, drawing and numbering

    def size(self) -> int:
        """The exact number of architectures."""
        return self._frontier.total

    def sample(self, rng: random.Random) -> Architecture:
        """One architecture; each has the same probability."""
        return self._architecture(sampling.uniform_answers(self._frontier, rng))

    def sample_balanced(
        self, rng: random.Random, weights: Mapping[str, Sequence[float]] = MappingProxyType({})
    ) -> Architecture:
        """One architecture; in declared order each choice takes any value that can still be completed, equally likely.

        Unlike `sample`, this sees shallow architectures as often as deep ones, of which there are many more.  `weights`
        gives, by a choice's name, one positive number for each of its values: how often it is drawn beside the others.
        """
        listed = [weights.get(name) for name in self._names] if weights else None
        return self._architecture(sampling.balanced_answers(self._frontier, rng, listed))

    def architecture_at(self, index: int) -> Architecture:
        """The architecture with this number, in lexicographic order, from 0 to size() - 1."""
        return self._architecture(sampling.answers_at(self._frontier, index))

    def index_of(self, architecture: Mapping[str, Value]) -> int:
        """The number of an architecture; the inverse of `architecture_at`."""
        return sampling.index_of(self._frontier, self._answers(architecture))

    def enumerate(self) -> Iterator[Architecture]:
        """All architectures in lexicographic order, made one at a time."""
        return map(self._architecture, sampling.all_answers(self._frontier))

    # ---- belonging

    def contains(self, architecture: Mapping[str, Value]) -> bool:
        """Whether this is an architecture of this space: canonical, allowed, and within the constraints."""
        try:
            self.check(architecture)
        except InvalidArchitecture:
            return False
        return True

    def check(self, architecture: Mapping[str, Value]) -> None:
        """Raise InvalidArchitecture with the first reason why this is no architecture of this space."""
        self._answers(architecture)

    def canonical(self, answers: Mapping[str, Value]) -> Architecture:
        """The architecture these answers mean: inactive choices are dropped, the others checked."""
        return self._architecture(self._answers(answers, drop_inactive=True))

    def active(self, architecture: Mapping[str, Value]) -> tuple[str, ...]:
        """The names of the choices that this architecture answers, in declared order."""
        answers = self._answers(architecture)
        return tuple(name for name, answer in zip(self._names, answers, strict=True) if answer != INACTIVE)

    # ---- vectors

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of `encode`."""
        return encoding.column_names(self._choices)

    def encode(self, architecture: Mapping[str, Value]) -> tuple[float, ...]:
        """A vector with one column for an ordinal choice and one for each value of a categorical choice."""
        return encoding.encoded(tuple(self._choices.values()), self._answers(architecture))

    def decode(self, vector: Iterable[float]) -> Architecture:
        """The architecture nearest to a vector, choice by choice, among values that can be completed."""
        return self._preferred(encoding.preferences(tuple(self._choices.values()), vector))

    # ---- near by

    def mutate(self, architecture: Mapping[str, Value], rng: random.Random, rate: float | None = None) -> Architecture:
        """Another architecture near this one; InfeasibleSpace if the space has no other."""
        return self._architecture(neighbourhood.mutated(self._frontier, self._answers(architecture), rng, rate))

    def crossover(self, first: Mapping[str, Value], second: Mapping[str, Value], rng: random.Random) -> Architecture:
        """An architecture whose answers come from two others, as far as constraints let them."""
        return self._architecture(
            neighbourhood.crossed(self._frontier, self._answers(first), self._answers(second), rng)
        )

    def neighbours(self, architecture: Mapping[str, Value]) -> Iterator[Architecture]:
        """Every architecture in which one decision differs; see `neighbourhood.neighbours`."""
        ordered = [isinstance(choice, Ordinal) for choice in self._choices.values()]
        near = neighbourhood.neighbours(self._frontier, self._answers(architecture), ordered)
        return (self._architecture(answers) for answers in near)

    def smallest(self) -> Architecture:
        """In declared order, each choice takes its first value that can still be completed."""
        return self._preferred([range(size) for size in self._frontier.sizes])

    def largest(self) -> Architecture:
        """In declared order, each choice takes its last value that can still be completed."""
        return self._preferred([range(size - 1, -1, -1) for size in self._frontier.sizes])

    # ---- parts

    def narrow(self, values: Mapping[str, Value | Sequence[Value]]) -> SearchSpace:
        """The part of this space where the choices named or matched (`layers.*.mixer`) keep these values.

        All names stay, so that a choice may be left that is never active.
        """
        part = SearchSpace.__new__(SearchSpace)
        part._assemble(narrowing.narrowed(self._choices, values), self._conditions, self._constraints)
        return part

    def fix(self, answers: Mapping[str, Value]) -> SearchSpace:
        """The part of this space where the choices named or matched have one answer."""
        return self.narrow({name: (value,) for name, value in answers.items()})

    # ---- the record

    def describe(self) -> dict[str, object]:
        """The space as a JSON document: choices, kinds, values, conditions, and what each constraint says."""
        return {
            "choices": [
                {
                    "name": name,
                    "kind": choice.kind,
                    "values": list(choice.values),
                    "conditions": [
                        {"choice": condition.choice, "values": list(condition.values)}
                        for condition in self._conditions.get(name, ())
                    ],
                }
                for name, choice in self._choices.items()
            ],
            "constraints": [
                {"choices": list(constraint.choices), "message": constraint.message} for constraint in self._constraints
            ],
        }

    @property
    def digest(self) -> str:
        """12 hex digits that name `describe()`; of a constraint they cover the message, not the function."""
        return digest_of(canonical_json(self.describe()))

    # ---- architectures and answers

    def _architecture(self, answers: Answers) -> Architecture:
        return Architecture(
            {
                name: choice.values[answer]
                for (name, choice), answer in zip(self._choices.items(), answers, strict=True)
                if answer != INACTIVE
            }
        )

    def _preferred(self, preferences: Sequence[Sequence[int]]) -> Architecture:
        answers = self._frontier.first(preferences)
        assert answers is not None, "every value of every choice is among the preferences"
        return self._architecture(answers)

    def _answers(self, architecture: Mapping[str, Value], *, drop_inactive: bool = False) -> Answers:
        if not isinstance(architecture, Mapping):
            raise InvalidArchitecture(
                f"an architecture is a mapping of names to answers, got {type(architecture).__name__}"
            )
        for name in architecture:
            if name not in self._choices:
                raise InvalidArchitecture(unknown_name("choice", name, self._names))
        answers: list[int] = []
        state: State = ()
        for position, (name, choice) in enumerate(self._choices.items()):
            if self._frontier.is_active(position, state):
                answer = self._index(name, choice, architecture)
            elif name in architecture and not drop_inactive:
                raise InvalidArchitecture(
                    f"{name!r} is answered ({architecture[name]!r}) but not active: {self._needs(name)};"
                    " leave it out, or let space.canonical(...) drop it"
                )
            else:
                answer = INACTIVE
            broken = self._frontier.broken(position, state, answer)
            if broken is not None:
                given = {read: architecture[read] for read in broken.choices if read in architecture}
                raise InvalidArchitecture(f"the constraint {broken.message!r} is broken by {given!r}")
            answers.append(answer)
            state = self._frontier.following(position, state, answer)
        return tuple(answers)

    def _index(self, name: str, choice: Choice, architecture: Mapping[str, Value]) -> int:
        allowed = ", ".join(map(repr, choice.values))
        if name not in architecture:
            raise InvalidArchitecture(f"{name!r} is active but not answered; answer one of {allowed}")
        answer = choice.index(architecture[name])
        if answer is None:
            given = architecture[name]
            raise InvalidArchitecture(
                f"{name!r} cannot be {given!r} (of type {type(given).__name__}); allowed: {allowed}"
            )
        return answer

    def _needs(self, name: str) -> str:
        return "it needs " + " and ".join(
            f"{condition.choice!r} active and among {list(condition.values)!r}" for condition in self._conditions[name]
        )
