"""What there is to choose from, and who works: spaces, tasks, devices, workers."""

from __future__ import annotations

from functools import cache

from fastapi import APIRouter

from runner.registered.ledger import read_registered
from runner.service.documents import device_document
from runner.service.metrics import is_alive
from runner.service.models import (
    DeviceDocument,
    Listed,
    OptionDocument,
    SpaceDocument,
    TaskDocument,
    WorkerDocument,
)
from runner.service.problems import Problem
from runner.service.routes.common import Reader, TheRecord, TheService, problems, visible
from search_spaces import space_family, space_names
from supernet.tasks.registry import describe_task, task_names

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
        TaskDocument(name=entry.name, about=entry.about, own=True)
        for entry in read_registered(service.settings.home).extensions_of("task")
    ]
    return Listed(
        items=[*(TaskDocument(name=name, about=describe_task(name), own=False) for name in task_names()), *own]
    )


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
