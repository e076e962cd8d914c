"""Whether the server works: for those who watch it, and for programs that read its description."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from runner.service.metrics import MEDIA_TYPE
from runner.service.models import Health
from runner.service.routes.common import Reader, TheService, problems
from runner.store import StoreError

router = APIRouter(tags=["operations"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus's text format.", "content": {"text/plain": {"schema": {"type": "string"}}}}
}


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", responses=problems("misdirected"))
def health() -> Health:
    """The process answers."""
    return Health()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses=problems("misdirected"))
def ready(service: TheService) -> Health:
    """The record can be used, and has the revision that this version needs."""
    service.record.check()
    return Health()


@router.get("/metrics", response_class=Response, responses={**_TEXT, **problems()})
def metrics(_: Reader, service: TheService) -> Response:
    """Numbers about the server, also where the record cannot be used."""
    try:
        workers = service.record.repository().workers()
    except StoreError:
        workers = ()
    return Response(service.metrics.page(workers, service.settings.now()), media_type=MEDIA_TYPE)


@router.get("/openapi.json", include_in_schema=False)
def openapi(request: Request, _: Reader) -> JSONResponse:
    """What this server can be asked."""
    return JSONResponse(request.app.openapi())
