"""The evaluations of a study as columns in memory: read once, for fronts, charts and statistics alike.

Owns how they are held and written for the network; how they are read, the store says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import islice
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from runner.front import INHERITED
from runner.insight.encoding import order_of
from runner.store.records import PROVENANCES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from runner.store import Repository
    from runner.store.queries import Columns, MetricValues
    from runner.store.queries import MetricColumn as Recorded
    from search_spaces.values import Value

NO_PROVENANCE = 255
_NO_VALUE = -1
_CODES = {provenance: place for place, provenance in enumerate(PROVENANCES)}
_READ_AT_ONCE = 1_000  # architectures, as one JSON list


@dataclass(frozen=True, kw_only=True, eq=False)
class Numbers:
    """One metric of each evaluation: NaN, and no provenance, where there is none."""

    values: NDArray[np.float64]
    provenances: NDArray[np.uint8]  # into PROVENANCES


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """One choice of each architecture: its place among the values that occur, -1 where it does not apply."""

    values: tuple[Value, ...]
    codes: NDArray[np.int32]


@dataclass(kw_only=True, eq=False)
class Table:
    """Evaluations in the order of their commits; what is asked for beyond the first metrics is read when it is."""

    study_id: str
    after: int  # the id up to which they were left out
    ids: Sequence[int]
    digests: Sequence[str]
    fidelities: Sequence[str]
    states: Sequence[str]
    counts: NDArray[np.bool_]  # complete, and measured with shared weights
    _numbers: dict[str, Numbers]
    _choices: dict[str, Choice] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def read(cls, repository: Repository, study_id: str, metrics: Sequence[str], after: int = 0) -> Table:
        """The evaluations of a study above an id, with some metrics."""
        columns = repository.columns(study_id, metrics if after else (), after=after)
        table = cls(
            study_id=study_id,
            after=after,
            ids=columns.ids,
            digests=columns.digests,
            fidelities=columns.fidelities,
            states=columns.states,
            counts=_counting(columns),
            _numbers={metric: _numbers(column) for metric, column in columns.metrics.items()},
        )
        for metric in metrics:
            table.numbers(repository, metric)
        return table

    def numbers(self, repository: Repository, metric: str) -> Numbers:
        """One metric."""
        with self._lock:
            if metric not in self._numbers:
                self._numbers[metric] = _aligned(repository.metric_values(self.study_id, metric), self.ids)
            return self._numbers[metric]

    def choices(self, repository: Repository, names: Sequence[str]) -> dict[str, Choice]:
        """Some choices."""
        with self._lock:
            missing = [name for name in names if name not in self._choices]
            if missing:
                texts = repository.architectures(self.study_id, after=self.after)
                self._choices.update(_choices([texts[number] for number in self.ids], missing))
            return {name: self._choices[name] for name in names}

    def text(self, repository: Repository, metrics: Sequence[str], choices: Sequence[str]) -> str:
        """The document of these columns.  For so many numbers a model would take longer than the record."""
        chosen = self.choices(repository, choices) if choices else {}
        numbers = {metric: self.numbers(repository, metric) for metric in metrics}
        return _object(
            {
                "count": str(len(self.ids)),
                "id": f"[{','.join(map(str, self.ids))}]",
                "digest": json.dumps(self.digests, separators=(",", ":")),
                "state": _words(self.states),
                "fidelity": _words(self.fidelities),
                "provenances": json.dumps(PROVENANCES),
                "metrics": _object({name: _numbers_text(each) for name, each in numbers.items()}),
                "choices": _object({name: _choice_text(each) for name, each in chosen.items()}),
            }
        )


def _counting(columns: Columns) -> NDArray[np.bool_]:
    rows = zip(columns.states, columns.fidelities, strict=True)
    return np.fromiter(
        (state == "complete" and fidelity == INHERITED for state, fidelity in rows), np.bool_, len(columns.ids)
    )


def _numbers(column: Recorded) -> Numbers:
    codes = [NO_PROVENANCE if each is None else _CODES[each] for each in column.provenances]
    return Numbers(values=np.array(column.values, dtype=np.float64), provenances=np.array(codes, dtype=np.uint8))


def _aligned(found: MetricValues, ids: Sequence[int]) -> Numbers:
    """The values of these evaluations, whose ids ascend; others have come since those were read."""
    numbers = np.array(found.ids, dtype=np.int64)
    known = np.array(ids, dtype=np.int64)
    places = np.searchsorted(known, numbers)
    ours = np.append(known, -1)[places] == numbers
    values = np.full(len(known), np.nan)
    provenances = np.full(len(known), NO_PROVENANCE, dtype=np.uint8)
    values[places[ours]] = np.array(found.values, dtype=np.float64)[ours]
    provenances[places[ours]] = np.array([_CODES[each] for each in found.provenances], dtype=np.uint8)[ours]
    return Numbers(values=values, provenances=provenances)


def _choices(texts: Sequence[str], names: Sequence[str]) -> dict[str, Choice]:
    seen: dict[str, dict[tuple[type, Value], int]] = {name: {} for name in names}
    codes = {name: np.full(len(texts), _NO_VALUE, dtype=np.int32) for name in names}
    for place, answers in enumerate(_parsed(texts)):
        for name in names:
            if name in answers:
                value = answers[name]
                known = seen[name]
                codes[name][place] = known.setdefault((type(value), value), len(known))  # 1, 1.0 and True differ
    return {name: _ordered([value for _, value in seen[name]], codes[name]) for name in names}


def _parsed(texts: Iterable[str]) -> Iterator[Mapping[str, Value]]:
    rest = iter(texts)
    while some := list(islice(rest, _READ_AT_ONCE)):
        yield from json.loads(f"[{','.join(some)}]")


def _ordered(values: list[Value], codes: NDArray[np.int32]) -> Choice:
    """Values from the smallest to the largest, words by the alphabet after the numbers."""
    order = sorted(range(len(values)), key=lambda place: order_of(values[place]))
    places = np.full(len(values) + 1, _NO_VALUE, dtype=np.int32)  # the last one is met as -1
    places[order] = np.arange(len(values))
    return Choice(values=tuple(values[place] for place in order), codes=places[codes])


def _object(members: Mapping[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in members.items()) + "}"


def _words(words: Sequence[str]) -> str:
    """Texts of which many are the same."""
    written = {word: json.dumps(word) for word in set(words)}
    return f"[{','.join([written[word] for word in words])}]"


def _codes_text(codes: NDArray[np.generic], none: int) -> str:
    written = {int(code): "null" if code == none else str(code) for code in np.unique(codes)}
    return f"[{','.join([written[code] for code in codes.tolist()])}]"


def _numbers_text(numbers: Numbers) -> str:
    known = np.isfinite(numbers.values)
    values = numbers.values.tolist()
    if not known.all():
        values = [value if finite else None for value, finite in zip(values, known.tolist(), strict=True)]
    written = json.dumps(values, allow_nan=False, separators=(",", ":"))
    return _object({"value": written, "provenance": _codes_text(numbers.provenances, NO_PROVENANCE)})


def _choice_text(choice: Choice) -> str:
    return _object({"values": json.dumps(choice.values), "code": _codes_text(choice.codes, _NO_VALUE)})
