"""The rows about the files that studies make.  The files themselves belong to whoever writes them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from runner.store.errors import NotRecorded
from runner.store.lookup import hold_study, require_study
from runner.store.records import ArtifactRecord
from runner.store.tables import ArtifactRow
from runner.store.transactions import Transactions

if TYPE_CHECKING:
    from runner.store.records import NewArtifact


class Artifacts(Transactions):
    """Reads and writes artifacts."""

    def record_artifact(self, study_id: str, artifact: NewArtifact) -> tuple[ArtifactRecord, bool]:
        """Record a file that is complete on disk; return it and whether it was new.

        Where the study has the same content of that kind under that address, the older one is returned.
        """
        same = select(ArtifactRow).where(
            ArtifactRow.study_id == study_id,
            ArtifactRow.kind == artifact.kind,
            ArtifactRow.sha256 == artifact.sha256,
            ArtifactRow.uri == artifact.uri,
        )
        with self._writing("record_artifact") as connection:
            hold_study(connection, study_id)
            known = connection.execute(same).first()
            if known is None:
                connection.execute(
                    insert(ArtifactRow).values(
                        id=uuid.uuid4().hex,
                        study_id=study_id,
                        sha256=artifact.sha256,
                        kind=artifact.kind,
                        bytes=artifact.bytes,
                        uri=artifact.uri,
                        created_at=self._time(),
                    )
                )
            row = known or connection.execute(same).one()
            return ArtifactRecord(**row._mapping), known is None

    def find_artifact(self, artifact_id: str) -> ArtifactRecord:
        """The artifact with this id, of whichever study."""
        with self._reading() as connection:
            row = connection.execute(select(ArtifactRow).where(ArtifactRow.id == artifact_id)).first()
            if row is None:
                raise NotRecorded(f"there is no artifact {artifact_id!r}; its study may have been deleted")
            return ArtifactRecord(**row._mapping)

    def artifacts(self, study_id: str) -> tuple[ArtifactRecord, ...]:
        """The artifacts of a study, the oldest first."""
        wanted = select(ArtifactRow).where(ArtifactRow.study_id == study_id)
        with self._reading() as connection:
            require_study(connection, study_id)
            rows = connection.execute(wanted.order_by(ArtifactRow.created_at, ArtifactRow.id))
            return tuple(ArtifactRecord(**row._mapping) for row in rows)
