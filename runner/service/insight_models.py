"""The documents of what a study's numbers say: metrics, importances, rules, calibration, training, trust."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from runner.service.models import Answer
from runner.store.records import Provenance  # noqa: TC001  (pydantic reads annotations)
from runner.study import Goal  # noqa: TC001

Answered = bool | int | float | str


class MetricDocument(Answer):
    """A metric of which a study has values, or which it optimizes."""

    metric: str
    label: str = Field(description="Its name in words, without the unit.")
    unit: str = Field(description="Empty where there is none that is known.")
    goal: Goal | None = Field(description="The study's, else the usual one; null: unknown.")
    objective: bool
    at_least: float | None
    at_most: float | None
    computed: bool = Field(description="Whether it follows from structure.")


class ProvenanceDocument(Answer):
    """Where a number came from, in words."""

    name: Provenance
    meaning: str


class MetricsDocument(Answer):
    """The metrics of a study, its objectives first."""

    items: list[MetricDocument]
    provenances: list[ProvenanceDocument]


class ChoiceImportance(Answer):
    """What one choice, or one kind of choice by layer, does to a metric."""

    choice: str = Field(description="A star stands for the number of the layer or block: all of them together.")
    share: float = Field(description="Of what all choices explain, 0 to 1.")
    direction: Literal["raises", "lowers", "mixed"] = Field(description="What larger values do to the metric.")
    best: Answered = Field(description="The value with the best mean, by the study's goal.")
    worst: Answered
    effect: float = Field(
        description="In the metric's unit, between best and worst; of a kind of choice, in all layers."
    )


class MetricImportances(Answer):
    """What decides about a metric."""

    metric: str
    method: str
    agreement: float = Field(description="Spearman's rho of left-out evaluations with what is predicted of them.")
    choices: list[ChoiceImportance] = Field(description="The most important first.")


class RuleCondition(Answer):
    """One condition of a rule."""

    choice: str
    comparison: Literal["is", "is not", "at most", "at least"]
    value: Answered


class RuleDocument(Answer):
    """Where a metric is clearly better than elsewhere."""

    metric: str
    conditions: list[RuleCondition]
    support: int = Field(description="Evaluations that fulfil it.")
    mean: float = Field(description="Their mean.")
    rest: float = Field(description="The mean of the others.")


class ImportancesDocument(Answer):
    """Which choices decide about the objectives of a study."""

    evaluations: int = Field(description="How many were looked at,")
    of: int = Field(description="of so many.")
    reason: str | None = Field(description="Why there is nothing yet.")
    metrics: list[MetricImportances]
    rules: list[RuleDocument] = Field(description="At most six; none where nothing is clear.")


class CalibrationPoint(Answer):
    """What was predicted of an architecture, and what was measured later."""

    digest: str
    predicted: float
    lower: float | None
    upper: float | None
    measured: float
    measured_lower: float | None
    measured_upper: float | None


class CalibrationDocument(Answer):
    """How well a metric was predicted."""

    metric: str
    label: str
    unit: str
    checked: int = Field(description="Predictions that were measured later; of more than 2,000, the newest.")
    inside: int = Field(description="Measurements within the predicted interval.")
    level: float = Field(description="What share the intervals promise to hold.")
    kendall: float | None = Field(description="Tau-b; null where it is not defined.")
    mean_absolute_error: float | None
    points: list[CalibrationPoint] = Field(description="The newest first.")


class TrainingDocument(Answer):
    """How the shared weights were trained: the scores of three subnets as they grew."""

    metric: str | None = Field(description="What was scored; null: unknown.")
    goal: Goal | None
    precision: str | None
    steps_wanted: int
    steps: list[int]
    series: dict[str, list[float | None]] = Field(description="By subnet: largest, random, smallest.")
    rollbacks: int


class TableDocument(Answer):
    """A table in words, and what to know about it."""

    columns: list[str]
    rows: list[list[str]]
    sentences: list[str]


class FidelityDocument(TableDocument):
    """The same with a picture."""

    picture: str = Field(description="Its address.")


class TrustDocument(Answer):
    """Whether the promise of shared weights was kept, and how they rank like training alone."""

    agreement: TableDocument
    fidelity: FidelityDocument | None = Field(description="Null where nothing was compared.")
