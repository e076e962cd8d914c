from __future__ import annotations

import math
from time import process_time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, text
from sqlalchemy.exc import IntegrityError

from runner.store import Failure, ImmutableValue, InvalidRecord, NotRecorded, ValueRecord
from runner.store.columns import CanonicalJson, encode_json
from runner.store.tables import EvaluationRow, ValueRow
from tests.runner.store.examples import an_evaluation

if TYPE_CHECKING:
    from runner.store import Repository, StudyRecord
    from tests.runner.store.conftest import Clock

NOT_FINITE = (math.nan, math.inf, -math.inf)


class TestRecording:
    def test_an_evaluation_reads_back_whole(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        given = an_evaluation(attempt=2, duration_ms=12.5)
        record, created = repository.record_evaluation(study.id, given)
        assert created
        assert (record.study_id, record.sequence, record.created_at) == (study.id, 1, clock.time)
        assert (record.state, record.failure, record.attempt, record.duration_ms) == (
            "complete",
            None,
            2,
            12.5,
        )
        for name in ("digest", "architecture_json", "fidelity", "seed", "origin", "values"):
            assert getattr(record, name) == getattr(given, name)
        assert repository.evaluations(study.id) == (record,)

    def test_a_failure_reads_back(self, repository: Repository, study: StudyRecord) -> None:
        failure = Failure(kind="out_of_memory", message="no room\udcff\x00 left")
        record, _ = repository.record_evaluation(study.id, an_evaluation(values=(), failure=failure))
        assert record.state == "failed"
        assert record.failure == Failure(kind="out_of_memory", message="no room\\udcff\\x00 left")
        assert repository.evaluations(study.id) == (record,)

    def test_recording_again_changes_nothing(self, repository: Repository, study: StudyRecord) -> None:
        first, _ = repository.record_evaluation(study.id, an_evaluation())
        second, created = repository.record_evaluation(
            study.id,
            an_evaluation(
                architecture_json="{}",
                origin="confirm",
                attempt=5,
                failure=Failure(kind="k", message="m"),
                values=(),
            ),
        )
        assert not created
        assert second == first
        assert repository.evaluations(study.id) == (first,)

    def test_digest_fidelity_and_seed_make_it_unique_within_a_study(
        self, repository: Repository, study: StudyRecord
    ) -> None:
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
        different = [
            an_evaluation(),
            an_evaluation("ffff"),
            an_evaluation(fidelity="retrained"),
            an_evaluation(seed=1),
        ]
        assert [repository.record_evaluation(study.id, each)[1] for each in different] == [True] * 4
        assert repository.record_evaluation(other.id, an_evaluation())[1]
        assert [each.sequence for each in repository.evaluations(study.id)] == [1, 2, 3, 4]
        assert [each.sequence for each in repository.evaluations(other.id)] == [1]

    def test_a_complete_study_still_takes_evaluations(self, repository: Repository, study: StudyRecord) -> None:
        repository.transition_study(study.id, "created", "running")
        repository.transition_study(study.id, "running", "complete")
        assert repository.record_evaluation(study.id, an_evaluation(fidelity="exported"))[1]

    def test_it_is_all_or_nothing(self, repository: Repository, study: StudyRecord) -> None:
        values = (
            ValueRecord(metric="error", value=0.5, provenance="inherited"),
            ValueRecord(metric="latency_ms", value=1.0, provenance="exported", device_id="toaster"),
        )
        with pytest.raises(NotRecorded, match="no device 'toaster'"):
            repository.record_evaluation(study.id, an_evaluation(values=values))
        assert repository.evaluations(study.id) == ()

    def test_numbers_of_numpy_are_numbers(self, repository: Repository, study: StudyRecord) -> None:
        value = ValueRecord(
            metric="m",
            value=np.float32(0.5),
            provenance="predicted",
            lower=np.float64(0.25),
            upper=np.int64(1),
        )
        record, _ = repository.record_evaluation(study.id, an_evaluation(values=(value,)))
        assert [type(number) for number in (record.values[0].value, record.values[0].lower)] == [float, float]
        assert (record.values[0].value, record.values[0].lower, record.values[0].upper) == (0.5, 0.25, 1.0)


class TestReading:
    def test_one_fidelity_or_what_came_after(self, repository: Repository, study: StudyRecord) -> None:
        for number in range(4):
            fidelity = "retrained" if number == 2 else "inherited"
            repository.record_evaluation(study.id, an_evaluation(f"{number:012}", fidelity=fidelity))
        assert [each.sequence for each in repository.evaluations(study.id)] == [1, 2, 3, 4]
        assert [each.sequence for each in repository.evaluations(study.id, "retrained")] == [3]
        assert [each.sequence for each in repository.evaluations(study.id, "inherited", after=1)] == [2, 4]
        assert all(len(each.values) == 3 for each in repository.evaluations(study.id, "retrained"))
        assert repository.evaluations(study.id, "exported") == ()

    def test_find_what_is_recorded_already(self, repository: Repository, study: StudyRecord) -> None:
        record, _ = repository.record_evaluation(study.id, an_evaluation("aaaa", seed=3))
        assert repository.find_evaluation(study.id, digest="aaaa", fidelity="inherited", seed=3) == record
        assert repository.find_evaluation(study.id, digest="aaaa", fidelity="inherited", seed=4) is None


class TestValues:
    def test_a_prediction_is_replaced(self, repository: Repository, study: StudyRecord) -> None:
        record, _ = repository.record_evaluation(study.id, an_evaluation())
        newer = ValueRecord(metric="latency_ms", value=3.0, provenance="predicted", lower=2.5, upper=3.5)
        repository.add_value(record.id, newer)
        values = repository.evaluations(study.id)[0].values
        assert values == (record.values[0], newer, record.values[2])

    @pytest.mark.parametrize("provenance", ["computed", "inherited", "retrained", "exported"])
    def test_anything_else_is_final(self, repository: Repository, study: StudyRecord, provenance: str) -> None:
        record, _ = repository.record_evaluation(study.id, an_evaluation(values=()))
        value = ValueRecord(metric="error", value=0.5, provenance=provenance)
        repository.add_value(record.id, value)
        repository.add_value(record.id, value)
        with pytest.raises(ImmutableValue, match=rf"error = 0\.5 \({provenance}\).*now given 0\.25"):
            repository.add_value(record.id, ValueRecord(metric="error", value=0.25, provenance=provenance))
        assert repository.evaluations(study.id)[0].values == (value,)

    def test_a_measured_value_stands_beside_the_predicted_one(self, repository: Repository, study: StudyRecord) -> None:
        repository.ensure_device("laptop", name="laptop", description={})
        record, _ = repository.record_evaluation(study.id, an_evaluation())
        added = (
            ValueRecord(metric="latency_ms", value=1.0, provenance="exported"),
            ValueRecord(metric="latency_ms", value=2.0, provenance="exported", device_id="laptop"),
            ValueRecord(metric="latency_ms", value=3.0, provenance="predicted", device_id="laptop"),
        )
        repository.set_values({record.id: added})
        assert repository.evaluations(study.id)[0].values == record.values + added

    def test_many_at_once_and_all_or_nothing(self, repository: Repository, study: StudyRecord) -> None:
        numbers = [
            repository.record_evaluation(study.id, an_evaluation(f"{number:012}", values=()))[0].id
            for number in range(3)
        ]
        predicted = {
            number: (ValueRecord(metric="m", value=float(number), provenance="predicted"),) for number in numbers
        }
        repository.set_values(predicted)
        before = repository.evaluations(study.id)
        assert [each.values for each in before] == list(predicted.values())
        with pytest.raises(NotRecorded, match="no evaluation with id 999"):
            repository.set_values({numbers[0]: (ValueRecord(metric="m", value=-1.0, provenance="predicted"),), 999: ()})
        assert repository.evaluations(study.id) == before

    def test_the_same_value_twice_is_refused(self) -> None:
        value = ValueRecord(metric="error", value=0.5, provenance="inherited")
        with pytest.raises(InvalidRecord, match=r"'error' \(inherited\) is given twice"):
            an_evaluation(values=(value, value))

    def test_the_same_value_twice_is_refused_later(self, repository: Repository, study: StudyRecord) -> None:
        record, _ = repository.record_evaluation(study.id, an_evaluation(values=()))
        value = ValueRecord(metric="error", value=0.5, provenance="predicted")
        with pytest.raises(InvalidRecord, match="given twice"):
            repository.set_values({record.id: (value, value)})

    @pytest.mark.parametrize("number", NOT_FINITE)
    @pytest.mark.parametrize("place", ["value", "lower", "upper"])
    def test_what_is_not_finite_is_refused(self, place: str, number: float) -> None:
        with pytest.raises(InvalidRecord, match=r"error.* is (nan|inf|-inf); only finite numbers"):
            ValueRecord(**{"metric": "error", "value": 1.0, "provenance": "predicted", place: number})

    @pytest.mark.parametrize("number", [math.inf, -math.inf])
    def test_the_database_itself_refuses_infinity(
        self, repository: Repository, study: StudyRecord, number: float
    ) -> None:
        repository.record_evaluation(study.id, an_evaluation())
        with pytest.raises(IntegrityError, match="ck_value_value_finite"), repository._engine.begin() as connection:
            connection.execute(text("UPDATE value SET value = :number"), {"number": number})

    def test_the_database_itself_sees_two_values_without_device_as_one(
        self, repository: Repository, study: StudyRecord
    ) -> None:
        repository.record_evaluation(study.id, an_evaluation())
        again = (
            "INSERT INTO value (evaluation_id, study_id, metric, provenance, value, best) "
            "SELECT evaluation_id, study_id, metric, provenance, value, false FROM value"
        )
        with pytest.raises(IntegrityError, match=r"(?i)unique"), repository._engine.begin() as connection:
            connection.execute(text(again))

    def test_the_database_itself_lets_one_value_of_a_metric_count(
        self, repository: Repository, study: StudyRecord
    ) -> None:
        repository.record_evaluation(study.id, an_evaluation())
        again = (
            "INSERT INTO value (evaluation_id, study_id, metric, provenance, value, best) "
            "SELECT evaluation_id, study_id, metric, 'exported', value, true FROM value"
        )
        with pytest.raises(IntegrityError, match=r"(?i)unique"), repository._engine.begin() as connection:
            connection.execute(text(again))

    def test_an_unknown_provenance_is_refused(self) -> None:
        with pytest.raises(InvalidRecord, match=r"'guessed'; allowed: computed, predicted"):
            ValueRecord(metric="error", value=0.5, provenance="guessed")

    def test_an_empty_interval_is_refused(self) -> None:
        with pytest.raises(InvalidRecord, match="interval of 'error' is empty"):
            ValueRecord(metric="error", value=0.5, provenance="predicted", lower=2.0, upper=1.0)

    @pytest.mark.parametrize(
        "change", [{"attempt": 0}, {"duration_ms": -1.0}, {"duration_ms": math.nan}, {"seed": 2**64}]
    )
    def test_an_impossible_evaluation_is_refused(self, change: dict[str, float]) -> None:
        with pytest.raises(InvalidRecord):
            an_evaluation(**change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_canonical_json_comes_back_and_does_not_depend_on_the_order_of_keys(value: dict[str, object]) -> None:
    text = encode_json(value)
    assert CanonicalJson().process_result_value(text, None) == value
    assert encode_json(dict(reversed(value.items()))) == text


@pytest.mark.slow
def test_ten_thousand_evaluations_load_within_a_second(repository: Repository, study: StudyRecord) -> None:
    """Of processor time, the best of three: the wall clock told of the machine's other work."""
    with repository._engine.begin() as connection:
        connection.execute(
            insert(EvaluationRow),
            [
                {
                    "id": number,
                    "study_id": study.id,
                    "sequence": number,
                    "digest": f"{number:012x}",
                    "architecture_json": "{}",
                    "fidelity": "inherited",
                    "seed": 0,
                    "origin": "search",
                    "state": "complete",
                    "attempt": 1,
                    "created_at": study.created_at,
                }
                for number in range(1, 10_001)
            ],
        )
        connection.execute(
            insert(ValueRow),
            [
                {
                    "evaluation_id": number,
                    "study_id": study.id,
                    "metric": metric,
                    "provenance": "inherited",
                    "value": 0.5,
                    "best": True,
                }
                for number in range(1, 10_001)
                for metric in ("error", "latency_ms", "model_bytes")
            ],
        )
    durations = []
    for _ in range(3):
        began = process_time()
        loaded = repository.evaluations(study.id)
        durations.append(process_time() - began)
    assert len(loaded) == 10_000
    assert all(len(each.values) == 3 for each in loaded)
    assert min(durations) < 1.0


def test_recording_takes_a_few_milliseconds(repository: Repository, study: StudyRecord) -> None:
    """Of processor time; each has three values and a commit of its own."""
    durations = []
    for number in range(100):
        began = process_time()
        repository.record_evaluation(study.id, an_evaluation(f"{number:012x}"))
        durations.append(process_time() - began)
    assert sorted(durations)[len(durations) // 2] < 0.020
