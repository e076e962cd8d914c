"""What there is to choose from, who asks, and who works: spaces, tasks, formats, examples, devices, workers."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, cast

from fastapi import APIRouter

from runner.registered.ledger import read_registered
from runner.service.catalogue_models import (
    CatalogueDocument,
    DeviceDocument,
    ExampleDocument,
    FamilyMetric,
    Named,
    OptionDocument,
    SessionDocument,
    SpaceDocument,
    TaskDocument,
    TaskMetric,
    WorkerDocument,
)
from runner.service.catalogue_words import ALGORITHMS, EXAMPLES, FORMATS, RECIPES, example
from runner.service.documents import device_document
from runner.service.metric_words import FAMILY_COSTS, LATENCIES, words_of
from runner.service.metrics import is_alive
from runner.service.models import (
    Listed,
)
from runner.service.problems import Problem
from runner.service.routes.common import Reader, TheRecord, TheService, problems, visible
from runner.store.records import SCOPES
from runner.study import COMPUTED
from search_spaces import space_family, space_names
from supernet.tasks.registry import describe_task, families_of, metrics_of, needs_data, task_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runner.store.records import Scope

router = APIRouter(tags=["catalogue"])


@router.get("/spaces", responses=problems())
def list_spaces(_: Reader, service: TheService) -> Listed[SpaceDocument]:
    """The families of search spaces, the operator's own among them."""
    own = [
        SpaceDocument(name=entry.name, about=entry.about, architectures=None, options=[], own=True)
        for entry in read_registered(service.settings.home).extensions_of("family")
    ]
    return Listed(items=[*_spaces(), *own])


@router.get("/tasks", responses=problems())
def list_tasks(_: Reader, service: TheService) -> Listed[TaskDocument]:
    """The tasks, the operator's own among them."""
    own = [
        TaskDocument(name=entry.name, about=entry.about, metrics=None, families=None, data=None, own=True)
        for entry in read_registered(service.settings.home).extensions_of("task")
    ]
    return Listed(items=[*_tasks(), *own])


@router.get("/catalogue", responses=problems())
def get_catalogue(_: Reader) -> CatalogueDocument:
    """What a study may name beside its task and its space, and examples to start from."""
    return _catalogue()


@router.get("/session", responses=problems())
def get_session(principal: Reader) -> SessionDocument:
    """Who asks, what they may do, and the version of the server."""
    scopes = cast("list[Scope]", [scope for scope in SCOPES if scope in principal.scopes])
    return SessionDocument(owner=principal.owner, scopes=scopes, version=version("supernaut"))


@router.get("/devices", responses=problems())
def list_devices(_: Reader, repository: TheRecord) -> Listed[DeviceDocument]:
    """The devices that were measured, the oldest first."""
    return Listed(items=[device_document(device) for device in repository.devices()])


@router.get("/workers", responses=problems())
def list_workers(principal: Reader, service: TheService, repository: TheRecord) -> Listed[WorkerDocument]:
    """The workers; of others' studies none is told."""
    now = service.settings.now()
    items = []
    for worker in repository.workers():
        study_id = worker.study_id
        if study_id is not None and not principal.is_admin:
            try:
                visible(repository, principal, study_id)
            except Problem:
                study_id = None
        items.append(
            WorkerDocument(
                id=worker.id,
                name=worker.name,
                version=worker.version,
                host=worker.host,
                alive=is_alive(worker, now),
                study_id=study_id,
                started_at=worker.started_at,
                seen_at=worker.seen_at,
                stopped_at=worker.stopped_at,
            )
        )
    return Listed(items=items)


@cache
def _tasks() -> tuple[TaskDocument, ...]:
    return tuple(
        TaskDocument(
            name=name,
            about=describe_task(name),
            metrics=[
                TaskMetric(**{**asdict(words_of(metric)), "goal": goal}) for metric, goal in metrics_of(name).items()
            ],
            families=list(families_of(name)),
            data=needs_data(name),
            own=False,
        )
        for name in task_names()
    )


@cache
def _catalogue() -> CatalogueDocument:
    def metrics(families: Mapping[str, Sequence[str] | None]) -> list[FamilyMetric]:
        return [
            FamilyMetric(**asdict(words_of(metric)), families=None if of is None else list(of))
            for metric, of in families.items()
        ]

    def named(words: Mapping[str, str]) -> list[Named]:
        return [Named(name=name, about=about) for name, about in words.items()]

    return CatalogueDocument(
        algorithms=named(ALGORITHMS),
        formats=named(FORMATS),
        costs=metrics({**dict.fromkeys(COMPUTED), **FAMILY_COSTS}),
        latencies=metrics(LATENCIES),
        recipes=named(RECIPES),
        examples=[ExampleDocument(name=name, about=about, yaml=example(name)) for name, about in EXAMPLES.items()],
    )


@cache
def _spaces() -> tuple[SpaceDocument, ...]:
    """Those that Supernaut brings; to count them takes a moment."""
    return tuple(
        SpaceDocument(
            name=name,
            about=space_family(name).summary,
            architectures=str(space_family(name).space({}).size()),
            options=[
                OptionDocument(name=option.name, about=option.about, default=list(option.default))
                for option in space_family(name).describe().options
            ],
            own=False,
        )
        for name in space_names()
    )
