"""Columns, samples and the newest of things: the same in both databases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runner.store import Failure, StudyNotFound, ValueRecord, charting
from tests.runner.store.examples import an_evaluation

if TYPE_CHECKING:
    from runner.store import EvaluationRecord, Repository, StudyRecord


@pytest.fixture
def rows(repository: Repository, study: StudyRecord) -> list[EvaluationRecord]:
    """Five evaluations, another study's between them."""
    other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
    made = []
    for number in range(5):
        failed = number == 3
        row, _ = repository.record_evaluation(
            study.id,
            an_evaluation(
                f"{number:012x}",
                architecture_json=f'{{"depth":{number}}}',
                fidelity="retrained" if number == 4 else "inherited",
                **({"values": (), "failure": Failure(kind="oom", message="no memory")} if failed else {}),
            ),
        )
        repository.record_evaluation(other.id, an_evaluation(f"{number:012x}"))
        made.append(row)
    return made


def test_columns_of_what_is_new(repository: Repository, study: StudyRecord, rows: list[EvaluationRecord]) -> None:
    whole = repository.columns(study.id, ["error"])
    assert list(whole.ids) == [row.id for row in rows]
    for seen in range(6):
        after = rows[seen - 1].id if seen else 0
        new = repository.columns(study.id, ["error", "latency_ms"], after=after)
        assert list(new.ids) == [row.id for row in rows[seen:]]
        assert list(new.metrics["error"].values) == list(whole.metrics["error"].values)[seen:]
        assert list(new.metrics["latency_ms"].provenances) == [
            None if row.state == "failed" else "predicted" for row in rows[seen:]
        ]
    between = repository.columns(study.id, ["error"], after=rows[1].id + 1)  # another study's evaluation
    assert list(between.ids) == [row.id for row in rows[2:]]


def test_a_metric_alone(repository: Repository, study: StudyRecord, rows: list[EvaluationRecord]) -> None:
    repository.add_value(rows[0].id, ValueRecord(metric="latency_ms", value=9.0, provenance="inherited"))
    found = repository.metric_values(study.id, "latency_ms")
    assert dict(zip(found.ids, zip(found.values, found.provenances, strict=True), strict=True)) == {
        rows[0].id: (9.0, "inherited"),
        **{rows[place].id: (1.5, "predicted") for place in (1, 2, 4)},
    }
    assert list(repository.metric_values(study.id, "unheard").ids) == []


def test_architectures_and_times(repository: Repository, study: StudyRecord, rows: list[EvaluationRecord]) -> None:
    every = repository.architectures(study.id)
    assert list(every.items()) == [(row.id, row.architecture_json) for row in rows]
    assert list(repository.architectures(study.id, after=rows[2].id)) == [rows[3].id, rows[4].id]
    some = [rows[4].id, rows[1].id]
    assert repository.architectures_of(study.id, some) == {number: every[number] for number in some}
    assert repository.architectures_of(study.id, []) == {}
    assert repository.times_of(study.id, some) == {row.id: row.created_at for row in (rows[4], rows[1])}
    assert repository.times_of(study.id, [rows[0].id + 1]) == {}  # another study's


def test_evaluations_are_counted_by_fidelity(
    repository: Repository, study: StudyRecord, rows: list[EvaluationRecord]
) -> None:
    del rows
    assert repository.count_evaluations(study.id, "inherited") == 4
    assert repository.count_evaluations(study.id, "retrained") == 1
    assert repository.count_evaluations(study.id, "exported") == 0


def test_predictions_beside_measurements(
    repository: Repository, study: StudyRecord, rows: list[EvaluationRecord]
) -> None:
    assert repository.predicted_and_measured(study.id, "latency_ms", 10) == ()
    repository.ensure_device("laptop", name="laptop", description={})
    for row, value, device in ((rows[0], 3.0, None), (rows[2], 4.0, None), (rows[1], 5.0, "laptop")):
        measured = ValueRecord(
            metric="latency_ms", value=value, provenance="inherited", lower=value - 1, upper=value + 1, device_id=device
        )
        repository.add_value(row.id, measured)
    found = repository.predicted_and_measured(study.id, "latency_ms", 10)
    assert [(pair.digest, pair.predicted, pair.measured) for pair in found] == [
        (rows[2].digest, 1.5, 4.0),
        (rows[0].digest, 1.5, 3.0),
    ]  # of the laptop nothing was predicted
    assert (found[0].lower, found[0].upper, found[0].measured_lower, found[0].measured_upper) == (1.0, 2.0, 3.0, 5.0)
    assert repository.predicted_and_measured(study.id, "latency_ms", 1) == found[:1]


def test_events_from_the_newest(repository: Repository, study: StudyRecord) -> None:
    made = [repository.add_event(study.id, kind, {"number": place}) for place, kind in enumerate("abab")]
    before = repository.events(study.id)
    assert repository.events_before(study.id, None, limit=3) == tuple(reversed(before[-3:]))
    assert repository.events_before(study.id, made[1].sequence, limit=99) == tuple(reversed(before[:-3]))
    assert repository.newest_event(study.id, "a") == made[2]
    assert repository.newest_event(study.id, "z") is None
    assert repository.events_of_kinds(study.id, ("b", "z")) == (made[1], made[3])


def test_stages_of_several_studies(repository: Repository, study: StudyRecord) -> None:
    other = repository.create_study(name="staged", spec="{}", spec_digest="d", seed=0, stages=("one", "two"))
    found = repository.stages_of([other.id, study.id, "nobody"])
    assert [stage.name for stage in found[other.id]] == ["one", "two"]
    assert found[study.id] == repository.stages(study.id)
    assert found["nobody"] == ()


def test_an_unknown_study_is_not_found(repository: Repository) -> None:
    for call in (
        lambda: repository.metric_values("nobody", "error"),
        lambda: repository.architectures("nobody"),
        lambda: repository.predicted_and_measured("nobody", "error", 1),
        lambda: repository.events_before("nobody", None, limit=1),
        lambda: repository.events_of_kinds("nobody", ("a",)),
    ):
        with pytest.raises(StudyNotFound):
            call()


def test_what_is_new_is_all_that_is_fetched(
    repository: Repository, study: StudyRecord, rows: list[EvaluationRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[int] = []
    usual = charting._lists

    def counted(*given: Any) -> Any:
        found = usual(*given)
        fetched.append(len(found[0]))
        return found

    monkeypatch.setattr(charting, "_lists", counted)
    repository.columns(study.id, ["error", "latency_ms"], after=rows[3].id)
    assert fetched == [1, 1, 1]
