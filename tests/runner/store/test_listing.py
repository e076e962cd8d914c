"""Pages: every item once, in the order asked for, whatever is recorded meanwhile."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from runner.store import Failure, Filter, InvalidQuery, StudyNotFound, ValueRecord, listing
from runner.store.queries import EVALUATION_FIELDS, STUDY_SORTS
from tests.runner.store.examples import an_evaluation

if TYPE_CHECKING:
    from collections.abc import Callable

    from runner.store import EvaluationRecord, Page, Repository, StudyRecord


def all_pages(read: Callable[..., Page[Any]], limit: int, **wanted: Any) -> list[Any]:
    """The items of all pages; the places between them go through JSON, as in an address."""
    items: list[Any] = []
    after = None
    while True:
        page = read(**wanted, limit=limit, after=after)
        assert len(page.items) <= limit
        items.extend(page.items)
        if page.next is None:
            return items
        assert len(page.items) == limit
        after = tuple(json.loads(json.dumps(page.next)))


@pytest.fixture
def five(repository: Repository) -> list[StudyRecord]:
    made = [
        repository.create_study(name=name, spec="{}", spec_digest="d", seed=0, owner=owner)
        for name, owner in (("delta", "ann"), ("Alpha_1", "bob"), ("beta", "ann"), ("alpha", "ann"), ("gamma", "bob"))
    ]
    made[2] = repository.transition_study(made[2].id, "created", "running")
    made[3] = repository.edit_study(made[3].id, 1, tags=("Greek letters", "100%"))
    return made


@pytest.fixture
def many(repository: Repository, study: StudyRecord) -> list[EvaluationRecord]:
    """Evaluations with few different values, so that many are equal; some have no error, some failed."""
    rng = random.Random(0)
    for number in range(40):
        values = [ValueRecord(metric="model_bytes", value=float(rng.randint(0, 9)), provenance="computed")]
        if number % 5:
            values.append(ValueRecord(metric="error", value=rng.randint(0, 4) / 4, provenance="inherited"))
        if number % 4 == 0:
            values.append(ValueRecord(metric="error", value=rng.randint(0, 4) / 4, provenance="retrained"))
        failed = number % 11 == 0
        repository.record_evaluation(
            study.id,
            an_evaluation(
                f"{rng.getrandbits(48):012x}",
                fidelity=rng.choice(("inherited", "retrained")),
                origin=rng.choice(("search", "confirm")),
                values=() if failed else tuple(values),
                failure=Failure(kind="k", message="m") if failed else None,
            ),
        )
    return list(repository.evaluations(study.id))


def value_that_counts(record: EvaluationRecord, metric: str) -> float | None:
    values = {value.provenance: value.value for value in record.values if value.metric == metric}
    return values.get("retrained", values.get("inherited", values.get("computed")))


def key(record: EvaluationRecord, field: str) -> Any:
    return getattr(record, field) if field in EVALUATION_FIELDS else value_that_counts(record, field)


class TestStudies:
    @pytest.mark.parametrize("sort", STUDY_SORTS)
    @pytest.mark.parametrize("limit", [1, 2, 5, 6])
    def test_every_study_once_in_order(
        self, repository: Repository, five: list[StudyRecord], sort: str, limit: int
    ) -> None:
        field = sort.removeprefix("-")
        expected = sorted(five, key=lambda each: (getattr(each, field), each.id), reverse=sort.startswith("-"))
        assert all_pages(repository.list_studies, limit, sort=sort) == expected

    def test_the_newest_come_first_unless_one_asks(self, repository: Repository, five: list[StudyRecord]) -> None:
        assert [each.name for each in repository.list_studies(limit=2).items] == ["gamma", "alpha"]

    @pytest.mark.parametrize(
        ("wanted", "names"),
        [
            ({"owner": "bob"}, ["gamma", "Alpha_1"]),
            ({"owner": "nobody"}, []),
            ({"state": "running"}, ["beta"]),
            ({"search": "ALPHA"}, ["alpha", "Alpha_1"]),
            ({"search": "greek"}, ["alpha"]),
            ({"search": "%"}, ["alpha"]),
            ({"search": "a_1"}, ["Alpha_1"]),
            ({"search": "ta", "owner": "ann"}, ["beta", "delta"]),
            ({"search": ""}, ["gamma", "alpha", "beta", "Alpha_1", "delta"]),
        ],
    )
    def test_what_is_asked_for(
        self, repository: Repository, five: list[StudyRecord], wanted: dict[str, Any], names: list[str]
    ) -> None:
        assert [each.name for each in repository.list_studies(limit=10, **wanted).items] == names

    def test_what_is_made_meanwhile_neither_repeats_nor_hides(
        self, repository: Repository, five: list[StudyRecord]
    ) -> None:
        first = repository.list_studies(limit=2)
        repository.create_study(name="new", spec="{}", spec_digest="d", seed=0)
        repository.delete_study(first.items[1].id)
        rest = repository.list_studies(limit=10, after=first.next)
        assert [each.name for each in (*first.items, *rest.items)] == ["gamma", "alpha", "beta", "Alpha_1", "delta"]

    @pytest.mark.parametrize(
        "wanted",
        [
            {"limit": 0},
            {"limit": 1001},
            {"limit": 5, "sort": "spec"},
            {"limit": 5, "state": "done"},
            {"limit": 5, "after": ()},
            {"limit": 5, "after": ("yesterday", "0")},
            {"limit": 5, "after": ("2026-01-01T00:00:00", "0")},
            {"limit": 5, "after": (None, "0")},
            {"limit": 5, "after": (3, "0")},
            {"limit": 5, "sort": "name", "after": (3, "0")},
            {"limit": 5, "sort": "name", "after": ("x", 3)},
        ],
    )
    def test_what_makes_no_sense_is_refused(self, repository: Repository, wanted: dict[str, Any]) -> None:
        with pytest.raises(InvalidQuery):
            repository.list_studies(**wanted)

    def test_counts(self, repository: Repository, study: StudyRecord, many: list[EvaluationRecord]) -> None:
        empty = repository.create_study(name="empty", spec="{}", spec_digest="d", seed=0)
        assert repository.study_counts([study.id, empty.id, "nobody"]) == {
            study.id: {"complete": 36, "failed": 4},
            empty.id: {"complete": 0, "failed": 0},
            "nobody": {"complete": 0, "failed": 0},
        }
        assert repository.study_counts([]) == {}


FILTERS = [
    [Filter("state", "=", "failed")],
    [Filter("fidelity", "!=", "inherited"), Filter("origin", "=", "search")],
    [Filter("sequence", ">", 7), Filter("sequence", "<=", 20)],
    [Filter("error", "<", 0.5)],
    [Filter("error", "!=", 0.5), Filter("model_bytes", ">=", 5)],
    [Filter("digest", "^=", "a")],
    [Filter("digest", "^=", "%")],
    [Filter("created_at", ">", "2026-01-01T00:00:10Z"), Filter("created_at", "<", "2026-01-01T01:00:30+01:00")],
    [Filter("unknown", "=", 1.0)],
]


class TestEvaluations:
    @pytest.mark.parametrize("limit", [1, 7, 40, 41])
    def test_every_evaluation_once_in_order(
        self, repository: Repository, study: StudyRecord, many: list[EvaluationRecord], limit: int
    ) -> None:
        for field in (*EVALUATION_FIELDS, "error", "model_bytes", "unknown") if limit == 7 else ("error", "state"):
            with_it = [each for each in many if key(each, field) is not None]
            without = [each for each in many if key(each, field) is None]
            for descending in (False, True):
                expected = [
                    *sorted(with_it, key=lambda each: (key(each, field), each.id), reverse=descending),
                    *sorted(without, key=lambda each: each.id, reverse=descending),
                ]
                sort = f"-{field}" if descending else field
                found = all_pages(repository.list_evaluations, limit, study_id=study.id, sort=sort)
                assert found == expected, sort

    @pytest.mark.parametrize("few", [0, 5, 1000])
    def test_filters(
        self,
        repository: Repository,
        study: StudyRecord,
        many: list[EvaluationRecord],
        monkeypatch: pytest.MonkeyPatch,
        few: int,
    ) -> None:
        """However they are found: those that few meet are listed first, the others met on the way."""
        monkeypatch.setattr(listing, "_FEW", few)
        for filters in FILTERS:
            expected = {each.id for each in many if all(meets(each, condition) for condition in filters)}
            for sort in ("sequence", "-error", "digest"):
                found = all_pages(repository.list_evaluations, 7, study_id=study.id, filters=filters, sort=sort)
                assert len({each.id for each in found}) == len(found)
                assert {each.id for each in found} == expected, (filters, sort)

    def test_another_study_s_are_not_seen(
        self, repository: Repository, study: StudyRecord, many: list[EvaluationRecord]
    ) -> None:
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
        mine, _ = repository.record_evaluation(other.id, an_evaluation())
        for sort in ("sequence", "error", "state"):
            assert repository.list_evaluations(other.id, sort=sort, limit=10).items == (mine,)
        assert repository.list_evaluations(other.id, filters=[Filter("error", "<", 1)], limit=10).items == (mine,)
        assert repository.metrics(other.id) == ("error", "latency_ms", "model_bytes")
        assert repository.metrics(study.id) == ("error", "model_bytes")

    @pytest.mark.parametrize(
        "wanted",
        [
            {"filters": [("state", "=", 3)]},
            {"filters": [("sequence", "=", "x")]},
            {"filters": [("sequence", "^=", 1)]},
            {"filters": [("error", "=", "x")]},
            {"filters": [("error", "^=", 1)]},
            {"filters": [("error", "=", True)]},
            {"filters": [("created_at", ">", "soon")]},
            {"filters": [("error", "like", 1)]},
            {"after": (1, 2, 3)},
            {"after": ("x", 1)},
            {"after": (1, "x")},
            {"after": (None, 1)},
            {"after": (1, True)},
            {"sort": "error", "after": ("x", 1)},
            {"limit": 0},
        ],
    )
    def test_what_makes_no_sense_is_refused(
        self, repository: Repository, study: StudyRecord, wanted: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidQuery):  # noqa: PT012  (a filter refuses itself)
            filters = [Filter(*each) for each in wanted.get("filters", [])]
            repository.list_evaluations(study.id, **{"limit": 5, **wanted, "filters": filters})

    def test_an_unknown_study_is_not_found(self, repository: Repository) -> None:
        for call in (
            lambda: repository.list_evaluations("nobody", limit=1),
            lambda: repository.columns("nobody", []),
            lambda: repository.metrics("nobody"),
        ):
            with pytest.raises(StudyNotFound):
                call()


class TestColumns:
    def test_they_say_what_the_evaluations_say(
        self, repository: Repository, study: StudyRecord, many: list[EvaluationRecord]
    ) -> None:
        found = repository.columns(study.id, ["error", "unknown"])
        assert list(found.ids) == [each.id for each in many]
        assert list(found.digests) == [each.digest for each in many]
        assert list(found.fidelities) == [each.fidelity for each in many]
        assert list(found.states) == [each.state for each in many]
        assert list(found.metrics["error"].values) == [value_that_counts(each, "error") for each in many]
        assert set(found.metrics["error"].provenances) == {"inherited", "retrained", None}
        assert set(found.metrics["unknown"].values) == {None}


class TestTheValueThatCounts:
    def test_a_better_one_takes_its_place(self, repository: Repository, study: StudyRecord) -> None:
        repository.ensure_device("laptop", name="laptop", description={})
        record, _ = repository.record_evaluation(study.id, an_evaluation())

        def now() -> tuple[float | None, str | None]:
            column = repository.columns(study.id, ["latency_ms"]).metrics["latency_ms"]
            return column.values[0], column.provenances[0]

        assert now() == (1.5, "predicted")
        for value, provenance, device, expected in (
            (2.5, "predicted", None, (2.5, "predicted")),
            (9.0, "predicted", "laptop", (2.5, "predicted")),
            (3.0, "exported", "laptop", (3.0, "exported")),
            (4.0, "exported", None, (3.0, "exported")),
            (5.0, "inherited", None, (3.0, "exported")),
            (6.0, "predicted", None, (3.0, "exported")),
        ):
            added = ValueRecord(metric="latency_ms", value=value, provenance=provenance, device_id=device)
            repository.add_value(record.id, added)
            assert now() == expected
            assert value_of_the_front(repository, study) == expected


def value_of_the_front(repository: Repository, study: StudyRecord) -> tuple[float, str]:
    from runner.front import best_values

    best = best_values(repository.evaluations(study.id)[0].values)["latency_ms"]
    return best.value, best.provenance


def meets(record: EvaluationRecord, condition: Filter) -> bool:
    from datetime import datetime

    found, wanted = key(record, condition.field), condition.value
    if condition.field == "created_at":
        wanted = datetime.fromisoformat(str(wanted))
    if found is None:
        return False
    return {
        "=": lambda: found == wanted,
        "!=": lambda: found != wanted,
        "<": lambda: found < wanted,
        "<=": lambda: found <= wanted,
        ">": lambda: found > wanted,
        ">=": lambda: found >= wanted,
        "^=": lambda: found.startswith(wanted),
    }[condition.op]()
