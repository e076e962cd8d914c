"""Devices and what was measured on them.  It owns that a device's reference time is set once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import insert, select, update

from runner.store.checks import check_not_negative
from runner.store.lookup import hold_study, require_devices, require_study
from runner.store.records import DeviceRecord, MeasurementRecord
from runner.store.tables import DeviceRow, MeasurementRow
from runner.store.transactions import Transactions, hold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runner.store.records import NewMeasurement


class Devices(Transactions):
    """Reads and writes devices and measurements."""

    def ensure_device(self, device_id: str, *, name: str, description: Mapping[str, Any]) -> DeviceRecord:
        """Record a device under its fingerprint, unless it is recorded already; return what stands there."""
        this = select(DeviceRow).where(DeviceRow.id == device_id)
        with self._writing("ensure_device") as connection:
            hold(connection, f"device {device_id}")
            if connection.execute(this).first() is None:
                connection.execute(
                    insert(DeviceRow).values(
                        id=device_id,
                        name=name,
                        description=description,
                        reference_ms=None,
                        created_at=self._time(),
                    )
                )
            return DeviceRecord(**connection.execute(this).one()._mapping)

    def set_reference_ms(self, device_id: str, reference_ms: float) -> DeviceRecord:
        """Set the reference model's long-run median, unless it is set already; return what stands there.

        All latencies of a device are told relative to this number, so it never changes.
        """
        check_not_negative("reference_ms", reference_ms)
        with self._writing("set_reference_ms") as connection:
            connection.execute(
                update(DeviceRow)
                .where(DeviceRow.id == device_id, DeviceRow.reference_ms.is_(None))
                .values(reference_ms=float(reference_ms))
            )
            require_devices(connection, (device_id,))
            return DeviceRecord(**connection.execute(select(DeviceRow).where(DeviceRow.id == device_id)).one()._mapping)

    def device(self, device_id: str) -> DeviceRecord:
        """The device with this fingerprint."""
        with self._reading() as connection:
            require_devices(connection, (device_id,))
            return DeviceRecord(**connection.execute(select(DeviceRow).where(DeviceRow.id == device_id)).one()._mapping)

    def devices(self) -> tuple[DeviceRecord, ...]:
        """All devices, the oldest first."""
        with self._reading() as connection:
            rows = connection.execute(select(DeviceRow).order_by(DeviceRow.created_at, DeviceRow.id))
            return tuple(DeviceRecord(**row._mapping) for row in rows)

    def record_measurement(self, study_id: str, measurement: NewMeasurement) -> tuple[MeasurementRecord, bool]:
        """Record a measurement; return it and whether it was new.

        Where the study has one of that architecture, device, runtime, metric and settings, nothing changes;
        the older one is returned.
        """
        with self._writing("record_measurement") as connection:
            hold_study(connection, study_id)
            require_devices(connection, (measurement.device_id,))
            same = select(MeasurementRow).where(
                MeasurementRow.study_id == study_id,
                MeasurementRow.digest == measurement.digest,
                MeasurementRow.device_id == measurement.device_id,
                MeasurementRow.runtime == measurement.runtime,
                MeasurementRow.metric == measurement.metric,
                MeasurementRow.settings == measurement.settings,
            )
            known = connection.execute(same).first()
            if known is None:
                connection.execute(
                    insert(MeasurementRow).values(
                        study_id=study_id,
                        digest=measurement.digest,
                        device_id=measurement.device_id,
                        runtime=measurement.runtime,
                        metric=measurement.metric,
                        settings=measurement.settings,
                        p10=float(measurement.p10),
                        p50=float(measurement.p50),
                        p90=float(measurement.p90),
                        repeats=measurement.repeats,
                        reference_p50=None if measurement.reference_p50 is None else float(measurement.reference_p50),
                        created_at=self._time(),
                    )
                )
            row = known or connection.execute(same).one()
            return MeasurementRecord(**row._mapping), known is None

    def measurements(self, study_id: str) -> tuple[MeasurementRecord, ...]:
        """The measurements of a study, the oldest first."""
        wanted = select(MeasurementRow).where(MeasurementRow.study_id == study_id).order_by(MeasurementRow.id)
        with self._reading() as connection:
            require_study(connection, study_id)
            return tuple(MeasurementRecord(**row._mapping) for row in connection.execute(wanted))
