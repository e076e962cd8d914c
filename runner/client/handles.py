"""A study and a job as a client holds them: what they were when they were read, and what can be done with them.

They are frozen; what changes them returns a fresh one.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runner.client.connection import KEY, Connection, segment
from runner.client.downloads import download
from runner.client.events import Note, follow
from runner.client.front import Front, front_from, left_out, whole_front
from runner.client.records import (
    Artifact,
    Counts,
    Event,
    artifact_from,
    counts_from,
    evaluation_from,
    from_the_server,
    stage_from,
    time_from,
    time_or_none,
)
from runner.client.unpacking import receive_bundle
from runner.errors import Conflict, NotFound, ServerFault, ServerUnreachable, StudyFailed
from runner.study import recorded_spec
from supernet.export.drafts import refuse_foreign

if TYPE_CHECKING:
    from runner.store.records import EvaluationRecord, StageRecord

PATIENCE_S = 300.0  # how long a server may be away while something is waited for
PAGE = 500
_MOST_OTHERS, _FEW_OTHERS = 5000, 500  # points off a front that are asked for at once
_SHORT_ID_CHARACTERS = 8
_FIRST_LOOK_S, _LONGEST_LOOK_S = 0.5, 5.0  # between two looks at a job
_CHANGES = ("study.state", "study.desired")  # events after which a study may be over

JobKind = Literal["retrain", "export"]


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study on a server, as it was when it was read."""

    id: str
    name: str
    owner: str
    state: str  # created, running, interrupted, failed or complete
    desired_state: str | None  # running or stopped; None: somebody runs it in the foreground
    reason: str | None
    seed: int
    counts: Counts
    notes: str
    tags: tuple[str, ...]
    revision: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    page: str  # its address in a browser
    spec: Mapping[str, Any] | None = field(repr=False)  # None in a list of studies; refresh() reads it
    _connection: Connection = field(repr=False, compare=False)

    @property
    def short_id(self) -> str:
        """The first characters of the id, for people."""
        return self.id[:_SHORT_ID_CHARACTERS]

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it unless somebody asks."""
        return self.state in ("complete", "failed") or (self.state == "interrupted" and self.desired_state != "running")

    def refresh(self) -> Study:
        """The study as it is now.  Raises `NotFound` where it was deleted."""
        return study_from(self._connection.get(self._path), self._connection)

    # What it found

    def stages(self) -> tuple[StageRecord, ...]:
        """Its stages, in order."""
        document = self._connection.get(f"{self._path}/stages")
        return tuple(stage_from(one, self.id) for one in _items(document))

    def front(self, *, every: bool = False) -> Front:
        """Its front; beside it what was retrained or exported though it is not on it, with `every` all evaluated."""
        document = self._connection.get(f"{self._path}/front", others=_MOST_OTHERS if every else _FEW_OTHERS)
        found = front_from(document)
        models = tuple(point for point in found.others if point.later)
        if left_out(document) and (every or len(models) == _FEW_OTHERS):
            spec = (self if self.spec is not None else self.refresh()).spec
            found = whole_front(list(self.evaluations()), recorded_spec(json.dumps(spec), self.name))
            models = tuple(point for point in found.others if point.later)
        return found if every else replace(found, others=models)

    def evaluations(self, *, filter: str | None = None, sort: str = "sequence") -> Iterator[EvaluationRecord]:
        """Its evaluations, page by page: those that pass a filter such as `error<=0.05 and state=complete`."""
        for document in pages(self._connection, f"{self._path}/evaluations", filter=filter, sort=sort):
            yield evaluation_from(document, self.id)

    def jobs(self) -> tuple[Job, ...]:
        """What was asked of it besides running it."""
        document = self._connection.get(f"{self._path}/jobs")
        return tuple(job_from(one, self._connection) for one in _items(document))

    def artifacts(self) -> tuple[Artifact, ...]:
        """The files of it that the server keeps."""
        return _artifacts(self._connection, self.id)

    # What happens to it

    def events(self, *, after: int = 0, note: Note | None = None) -> Iterator[Event | None]:
        """What happened since the event of this number, and what happens; None is a sign of life.  Does not end."""
        return follow(self._connection, f"{self._path}/events", after=after, patience_s=PATIENCE_S, note=note)

    def watch(
        self, on_event: Callable[[Event], None] | None = None, *, after: int = 0, note: Note | None = None
    ) -> Study:
        """Wait until it is complete, failed or stopped, and return it as it is then; at once where it is that already.

        `on_event` is called with what happened since the event `after` and with what happens, `note` with words where
        the server is away.  Raises `ServerUnreachable` where it stays away for five minutes, `NotFound` where the
        study was deleted.
        """
        study = self._seen()
        if study.is_over:
            return study
        for event in self.events(after=after, note=note):
            if event is not None and on_event is not None:
                on_event(event)
            was_over = study.is_over
            if event is None or event.kind in _CHANGES:
                study = study._seen()
            # Its last events may still be on their way when it is seen to be over; not after a pause besides.
            if study.is_over and (was_over if event is None else _tells_of(event, study)):
                break
        return study

    # What is asked of it

    def resume(self) -> Study:
        """Let the workers of the server go on with it."""
        return self._patch({"desired_state": "running"})

    def stop(self) -> Study:
        """Let it stop at the next safe point; it can be resumed."""
        return self._patch({"desired_state": "stopped"})

    def edit(self, *, notes: str | None = None, tags: Sequence[str] | None = None) -> Study:
        """Change its notes or its tags.  Raises `Conflict` where somebody else has edited them since it was read."""
        changes = {"notes": notes, "tags": None if tags is None else list(tags)}
        given = {name: value for name, value in changes.items() if value is not None}
        try:
            return self._patch(given, {"If-Match": f'"{self.revision}"'})
        except Conflict:
            now = self.refresh()  # an attempt whose answer was lost may have done it
            if now.revision == self.revision + 1 and all(_same(getattr(now, name), given[name]) for name in given):
                return now
            raise

    def delete(self) -> None:
        """Delete it, everything it measured, and its files."""
        self._connection.call("DELETE", self._path)

    def start(self, kind: JobKind, point: str = "knee", *, formats: Sequence[str] | None = None) -> Job:
        """Ask for a point of the front, or an architecture's digest, to be retrained or exported by a worker."""
        body: dict[str, Any] = {"kind": kind, "point": point}
        if formats is not None:
            body["formats"] = list(formats)
        key = {KEY: uuid.uuid4().hex}
        answer = self._connection.call("POST", f"{self._path}/jobs", body=body, headers=key)
        return job_from(answer.document, self._connection)

    def retrain(self, point: str = "knee") -> Job:
        """Train a point of the front on its own and wait for that.  Raises `StudyFailed` where it could not be done."""
        return self.start("retrain", point).wait()

    def export(self, point: str = "knee", formats: Sequence[str] | None = None, *, to: Path | str) -> Path:
        """Write a point of the front as a bundle into the folder `to`, new or empty; retrains it first if need be.

        Every file is checked against its digest before the folder appears.  Raises `StudyFailed` where it could not
        be exported, `ServerFault` where what came is no sound bundle.
        """
        refuse_foreign(Path(to).resolve())  # now, not after minutes of training
        return self.start("export", point, formats=formats).wait().unpack(Path(to))

    def _seen(self) -> Study:
        """The study as it is, or as it was where the server is away: the stream of events knows how to wait for it."""
        try:
            return self.refresh()
        except ServerUnreachable:
            return self

    @property
    def _path(self) -> str:
        return f"/studies/{segment(self.id)}"

    def _patch(self, changes: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Study:
        answer = self._connection.call("PATCH", self._path, body=dict(changes), headers=headers)
        return study_from(answer.document, self._connection)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Something that a worker does, as it was when it was read."""

    id: str
    study_id: str
    kind: str  # retrain or export
    state: str  # queued, running, complete, failed or cancelled
    reason: str | None
    payload: Mapping[str, Any]
    progress: Mapping[str, Any]
    result: Mapping[str, Any]
    created_at: datetime
    finished_at: datetime | None
    _connection: Connection = field(repr=False, compare=False)

    @property
    def is_over(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state in ("complete", "failed", "cancelled")

    def refresh(self) -> Job:
        """The job as it is now."""
        return job_from(self._connection.get(self._path), self._connection)

    def cancel(self) -> Job:
        """Let it stop; one that is over stays as it is."""
        answer = self._connection.call("PATCH", self._path, body={"desired_state": "cancelled"})
        return job_from(answer.document, self._connection)

    def wait(self, on_progress: Callable[[Job], None] | None = None) -> Job:
        """The job when it is complete.

        Raises `StudyFailed` where it failed, `Conflict` where somebody cancelled it, `ServerUnreachable` where the
        server stays away for five minutes.
        """
        job, pause_s, lost_at = self, _FIRST_LOOK_S, None
        while not job.is_over:
            self._connection.sleep(pause_s)
            pause_s = min(_LONGEST_LOOK_S, 1.5 * pause_s)
            try:
                job, lost_at = job.refresh(), None
            except ServerUnreachable:
                lost_at = time.monotonic() if lost_at is None else lost_at
                if time.monotonic() - lost_at > PATIENCE_S:
                    raise
                continue
            if on_progress is not None:
                on_progress(job)
        if job.state == "failed":
            raise StudyFailed(f"the {job.kind} failed: {job.reason}")
        if job.state == "cancelled":
            raise Conflict(f"the {job.kind} was cancelled{f': {job.reason}' if job.reason else ''}.")
        return job

    def unpack(self, folder: Path) -> Path:
        """Write the bundle of a complete export into a folder.  Raises what `Study.export` raises."""
        artifact = self._bundle()
        receive_bundle(folder, lambda archive: download(self._connection, artifact, archive))
        return folder

    def _bundle(self) -> Artifact:
        named = self.result.get("artifact")
        if not isinstance(named, str):
            raise ServerFault(f"the {self.kind} {self.id} ({self.state}) names no bundle.")
        kept = _artifacts(self._connection, self.study_id)
        found = next((artifact for artifact in kept if artifact.id == named), None)
        if found is None:
            raise NotFound(f"the server has no file {named} of this study any more; export it again.")
        return found

    @property
    def _path(self) -> str:
        return f"/jobs/{segment(self.id)}"


def pages(connection: Connection, path: str, **query: object) -> Iterator[Mapping[str, Any]]:
    """The items of a list, page by page."""
    cursor = None
    while True:
        document = connection.get(path, limit=PAGE, cursor=cursor, **query)
        yield from _items(document)
        cursor = document.get("next_cursor")
        if cursor is None:
            return


def _artifacts(connection: Connection, study_id: str) -> tuple[Artifact, ...]:
    document = connection.get(f"/studies/{segment(study_id)}/artifacts")
    return tuple(artifact_from(one) for one in _items(document))


@from_the_server
def study_from(document: Mapping[str, Any], connection: Connection) -> Study:
    """The study in an answer."""
    return Study(
        id=str(document["id"]),
        name=str(document["name"]),
        owner=str(document["owner"]),
        state=str(document["state"]),
        desired_state=document["desired_state"],
        reason=document["reason"],
        seed=int(document["seed"]),
        counts=counts_from(document["counts"]),
        notes=str(document["notes"]),
        tags=tuple(map(str, document["tags"])),
        revision=int(document["revision"]),
        created_at=time_from(document["created_at"]),
        updated_at=time_from(document["updated_at"]),
        finished_at=time_or_none(document["finished_at"]),
        page=f"{connection.server.url}{document['page']}",
        spec=document.get("spec"),
        _connection=connection,
    )


@from_the_server
def job_from(document: Mapping[str, Any], connection: Connection) -> Job:
    """The job in an answer."""
    return Job(
        id=str(document["id"]),
        study_id=str(document["study_id"]),
        kind=str(document["kind"]),
        state=str(document["state"]),
        reason=document["reason"],
        payload=dict(document["payload"]),
        progress=dict(document["progress"] or {}),
        result=dict(document["result"] or {}),
        created_at=time_from(document["created_at"]),
        finished_at=time_or_none(document["finished_at"]),
        _connection=connection,
    )


def _tells_of(event: Event, study: Study) -> bool:
    """Whether this event tells of the state that the study has."""
    return event.kind == "study.desired" or (event.kind == "study.state" and event.payload.get("to") == study.state)


@from_the_server
def _items(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list(document["items"])


def _same(now: object, wanted: object) -> bool:
    return (list(now) if isinstance(now, tuple) else now) == wanted
