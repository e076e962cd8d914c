from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from runner.store import InvalidRecord, NotRecorded
from tests.runner.store.examples import a_measurement, an_artifact

if TYPE_CHECKING:
    from runner.store import DeviceRecord, Repository, StudyRecord
    from tests.runner.store.conftest import Clock


@pytest.fixture
def device(repository: Repository) -> DeviceRecord:
    return repository.ensure_device("laptop", name="my laptop", description={"cores": 2, "processor": "x"})


class TestDevices:
    def test_a_device_reads_back(self, repository: Repository, device: DeviceRecord, clock: Clock) -> None:
        assert (device.id, device.name, device.reference_ms) == ("laptop", "my laptop", None)
        assert dict(device.description) == {"cores": 2, "processor": "x"}
        assert device.created_at == clock.time
        assert repository.device("laptop") == device
        assert repository.devices() == (device,)

    def test_the_first_to_record_it_wins(self, repository: Repository, device: DeviceRecord) -> None:
        assert repository.ensure_device("laptop", name="another", description={}) == device

    def test_devices_come_oldest_first(self, repository: Repository, device: DeviceRecord) -> None:
        other = repository.ensure_device("board", name="board", description={})
        assert repository.devices() == (device, other)

    def test_the_reference_is_set_once(self, repository: Repository, device: DeviceRecord) -> None:
        assert repository.set_reference_ms("laptop", 2.5).reference_ms == 2.5
        assert repository.set_reference_ms("laptop", 9.9).reference_ms == 2.5
        assert repository.device("laptop").reference_ms == 2.5

    @pytest.mark.parametrize("number", [math.nan, math.inf, -1.0])
    def test_a_reference_is_a_time(self, repository: Repository, device: DeviceRecord, number: float) -> None:
        with pytest.raises(InvalidRecord, match="reference_ms"):
            repository.set_reference_ms("laptop", number)

    def test_an_unknown_device_is_named(self, repository: Repository) -> None:
        with pytest.raises(NotRecorded, match="'toaster'"):
            repository.set_reference_ms("toaster", 1.0)
        with pytest.raises(NotRecorded, match="'toaster'"):
            repository.device("toaster")


class TestMeasurements:
    @pytest.fixture(autouse=True)
    def _device(self, device: DeviceRecord) -> None:
        """Every measurement here was made on it."""

    def test_a_measurement_reads_back(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        given = a_measurement()
        record, created = repository.record_measurement(study.id, given)
        assert created
        assert (record.study_id, record.created_at) == (study.id, clock.time)
        for name in type(given).__dataclass_fields__:
            assert getattr(record, name) == getattr(given, name)
        assert repository.measurements(study.id) == (record,)

    def test_a_resumed_study_finds_it(self, repository: Repository, study: StudyRecord) -> None:
        first, _ = repository.record_measurement(study.id, a_measurement())
        settings = {"dtype": "float32", "threads": 1, "batch": 1}  # in another order
        second, created = repository.record_measurement(study.id, a_measurement(settings=settings, p50=1.1))
        assert not created
        assert second == first
        assert repository.measurements(study.id) == (first,)

    def test_what_makes_it_another_one(self, repository: Repository, study: StudyRecord) -> None:
        repository.ensure_device("board", name="board", description={})
        other = repository.create_study(name="other", spec="{}", spec_digest="d", seed=0)
        different = [
            a_measurement(),
            a_measurement("ffff"),
            a_measurement(device_id="board"),
            a_measurement(runtime="onnxruntime 2"),
            a_measurement(metric="energy_mj"),
            a_measurement(settings={"batch": 2}),
        ]
        assert all(repository.record_measurement(study.id, each)[1] for each in different)
        assert repository.record_measurement(other.id, a_measurement())[1]
        assert [each.digest for each in repository.measurements(study.id)] == [each.digest for each in different]

    def test_an_unknown_device_is_refused(self, repository: Repository, study: StudyRecord) -> None:
        with pytest.raises(NotRecorded, match="'toaster'"):
            repository.record_measurement(study.id, a_measurement(device_id="toaster"))

    @pytest.mark.parametrize(
        "change",
        [
            {"p10": 2.0},
            {"p50": math.nan},
            {"p90": math.inf},
            {"p10": -1.0},
            {"repeats": 0},
            {"reference_p50": math.nan},
        ],
    )
    def test_what_is_no_timing_is_refused(self, change: dict[str, float]) -> None:
        with pytest.raises(InvalidRecord):
            a_measurement(**change)


class TestArtifacts:
    def test_an_artifact_reads_back(self, repository: Repository, study: StudyRecord, clock: Clock) -> None:
        record, created = repository.record_artifact(study.id, an_artifact())
        assert created
        assert (record.study_id, record.created_at, len(record.id)) == (study.id, clock.time, 32)
        assert (record.sha256, record.kind, record.bytes, record.uri) == (
            "0" * 64,
            "onnx",
            1234,
            "exports/model.onnx",
        )
        assert repository.artifacts(study.id) == (record,)

    def test_the_same_file_is_recorded_once(self, repository: Repository, study: StudyRecord) -> None:
        first, _ = repository.record_artifact(study.id, an_artifact())
        assert repository.record_artifact(study.id, an_artifact()) == (first, False)
        assert repository.record_artifact(study.id, an_artifact(kind="card"))[1]
        assert repository.record_artifact(study.id, an_artifact(sha256="1" * 64))[1]
        assert [each.kind for each in repository.artifacts(study.id)] == ["onnx", "card", "onnx"]

    @pytest.mark.parametrize("change", [{"sha256": "0" * 63}, {"sha256": "G" * 64}, {"bytes": -1}])
    def test_what_is_no_file_is_refused(self, change: dict[str, object]) -> None:
        with pytest.raises(InvalidRecord):
            an_artifact(**change)
