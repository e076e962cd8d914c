"""Pages of studies and evaluations.  It owns the orders and how a page begins.

A page begins behind a place in the order, not at a count: what is recorded meanwhile neither repeats nor hides an item.
"""

from __future__ import annotations

import operator
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sqlalchemy import and_, exists, func, or_, select, tuple_

from runner.store.errors import InvalidQuery
from runner.store.evaluations import load_where
from runner.store.lookup import require_study
from runner.store.queries import EVALUATION_FIELDS, STUDY_SORTS, Page, check_limit
from runner.store.records import STUDY_STATES, EvaluationRecord, StudyRecord
from runner.store.tables import EvaluationRow, StudyRow, ValueRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, ColumnExpressionArgument, Connection, Select

    from runner.store.queries import Cursor, Filter, StudySort
    from runner.store.records import StudyState

_COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COUNTED_AT_ONCE = 500  # studies in one IN (...)
_FEW = 1000  # evaluations that are rather listed than met on the way
_HEXADECIMAL = frozenset("0123456789abcdef")


class _Place(NamedTuple):
    """Where an evaluation stands in an order.  Within a study ids and sequence count the same way."""

    value: Any  # what is sorted by
    tie: int  # what breaks ties: the sequence, or the id where a metric has only that
    evaluation_id: int


class Listing(Transactions):
    """Reads lists."""

    def list_studies(
        self,
        *,
        owner: str | None = None,
        state: StudyState | None = None,
        search: str | None = None,
        sort: StudySort = "-created_at",
        limit: int,
        after: Cursor | None = None,
    ) -> Page[StudyRecord]:
        """A page of the studies of an owner, or of all: in one state, with `search` in their name or tags."""
        check_limit(limit)
        if sort not in STUDY_SORTS:
            raise InvalidQuery(f"studies cannot be sorted by {sort!r}; allowed: {', '.join(STUDY_SORTS)}")
        if state is not None and state not in STUDY_STATES:
            raise InvalidQuery(f"a study is never {state!r}; the states are: {', '.join(STUDY_STATES)}")
        field, descending = _split(sort)
        column = getattr(StudyRow, field)
        wanted = select(StudyRow)
        if owner is not None:
            wanted = wanted.where(StudyRow.owner == owner)
        if state is not None:
            wanted = wanted.where(StudyRow.state == state)
        if search:
            sought = search.lower()
            wanted = wanted.where(
                or_(
                    func.lower(StudyRow.name).contains(sought, autoescape=True),
                    func.lower(StudyRow.tags).contains(sought, autoescape=True),
                )
            )
        place = None if after is None else _place(field, str, after)
        with self._reading() as connection:
            rows = connection.execute(_ordered(wanted, (column, StudyRow.id), descending, place).limit(limit + 1))
            found = [StudyRecord(**row._mapping) for row in rows]
        last = found[limit - 1] if len(found) > limit else None
        following = None if last is None else (_portable(getattr(last, field)), last.id)
        return Page(tuple(found[:limit]), following)

    def study_counts(self, study_ids: Iterable[str]) -> dict[str, dict[str, int]]:
        """How many evaluations of each of these studies are complete and how many failed."""
        every = list(dict.fromkeys(study_ids))
        counts = {study_id: {"complete": 0, "failed": 0} for study_id in every}
        with self._reading() as connection:
            for start in range(0, len(every), _COUNTED_AT_ONCE):
                wanted = (
                    select(EvaluationRow.study_id, EvaluationRow.state, func.count())
                    .where(EvaluationRow.study_id.in_(every[start : start + _COUNTED_AT_ONCE]))
                    .group_by(EvaluationRow.study_id, EvaluationRow.state)
                )
                for study_id, state, count in connection.execute(wanted):
                    counts[study_id][state] = count
        return counts

    def list_evaluations(
        self,
        study_id: str,
        *,
        filters: Sequence[Filter] = (),
        sort: str = "sequence",
        limit: int,
        after: Cursor | None = None,
    ) -> Page[EvaluationRecord]:
        """A page of the evaluations of a study that meet all filters, by a field or a metric, "-" turns it around.

        Of several values of a metric the one of the highest provenance counts.  Evaluations without a value of the
        metric come last in both directions.
        """
        check_limit(limit)
        field, descending = _split(sort)
        find = _by_field if field in EVALUATION_FIELDS else _by_metric
        place = None if after is None else _place(field, int, after)
        with self._reading() as connection:
            require_study(connection, study_id)
            few, conditions = _sorted_out(connection, study_id, filters)
            if few is None:
                places = find(connection, study_id, field, conditions, descending, limit + 1, place)
            else:
                places = _of_few(connection, few, field, conditions, descending, place)[: limit + 1]
            numbers = [place.evaluation_id for place in places[:limit]]
            known = {each.id: each for each in load_where(connection, (EvaluationRow.id.in_(numbers),))}
        last = places[limit - 1] if len(places) > limit else None
        following = None if last is None else (_portable(last.value), last.tie)
        return Page(tuple(known[number] for number in numbers), following)

    def metrics(self, study_id: str) -> tuple[str, ...]:
        """The metrics of which the study has values, in alphabetical order."""
        found: list[str] = []
        with self._reading() as connection:
            require_study(connection, study_id)
            while True:  # one step in the index a metric: to look at every value would take as long as to list them
                wanted = select(func.min(ValueRow.metric)).where(ValueRow.study_id == study_id, ValueRow.best)
                following = connection.scalar(wanted.where(ValueRow.metric > found[-1]) if found else wanted)
                if following is None:
                    return tuple(found)
                found.append(following)


def _by_field(
    connection: Connection,
    study_id: str,
    field: str,
    conditions: Sequence[ColumnElement[bool]],
    descending: bool,
    limit: int,
    place: tuple[Any, Any] | None,
) -> list[_Place]:
    column = getattr(EvaluationRow, field)
    wanted = select(column, EvaluationRow.sequence, EvaluationRow.id)
    wanted = wanted.where(EvaluationRow.study_id == study_id, *conditions)
    rows = connection.execute(_ordered(wanted, (column, EvaluationRow.sequence), descending, place).limit(limit))
    return [_Place(row[0], row[1], row[2]) for row in rows]


def _by_metric(
    connection: Connection,
    study_id: str,
    metric: str,
    conditions: Sequence[ColumnElement[bool]],
    descending: bool,
    limit: int,
    place: tuple[Any, Any] | None,
) -> list[_Place]:
    """Those that have a value by their value, then those that have none in the order of their commits."""
    found: list[_Place] = []
    if place is None or place[0] is not None:
        order = (ValueRow.value, ValueRow.evaluation_id)
        wanted = cast("Select[Any]", select(*order))
        wanted = wanted.join(EvaluationRow, EvaluationRow.id == ValueRow.evaluation_id)
        wanted = wanted.where(*_counting(study_id, metric), *conditions)
        rows = connection.execute(_ordered(wanted, order, descending, place).limit(limit))
        found = [_Place(row[0], row[1], row[1]) for row in rows]
        place = None
    if len(found) < limit:
        has_none = ~exists(_value_of(metric))
        without = select(EvaluationRow.sequence, EvaluationRow.id)
        without = without.where(EvaluationRow.study_id == study_id, *conditions, has_none)
        if place is not None:
            here = EvaluationRow.sequence
            without = without.where(here < place[1] if descending else here > place[1])
        order_by = EvaluationRow.sequence.desc() if descending else EvaluationRow.sequence
        rows = connection.execute(without.order_by(order_by).limit(limit - len(found)))
        found.extend(_Place(None, row[0], row[1]) for row in rows)
    return found


def _of_few(
    connection: Connection,
    few: Iterable[int],
    field: str,
    conditions: Sequence[ColumnElement[bool]],
    descending: bool,
    place: tuple[Any, Any] | None,
) -> list[_Place]:
    """Those of a few evaluations that meet the other conditions, behind a place in the order of `_by_...`."""
    is_metric = field not in EVALUATION_FIELDS
    column = _value_of(field).scalar_subquery() if is_metric else getattr(EvaluationRow, field)
    wanted = select(column, EvaluationRow.sequence, EvaluationRow.id).where(EvaluationRow.id.in_(few), *conditions)
    found = [
        _Place(value, number if is_metric and value is not None else sequence, number)
        for value, sequence, number in connection.execute(wanted)
    ]
    having = sorted((each for each in found if each.value is not None), reverse=descending)
    having_none = sorted((each for each in found if each.value is None), key=_by_tie, reverse=descending)
    if place is not None:
        if place[0] is None:
            having = []
            having_none = [each for each in having_none if (each.tie < place[1]) == descending and each.tie != place[1]]
        else:
            here = tuple(place)
            having = [each for each in having if (each[:2] < here) == descending and each[:2] != here]
    return having + having_none


def _by_tie(place: _Place) -> int:
    return place.tie


def _sorted_out(
    connection: Connection, study_id: str, filters: Sequence[Filter]
) -> tuple[set[int] | None, list[ColumnElement[bool]]]:
    """The evaluations that meet those filters that few meet, None without such, and the conditions of the others.

    So neither database can choose a way that looks at a whole study: the few are found by the index of their filter,
    and a page of the many by walking along its order, which meets enough of them soon.
    """
    few: set[int] | None = None
    conditions: list[ColumnElement[bool]] = []
    for wanted in filters:
        condition = _condition(wanted)
        numbers = connection.scalars(_meeting(study_id, wanted, condition).limit(_FEW + 1)).all()
        if len(numbers) > _FEW:
            conditions.append(condition)
        else:
            few = set(numbers) if few is None else few & set(numbers)
    return few, conditions


def _meeting(study_id: str, wanted: Filter, condition: ColumnElement[bool]) -> Select[Any]:
    """The ids of those that meet one filter, in the order of its index."""
    if wanted.field in EVALUATION_FIELDS:
        return select(EvaluationRow.id).where(EvaluationRow.study_id == study_id, condition)
    compared = _COMPARISONS[wanted.op](ValueRow.value, wanted.value)
    return select(ValueRow.evaluation_id).where(*_counting(study_id, wanted.field), compared)


def _condition(wanted: Filter) -> ColumnElement[bool]:
    if wanted.field in EVALUATION_FIELDS:
        value = _checked(wanted.field, wanted.value)
        column = getattr(EvaluationRow, wanted.field)
        if wanted.op == "^=":
            if wanted.field in ("sequence", "created_at"):
                raise InvalidQuery(f"{wanted.field} is no text, so ^= means nothing; compare with = < <= > >= or !=")
            begins: ColumnElement[bool] = column.startswith(value, autoescape=True)
            if wanted.field == "digest" and _HEXADECIMAL.issuperset(value):
                begins = and_(begins, column >= value, column < f"{value}g")  # an index has places, no patterns
            return begins
        compared: ColumnElement[bool] = _COMPARISONS[wanted.op](column, value)
        return compared
    if wanted.op == "^=" or isinstance(wanted.value, bool) or not isinstance(wanted.value, int | float):
        raise InvalidQuery(
            f"{wanted.field} {wanted.op} {wanted.value}: a metric is compared with a number, by = < <= > >= or !=; "
            f"the fields that are no metrics are: {', '.join(EVALUATION_FIELDS)}"
        )
    compared = _COMPARISONS[wanted.op](ValueRow.value, float(wanted.value))
    return exists(_value_of(wanted.field).where(compared))


def _value_of(metric: str) -> Select[Any]:
    """The value that counts of an evaluation of the query around it."""
    mine = ValueRow.evaluation_id == EvaluationRow.id
    return select(ValueRow.value).where(mine, ValueRow.metric == metric, ValueRow.best).correlate(EvaluationRow)


def _counting(study_id: str, metric: str) -> tuple[ColumnExpressionArgument[bool], ...]:
    return (ValueRow.study_id == study_id, ValueRow.metric == metric, ValueRow.best)


def _split(sort: str) -> tuple[str, bool]:
    return (sort[1:], True) if sort.startswith("-") else (sort, False)


def _ordered(
    wanted: Select[Any], order: tuple[Any, Any], descending: bool, after: tuple[Any, Any] | None
) -> Select[Any]:
    if after is not None:
        here = tuple_(*order)
        wanted = wanted.where(here < after if descending else here > after)
    return wanted.order_by(*(each.desc() if descending else each for each in order))


def _place(field: str, kind: type[Any], after: Cursor) -> tuple[Any, Any]:
    """What a cursor says, checked: it may come from another query, or from anywhere."""
    if len(after) != 2 or not isinstance(after[1], kind) or isinstance(after[1], bool):
        raise InvalidQuery("this cursor is of another list; begin with the first page")
    if after[0] is None and field in (*EVALUATION_FIELDS, "name", "updated_at"):
        raise InvalidQuery("this cursor is of another order; begin with the first page")
    try:
        return (None if after[0] is None else _checked(field, after[0]), after[1])
    except InvalidQuery as error:
        raise InvalidQuery("this cursor is of another order; begin with the first page") from error


def _checked(field: str, value: Any) -> Any:
    """`value` as the column of `field` has it."""
    if field in ("created_at", "updated_at"):
        try:
            moment = datetime.fromisoformat(value) if isinstance(value, str) else value
            if isinstance(moment, datetime) and moment.tzinfo is not None:
                return moment
        except ValueError:
            pass
        raise InvalidQuery(f"{field} is compared with a time and its zone, such as 2026-01-31T12:00:00Z, not {value!r}")
    kinds: Any = str
    if field == "sequence":
        kinds = int
    elif field not in (*EVALUATION_FIELDS, "name"):
        kinds = int | float
    if isinstance(value, bool) or not isinstance(value, kinds):
        raise InvalidQuery(f"{field} is compared with {'a text' if kinds is str else 'a number'}, not {value!r}")
    return value


def _portable(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
