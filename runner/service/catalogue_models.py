"""The documents of what there is to choose from, of who asks, and of a study that is tried before it is sent."""

from __future__ import annotations

from pydantic import Field

from runner.service.models import Answer, Json, ProblemField, TaskMetric
from runner.store.records import Scope  # noqa: TC001  (pydantic reads annotations)


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
