"""Random small spaces, and the slow obvious answers that the package is compared with.  Holds no tests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hypothesis import strategies as st

from search_spaces import Categorical, Condition, Constraint, InfeasibleSpace, Ordinal, SearchSpace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces import Choice, Value

_ABSENT = object()


@dataclass
class Declaration:
    """The arguments of a SearchSpace."""

    choices: dict[str, Choice]
    conditions: dict[str, list[Condition]] = field(default_factory=dict)
    constraints: list[Constraint] = field(default_factory=list)

    def space(self) -> SearchSpace:
        return SearchSpace(self.choices, conditions=self.conditions, constraints=self.constraints)

    def assignments(self) -> list[dict[str, Value]]:
        """All valid assignments, by trying every combination of answers and absences, in declared order."""
        names = list(self.choices)
        domains = [[*self.choices[name].values, _ABSENT] for name in names]
        found = []
        for combination in itertools.product(*domains):
            given = {name: value for name, value in zip(names, combination, strict=True) if value is not _ABSENT}
            if self._is_valid(given):
                found.append(given)
        return found

    def _is_valid(self, given: Mapping[str, Value]) -> bool:
        for name in self.choices:
            needed = all(
                any(type(given.get(c.choice)) is type(v) and given.get(c.choice) == v for v in c.values)
                for c in self.conditions.get(name, [])
            )
            if needed != (name in given):
                return False
        for constraint in self.constraints:
            scope = {name: given[name] for name in constraint.choices if name in given}
            if scope and not constraint.holds(scope):
                return False
        return True


@st.composite
def declarations(draw: st.DrawFn) -> Declaration:
    """Up to five choices of up to three values, some with conditions, under arbitrary constraints."""
    names = [f"c{position}" for position in range(draw(st.integers(1, 5)))]
    made = Declaration({name: draw(_choices()) for name in names})
    for position, name in enumerate(names):
        earlier = draw(st.lists(st.sampled_from(names[:position]), max_size=2)) if position else []
        listed = [Condition(other, tuple(draw(_some(made.choices[other].values)))) for other in earlier]
        if listed:
            made.conditions[name] = listed
    for _ in range(draw(st.integers(0, 2))):
        scope = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))
        made.constraints.append(_forbid_some(tuple(scope), draw(st.integers(0, 2**16))))
    return made


@st.composite
def spaces(draw: st.DrawFn) -> SearchSpace:
    """A random space that is not empty."""
    made = draw(declarations())
    try:
        return made.space()
    except InfeasibleSpace:
        made.constraints.clear()
        return made.space()


def _choices() -> st.SearchStrategy[Choice]:
    size = st.integers(1, 3)
    return st.one_of(
        size.map(lambda n: Ordinal(*range(1, n + 1))),
        size.map(lambda n: Categorical(*("none", True, "2")[:n])),
    )


def _some(values: tuple[Value, ...]) -> st.SearchStrategy[list[Value]]:
    return st.lists(st.sampled_from(values), min_size=1, unique=True)


def _forbid_some(scope: tuple[str, ...], seed: int) -> Constraint:
    """Forbids about a third of the combinations, chosen by a fixed arithmetic of the answers."""

    def holds(answers: Mapping[str, Value]) -> bool:
        text = repr(sorted(answers.items()))
        return sum((place + 3) * ord(sign) for place, sign in enumerate(text, seed)) % 3 != 0

    return Constraint(scope, holds, f"rule {seed} over {', '.join(scope)}")
