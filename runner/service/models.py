"""The documents of the API, one model each.  The OpenAPI document is made from them."""

from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from runner.service.limits import MAX_NAME, MAX_NOTES, MAX_TAG, MAX_TAGS
from runner.store.records import (
    DesiredState,
    EvaluationState,
    JobKind,
    JobState,
    Provenance,
    Scope,
    StageState,
    StudyState,
    TokenKind,
)
from runner.study import Goal, StudySpec

Item = TypeVar("Item")
Json = dict[str, Any]


class Answer(BaseModel):
    """What all answers have in common."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class Asked(BaseModel):
    """What all bodies have in common: no field that is not known, no number that is not finite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Listed(Answer, Generic[Item]):
    """Everything there is."""

    items: list[Item]


class Paged(Answer, Generic[Item]):
    """One page, and where the next one begins: null on the last."""

    items: list[Item]
    next_cursor: str | None


class ProblemField(Answer):
    """What is wrong with one field."""

    pointer: str
    message: str


class ProblemDocument(Answer):
    """RFC 9457, with a code that never changes its meaning."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    errors: list[ProblemField] | None = None


class Counts(Answer):
    """How many evaluations of a study there are."""

    complete: int
    failed: int


class Objective(Answer):
    """What a study optimizes."""

    metric: str
    goal: Goal
    at_least: float | None
    at_most: float | None


class Progress(Answer):
    """How far a study is."""

    stage: str | None = Field(description="The one at work; null: none is.")
    position: int = Field(description="Which of the stages that is, from 1; without one, how many are complete.")
    stages: int
    done: int | None = Field(description="Of the stage at work, where it has said so.")
    total: int | None
    budget: int | None = Field(description="Evaluations that were asked for; null: the specification cannot be read.")


class StudyDocument(Answer):
    """A study."""

    id: str
    name: str
    owner: str
    state: StudyState
    desired_state: DesiredState | None = Field(
        description="What workers bring it to; null: it is run in the foreground, where it was made."
    )
    reason: str | None
    objectives: list[Objective] | None = Field(description="Null: another version wrote the specification.")
    space: str | None = Field(description="The family of its search space; null as for objectives.")
    task: str | None
    counts: Counts
    progress: Progress
    seed: int
    spec_digest: str
    device_id: str | None
    notes: str
    tags: list[str]
    revision: int = Field(description="Counts edits of notes and tags; it is the ETag.")
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    page: str = Field(description="The address of its page.")


class StudyDetail(StudyDocument):
    """A study with its specification."""

    spec: Json = Field(description="As it was recorded, with every default.")


class Submission(Asked):
    """A study to be run."""

    spec: StudySpec


Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG, pattern=r"^[^\x00-\x1f\x7f]+$")]


class StudyChange(Asked):
    """What is to change; what is left out stays."""

    desired_state: DesiredState | None = None
    notes: Annotated[str, Field(max_length=MAX_NOTES)] | None = None
    tags: Annotated[list[Tag], Field(max_length=MAX_TAGS)] | None = None


class StageDocument(Answer):
    """One stage of a study."""

    name: str
    position: int
    state: StageState
    detail: Json
    started_at: datetime | None
    finished_at: datetime | None


class ValueDocument(Answer):
    """One number and where it came from."""

    metric: str
    value: float
    lower: float | None
    upper: float | None
    provenance: Provenance
    device_id: str | None


class FailureDocument(Answer):
    """Why an evaluation has no result."""

    kind: str
    message: str


class EvaluationDocument(Answer):
    """One architecture measured at one fidelity."""

    id: int
    sequence: int
    digest: str
    architecture: Json
    fidelity: str
    seed: int
    origin: str
    state: EvaluationState
    values: list[ValueDocument]
    failure: FailureDocument | None
    attempt: int
    duration_ms: float | None
    created_at: datetime


class PointDocument(Answer):
    """One architecture with the numbers that count, and what it reached later."""

    digest: str
    evaluation_id: int
    architecture: Json
    values: list[ValueDocument]
    later: dict[str, list[ValueDocument]] = Field(description="By fidelity: retrained, exported.")


class FrontDocument(Answer):
    """The points that nothing is better than in every objective, within the bounds."""

    study_id: str
    goals: dict[str, Goal]
    evaluated: int = Field(description="Evaluations with shared weights that have a number for every objective.")
    points: list[PointDocument]
    others: list[PointDocument] = Field(
        description="Points off the front: first those that were retrained or exported, then the newest."
    )
    left_out: int = Field(description="How many points off the front are not among `others`.")
    knee: str | None = Field(description="The digest of the knee.")
    ends: dict[str, str] = Field(description="By objective, the digest of the best point.")


class MetricColumn(Answer):
    """One metric of all evaluations; `provenance` points into the list of the same name."""

    value: list[float | None]
    provenance: list[int | None]


class ChoiceColumn(Answer):
    """One choice of all architectures; `code` points into `values`, null where the choice does not apply."""

    values: list[bool | int | float | str]
    code: list[int | None]


class ColumnsDocument(Answer):
    """All evaluations of a study, column by column, in the order of their commits."""

    count: int
    id: list[int]
    digest: list[str]
    state: list[EvaluationState]
    fidelity: list[str]
    provenances: list[Provenance]
    metrics: dict[str, MetricColumn]
    choices: dict[str, ChoiceColumn] = Field(description="Of the architectures' choices, those that were asked for.")


class CourseDocument(Answer):
    """The hypervolume of the front after so many evaluations."""

    metrics: list[str]
    reference: list[float] = Field(description="The corner it is measured from: the worst of each objective so far.")
    evaluations: list[int]
    times: list[datetime] = Field(description="When each of these evaluations was recorded.")
    hypervolume: list[float | None] = Field(
        description="Null where the front has too many points in too many objectives for an exact number in time."
    )


class PlaceDocument(Answer):
    """The choices of one place in an architecture, such as its third layer."""

    place: list[tuple[str, int]] = Field(description="Empty: the whole; [[layer, 2]]: its third layer.")
    answers: Json


class FidelityNumbers(Answer):
    """What was measured at one fidelity."""

    fidelity: str
    state: EvaluationState
    failure: FailureDocument | None
    values: list[ValueDocument]


class ChangedChoice(Answer):
    """What one choice is in two architectures; null where it does not apply."""

    choice: str
    here: bool | int | float | str | None
    there: bool | int | float | str | None


class Neighbour(Answer):
    """A point of the front that differs in few choices."""

    digest: str
    differences: int
    changed: list[ChangedChoice]


class ArchitectureDocument(Answer):
    """One architecture, layer by layer, with every number."""

    digest: str
    architecture: Json
    places: list[PlaceDocument]
    lines: list[str] = Field(description="The same as a table in plain text.")
    on_front: bool
    knee: bool
    numbers: list[FidelityNumbers]
    neighbours: list[Neighbour] = Field(description="At most 8 other points of the front, the most similar first.")


class JobRequest(Asked):
    """Something to be done with points of a study."""

    kind: JobKind
    point: Annotated[str, Field(min_length=4, max_length=64, pattern=r"^(knee|ends|[0-9a-f]{4,64})$")] = Field(
        default="knee", description="knee, ends, or the beginning of a digest."
    )
    formats: Annotated[list[Annotated[str, Field(max_length=MAX_NAME)]], Field(min_length=1, max_length=32)] | None = (
        Field(default=None, description="Of an export; null: those of the study.")
    )


class JobDocument(Answer):
    """A job."""

    id: str
    study_id: str
    kind: JobKind
    payload: Json
    state: JobState
    reason: str | None
    progress: Json | None
    result: Json | None
    attempt: int
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


class JobChange(Asked):
    """What a job is to become."""

    desired_state: Literal["cancelled"]


class ArtifactDocument(Answer):
    """A file that a study made."""

    id: str
    study_id: str
    kind: str
    sha256: str
    bytes: int
    created_at: datetime


class EventDocument(Answer):
    """Something that happened to a study: the data of one server-sent event."""

    number: int = Field(description="One order over all studies; the id of the server-sent event.")
    study_id: str
    sequence: int
    time: datetime
    kind: str
    payload: Json


class TokenRequest(Asked):
    """A token to be made."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME, pattern=r"^[^\x00-\x1f\x7f]+$")]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    owner: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")] = "local"
    expires_in_days: Annotated[int, Field(ge=1, le=3650)] | None = None


class TokenDocument(Answer):
    """A token, without what opens anything."""

    id: str
    owner: str
    name: str
    scopes: list[Scope]
    kind: TokenKind
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewToken(TokenDocument):
    """A token that was just made."""

    token: str = Field(description="Shown this once.")


class LinkRequest(Asked):
    """Nothing needs to be said."""


class LinkDocument(Answer):
    """An address that opens the pages once."""

    url: str
    expires_at: datetime


class Health(Answer):
    """The process answers."""

    status: Literal["ok"] = "ok"
