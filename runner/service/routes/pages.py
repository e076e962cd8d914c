"""The pages: HTML and pictures for a browser with a session."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import HTMLResponse, Response

from runner.dashboard.fidelity_picture import fidelity_svg
from runner.dashboard.pages import render
from runner.dashboard.picture import front_svg
from runner.service.commands import command_prefix
from runner.service.pictures import study_fidelity, study_front
from runner.service.routes.common import Reader, Service, TheRecord, TheService, find_study
from runner.service.security import PICTURE_POLICY

if TYPE_CHECKING:
    from runner.store import Repository

router = APIRouter(include_in_schema=False)

_READ = ["GET", "HEAD"]
Digest = Annotated[str, Path(pattern=r"^(knee|[0-9a-f]{4,64})$")]
_PICTURE = {"Content-Security-Policy": PICTURE_POLICY}


@router.api_route("/", methods=_READ)
def studies(_: Reader, service: TheService, repository: TheRecord) -> HTMLResponse:
    """All studies that one may see."""
    prefix = _prefix(service)
    example = f"{prefix} run examples/digits.yaml"
    return _page("studies.html", repository, command=f"{prefix} list", example=example)


@router.api_route("/new", methods=_READ)
def new_study(_: Reader, service: TheService, repository: TheRecord) -> HTMLResponse:
    """A study to be submitted."""
    return _page("new.html", repository, command=f"{_prefix(service)} submit examples/digits.yaml")


@router.api_route("/studies/{study}", methods=_READ)
def study(study: str, principal: Reader, service: TheService, repository: TheRecord) -> HTMLResponse:
    """One study."""
    found = find_study(repository, principal, study)
    command = f"{_prefix(service)} front {shlex.quote(found.name)}"
    return _page("study.html", repository, study=found.id, command=command)


@router.api_route("/studies/{study}/architectures/{digest}", methods=_READ)
def architecture(study: str, digest: Digest, principal: Reader, service: TheService, repository: TheRecord) -> Response:
    """One architecture of a study."""
    found = find_study(repository, principal, study)
    command = f"{_prefix(service)} show {shlex.quote(found.name)} {digest}"
    return _page("architecture.html", repository, study=found.id, digest=digest, command=command)


@router.api_route("/studies/{study}/compare", methods=_READ)
def compare(study: str, principal: Reader, service: TheService, repository: TheRecord) -> HTMLResponse:
    """Some architectures of a study beside each other."""
    found = find_study(repository, principal, study)
    command = f"{_prefix(service)} front {shlex.quote(found.name)}"
    return _page("compare.html", repository, study=found.id, command=command)


@router.api_route("/studies/{study}/front.svg", methods=_READ)
def picture(study: str, principal: Reader, repository: TheRecord) -> Response:
    """The front, drawn."""
    name, front = study_front(repository, find_study(repository, principal, study))
    return Response(front_svg(name, front), media_type="image/svg+xml", headers=_PICTURE)


@router.api_route("/studies/{study}/fidelity.svg", methods=_READ)
def fidelity(study: str, principal: Reader, repository: TheRecord) -> Response:
    """How far to trust shared weights, drawn."""
    name, report = study_fidelity(repository, find_study(repository, principal, study))
    return Response(fidelity_svg(name, report), media_type="image/svg+xml", headers=_PICTURE)


def _page(template: str, repository: Repository, **values: Any) -> HTMLResponse:
    """A page, which knows the newest event that what it will ask for cannot lack: its stream goes on from there."""
    return HTMLResponse(render(template, events=repository.last_event_number(), **values))


def _prefix(service: Service) -> str:
    return command_prefix(service.settings.home.database)
