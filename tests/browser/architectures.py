"""Studies of every family, for the pages of architectures: their smallest, their largest and a random architecture."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from runner.store import ValueRecord
from search_spaces import Architecture, space_family, space_names
from tests.runner.service.studies import DEVICE, an_evaluation, create_study, start_study

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from runner.store import Repository, StudyRecord
    from search_spaces.values import Value

STAGED = {"stages": [2], "block": ["convolution", "moat", "transformer"], "depth": [1, 2]}
HOSTILE = "<img src=x onerror=alert(1)>&quot;'\"</svg><script>alert(2)</script>"
OWN: tuple[Mapping[str, Value], ...] = (
    {"depth": 2, "encoder.layers.0.kind": "lstm", "layers.0.mixer": "my_mixer", "layers.0.heads": "many"},
    {"layers.0.rank": 16, "layers.0.sparsity": 0.5, "layers.1.mixer": "gru", "layers.1.kernel": 7, "layers.1.bits": 2},
    {"layers.0.activation": "gelu", "layers.1.activation": "relu", "layers.1.hidden": 64, "width": True},
    {"layers.0.mixer": HOSTILE, HOSTILE: "value", "layers.0.note": HOSTILE * 4, "stages.0.blocks.1.width": -3},
)


def architectures_of(family: str) -> Iterator[Architecture]:
    """The smallest, the largest, and a random architecture of a family."""
    space = space_family(family).space({})
    yield space.smallest()
    yield space.largest()
    yield space.sample(random.Random(20))


def all_architectures() -> dict[str, tuple[Architecture, ...]]:
    """By a name for each group, what must be drawn."""
    found = {family: tuple(architectures_of(family)) for family in space_names()}
    staged = space_family("vision_transformer").space(STAGED)
    found["staged"] = (staged.smallest(), staged.largest(), staged.sample(random.Random(20)))
    found["own"] = tuple(Architecture(dict(answers)) for answers in OWN)
    return found


def record_group(repository: Repository, name: str, architectures: Sequence[Architecture]) -> StudyRecord:
    """A study that has evaluated these, each better than the one before in error and slower."""
    study = create_study(repository, name)
    start_study(repository, study)
    for place, architecture in enumerate(architectures):
        repository.record_evaluation(study.id, an_evaluation(architecture, *values(place)))
    return study


def values(place: int) -> tuple[ValueRecord, ...]:
    """Numbers of the architecture at this place: intervals of latencies of neighbours overlap."""
    latency = 1.0 + 0.1 * place
    return (
        ValueRecord(metric="error", value=round(0.2 - 0.02 * place, 4), provenance="inherited"),
        ValueRecord(
            metric="latency_ms",
            value=latency,
            lower=latency - 0.06,
            upper=latency + 0.06,
            provenance="predicted" if place == 2 else "inherited",
            device_id=DEVICE,
        ),
        ValueRecord(metric="model_bytes", value=100_000.0 * (place + 1), provenance="computed"),
    )


def record_families(repository: Repository) -> dict[str, StudyRecord]:
    """A study for each group."""
    return {
        name: record_group(repository, f"draw-{name}", architectures)
        for name, architectures in all_architectures().items()
    }
