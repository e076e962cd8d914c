"""The documents of what there is to choose from, of who asks, and of a study that is tried before it is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from runner.service.models import Answer, Json, ProblemField
from runner.store.records import Scope  # noqa: TC001  (pydantic reads annotations)
from runner.study import Goal  # noqa: TC001


class OptionDocument(Answer):
    """One choice that a study may narrow."""

    name: str
    about: str
    default: list[bool | int | float | str]


class SpaceDocument(Answer):
    """A family of search spaces."""

    name: str
    about: str
    architectures: str | None = Field(description="How many, in digits; null for one of the operator's own.")
    options: list[OptionDocument]
    own: bool = Field(description="Whether the operator added it.")


class TaskMetric(Answer):
    """A metric that may be an objective."""

    metric: str
    label: str = Field(description="Its name in words, without the unit.")
    unit: str = Field(description="Empty where there is none that is known.")
    goal: Goal


class TaskDocument(Answer):
    """A task."""

    name: str
    about: str
    metrics: list[TaskMetric] | None = Field(description="Null for one of the operator's own.")
    families: list[str] | None = Field(description="The spaces that fit it; null: unknown.")
    data: Literal["needed", "possible"] | None = Field(description="Whether `task.data` names registered data.")
    own: bool = Field(description="Whether the operator added it.")


class DeviceDocument(Answer):
    """A machine on which latencies are comparable."""

    id: str
    name: str
    description: Json
    reference_ms: float | None
    created_at: datetime


class WorkerDocument(Answer):
    """A process that works on studies."""

    id: str
    name: str
    version: str
    host: str
    alive: bool
    study_id: str | None = Field(description="What it works on, if that may be seen.")
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None


class SessionDocument(Answer):
    """Who asks, and whom."""

    owner: str
    scopes: list[Scope]
    version: str = Field(description="Of the server.")


class Named(Answer):
    """Something that a study may name."""

    name: str
    about: str


class FamilyMetric(TaskMetric):
    """A metric that modules have, whatever the task."""

    families: list[str] | None = Field(description="The spaces that have it; null: all.")


class ExampleDocument(Answer):
    """A study file to start from."""

    name: str
    about: str
    yaml: str


class CatalogueDocument(Answer):
    """What a study may name beside its task and its space."""

    algorithms: list[Named]
    formats: list[Named]
    costs: list[FamilyMetric] = Field(description="Metrics that follow from structure.")
    latencies: list[FamilyMetric] = Field(description="Metrics that are timed on the device.")
    recipes: list[Named]
    examples: list[ExampleDocument]


class ValidationDocument(Answer):
    """What would become of a study that is sent like this."""

    valid: bool
    code: str | None = Field(description="That of the problem which submitting would be answered with.")
    errors: list[ProblemField]
    yaml: str | None = Field(description="What was given, as a tidy study file; null where it could not be read.")
    spec: Json | None = Field(description="What was given with every default; null where it is not valid.")
    architectures: str | None = Field(description="How many the space holds, in digits; null where that is unknown.")
