"""What enters and leaves the store: frozen values.  It owns their shape and checks, not how they are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from runner.store.checks import check_finite, check_integer, check_not_negative, recordable
from runner.store.errors import InvalidRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime
    from pathlib import Path

StudyState: TypeAlias = Literal["created", "running", "interrupted", "failed", "complete"]
StageState: TypeAlias = Literal["pending", "running", "complete", "failed"]
EvaluationState: TypeAlias = Literal["complete", "failed"]
DesiredState: TypeAlias = Literal["running", "stopped"]
JobKind: TypeAlias = Literal["retrain", "export"]
JobState: TypeAlias = Literal["queued", "running", "complete", "failed", "cancelled"]
TokenKind: TypeAlias = Literal["token", "session", "link"]
Scope: TypeAlias = Literal["read", "submit", "admin"]
Provenance: TypeAlias = Literal["computed", "predicted", "inherited", "retrained", "exported"]

STUDY_STATES: tuple[str, ...] = get_args(StudyState)
STAGE_STATES: tuple[str, ...] = get_args(StageState)
EVALUATION_STATES: tuple[str, ...] = get_args(EvaluationState)
DESIRED_STATES: tuple[str, ...] = get_args(DesiredState)
JOB_KINDS: tuple[str, ...] = get_args(JobKind)
JOB_STATES: tuple[str, ...] = get_args(JobState)
TOKEN_KINDS: tuple[str, ...] = get_args(TokenKind)
SCOPES: tuple[str, ...] = get_args(Scope)
PROVENANCES: tuple[str, ...] = get_args(Provenance)

# Of several values of one metric the one nearest to what ships counts; a prediction only where nothing else is known.
# Of equals the one that was recorded first.
PRECEDENCE: tuple[Provenance, ...] = ("exported", "retrained", "inherited", "computed", "predicted")

_SHORT_ID_CHARACTERS = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyRecord:
    """One study."""

    id: str
    name: str
    spec: str  # JSON text
    spec_digest: str
    state: StudyState
    reason: str | None  # why it is in that state
    seed: int
    device_id: str | None
    created_at: datetime
    updated_at: datetime  # the last change of state, of the study or of one of its stages
    finished_at: datetime | None
    owner: str
    desired_state: DesiredState | None  # None: it is run in the foreground, and no worker may touch it
    lease_owner: str | None  # the worker that runs it
    lease_until: datetime | None  # from then on another one may take it; by the database's clock
    lease_attempt: int  # counts how often a worker took it; the fencing token
    notes: str
    tags: tuple[str, ...]
    revision: int  # counts the edits of notes and tags, from 1

    @property
    def short_id(self) -> str:
        """The first characters of the id, for people."""
        return self.id[:_SHORT_ID_CHARACTERS]


@dataclass(frozen=True, kw_only=True, slots=True)
class StageRecord:
    """One stage of a study."""

    study_id: str
    name: str
    position: int
    state: StageState
    detail: Mapping[str, Any]
    started_at: datetime | None  # the last time that it began
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """Why an evaluation has no result."""

    kind: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", recordable(self.message))


@dataclass(frozen=True, kw_only=True, slots=True)
class ValueRecord:
    """One number about one evaluation, and where it came from.  The same class goes in and comes out."""

    metric: str
    value: float
    provenance: Provenance
    lower: float | None = None
    upper: float | None = None
    device_id: str | None = None

    def __post_init__(self) -> None:
        if self.provenance not in PROVENANCES:
            raise InvalidRecord(
                f"the provenance of {self.metric!r} is {self.provenance!r}; allowed: {', '.join(PROVENANCES)}"
            )
        check_finite(self.metric, self.value)
        if self.lower is not None:
            check_finite(f"{self.metric} (lower bound)", self.lower)
        if self.upper is not None:
            check_finite(f"{self.metric} (upper bound)", self.upper)
            if self.lower is not None and self.lower > self.upper:
                raise InvalidRecord(f"the interval of {self.metric!r} is empty: {self.lower} > {self.upper}")

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What makes it unique within an evaluation."""
        return (self.metric, self.provenance, self.device_id)


@dataclass(frozen=True, kw_only=True, slots=True)
class NewEvaluation:
    """One architecture measured at one fidelity, or the failure to do so, ready to be recorded.

    Digest, fidelity and seed make it unique within its study.  A failure is final for that key: who wants to
    try again does so before recording and says in `attempt` how often.
    """

    digest: str
    architecture_json: str
    fidelity: str
    seed: int
    origin: str
    values: tuple[ValueRecord, ...] = ()
    failure: Failure | None = None
    attempt: int = 1
    duration_ms: float | None = None

    def __post_init__(self) -> None:
        check_integer("seed", self.seed)
        if self.attempt < 1:
            raise InvalidRecord(f"attempts are counted from 1, got {self.attempt}")
        if self.duration_ms is not None:
            check_not_negative("duration_ms", self.duration_ms)
        check_distinct(self.values)

    @property
    def state(self) -> EvaluationState:
        """`failed` where there is a failure."""
        return "complete" if self.failure is None else "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationRecord(NewEvaluation):
    """An evaluation as it stands in the record."""

    id: int
    study_id: str
    sequence: int  # counts the evaluations of a study in the order of their commits, from 1
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class NewReservation:
    """One architecture about to be measured at one fidelity, ready to be reserved; the key is an evaluation's."""

    digest: str
    architecture_json: str
    fidelity: str
    seed: int
    origin: str

    def __post_init__(self) -> None:
        check_integer("seed", self.seed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reservation(NewReservation):
    """A place in the budget for an evaluation that is under way, and who may record it."""

    study_id: str
    sequence: int  # those of a study were made in this order, whatever the clock did
    owner: str
    attempt: int  # counts from 1 how often it was begun; with the owner it is the fencing token
    until: datetime  # the end of the lease: from then on others may take it
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class NewMeasurement:
    """One timing of one architecture on one device, ready to be recorded."""

    digest: str
    device_id: str
    runtime: str  # such as "onnxruntime 1.31.1"
    metric: str  # its unit is in the name: latency_ms
    settings: Mapping[str, Any]  # batch, threads, dtype
    p10: float
    p50: float
    p90: float
    repeats: int
    reference_p50: float | None = None  # of the reference model that ran in turns with it

    def __post_init__(self) -> None:
        for name in ("p10", "p50", "p90"):
            check_not_negative(f"{name} of {self.metric}", getattr(self, name))
        if not self.p10 <= self.p50 <= self.p90:
            raise InvalidRecord(
                f"the percentiles of {self.metric!r} are not in order: {self.p10}, {self.p50}, {self.p90}"
            )
        if self.reference_p50 is not None:
            check_not_negative("reference_p50", self.reference_p50)
        if self.repeats < 1:
            raise InvalidRecord(f"a measurement has at least 1 repeat, got {self.repeats}")


@dataclass(frozen=True, kw_only=True, slots=True)
class MeasurementRecord(NewMeasurement):
    """A measurement as it stands in the record."""

    id: int
    study_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceRecord:
    """A machine on which latencies are comparable."""

    id: str  # its fingerprint
    name: str
    description: Mapping[str, Any]
    reference_ms: float | None  # long-run median of the reference model; set once
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class NewArtifact:
    """A file that a study made, ready to be recorded."""

    sha256: str
    kind: str
    bytes: int
    uri: str

    def __post_init__(self) -> None:
        if len(self.sha256) != 64 or set(self.sha256) - set("0123456789abcdef"):
            raise InvalidRecord(f"sha256 must be 64 hexadecimal digits in lower case, got {self.sha256!r}")
        if self.bytes < 0:
            raise InvalidRecord(f"a file has at least 0 bytes, got {self.bytes}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ArtifactRecord(NewArtifact):
    """An artifact as it stands in the record."""

    id: str
    study_id: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class EventRecord:
    """Something that happened to a study."""

    study_id: str
    sequence: int  # counts the events of a study without gaps, from 1
    time: datetime
    kind: str
    payload: Mapping[str, Any]
    number: int  # counts the events of all studies in the order of their commits


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRecord:
    """Something to be done with a study besides running it."""

    id: str
    study_id: str
    kind: JobKind
    payload: Mapping[str, Any]
    state: JobState
    reason: str | None
    progress: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    lease_owner: str | None
    lease_until: datetime | None  # by the database's clock
    attempt: int  # counts how often a worker took it; the fencing token
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyClaim:
    """That a worker runs a study: the study as it stood then, and which attempt this is."""

    study: StudyRecord
    attempt: int

    @property
    def worker_id(self) -> str:
        """Whose claim it is."""
        return str(self.study.lease_owner)


@dataclass(frozen=True, kw_only=True, slots=True)
class JobClaim:
    """That a worker does a job: the job as it stood then, and which attempt this is."""

    job: JobRecord
    attempt: int

    @property
    def worker_id(self) -> str:
        """Whose claim it is."""
        return str(self.job.lease_owner)


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerRecord:
    """A process that works on studies and jobs, or that did.  Its times are by the database's clock."""

    id: str
    name: str
    version: str
    host: str
    pid: int
    started_at: datetime
    seen_at: datetime
    study_id: str | None = None
    stopped_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenRecord:
    """What opens the API to somebody; of its secret only the digest is kept."""

    id: str
    owner: str
    name: str
    scopes: tuple[Scope, ...]
    kind: TokenKind
    secret_sha256: str
    created_at: datetime
    expires_at: datetime | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    def __post_init__(self) -> None:
        if unknown := set(self.scopes) - set(SCOPES):
            raise InvalidRecord(f"there is no scope {min(unknown)!r}; allowed: {', '.join(SCOPES)}")
        if self.kind not in TOKEN_KINDS:
            raise InvalidRecord(f"there is no kind of token {self.kind!r}; allowed: {', '.join(TOKEN_KINDS)}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Upgrade:
    """What a migration did."""

    before: str  # revision
    after: str
    backup: Path | None  # the copy made before; None where nothing had to be done, and of PostgreSQL


def check_distinct(values: Iterable[ValueRecord]) -> None:
    """Refuse two values of one metric, provenance and device."""
    seen: set[tuple[str, str, str | None]] = set()
    for value in values:
        if value.key in seen:
            raise InvalidRecord(f"{value.metric!r} ({value.provenance}) is given twice for one device; give it once")
        seen.add(value.key)
