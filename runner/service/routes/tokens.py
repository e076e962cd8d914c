"""Tokens, one-time links, and the session that a link begins."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import RedirectResponse

from runner.service.auth import LINK_LIFE, SESSION_LIFE, new_token, redeem
from runner.service.documents import token_document, token_fields
from runner.service.limits import MAX_NAME
from runner.service.models import LinkDocument, LinkRequest, Listed, NewToken, TokenDocument, TokenRequest
from runner.service.problems import Problem
from runner.service.routes.common import UNSAFE, Administrator, Reader, RowId, TheRecord, TheService, problems

router = APIRouter(tags=["tokens"])
login_router = APIRouter()


@router.get("/tokens", responses=problems())
def list_tokens(
    _: Administrator,
    repository: TheRecord,
    owner: Annotated[str | None, Query(max_length=MAX_NAME, description="Only this owner's.")] = None,
) -> Listed[TokenDocument]:
    """All tokens, sessions and links, without what opens anything."""
    return Listed(items=[token_document(token) for token in repository.tokens(owner)])


@router.post("/tokens", status_code=201, responses=problems(*UNSAFE))
def create_token(asked: TokenRequest, _: Administrator, service: TheService, repository: TheRecord) -> NewToken:
    """Make a token; its text is shown this once."""
    days = asked.expires_in_days
    record, text = new_token(
        owner=asked.owner,
        name=asked.name,
        scopes=asked.scopes,
        kind="token",
        now=service.settings.now(),
        life=None if days is None else timedelta(days=days),
    )
    return NewToken(**token_fields(repository.create_token(record)), token=text)


@router.delete("/tokens/{token}", status_code=204, responses=problems(*UNSAFE, "not_found"))
def revoke_token(token: RowId, _: Administrator, repository: TheRecord) -> None:
    """Let a token, a session or a link open nothing any more."""
    repository.revoke_token(token)


@router.post("/login-links", status_code=201, responses=problems(*UNSAFE))
def create_link(
    request: Request,
    principal: Reader,
    service: TheService,
    repository: TheRecord,
    _: Annotated[LinkRequest | None, Body()] = None,
) -> LinkDocument:
    """A link that opens the pages once, for who asks, with the scopes of the token that asks."""
    record, text = new_token(
        owner=principal.owner,
        name=f"link of {principal.token_id}",
        scopes=principal.scopes,
        kind="link",
        now=service.settings.now(),
        life=LINK_LIFE,
    )
    repository.create_token(record)
    assert record.expires_at is not None
    origin = service.settings.hosts.origin(request.headers["host"])
    return LinkDocument(url=f"{origin}/login?code={text}", expires_at=record.expires_at)


@login_router.get("/login", include_in_schema=False)
def login(request: Request, service: TheService, code: str = "") -> Response:
    """Begin a session with a one-time link.

    Not from a link on another site: that could put somebody into a stranger's session without a word.
    """
    if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise Problem("cross_site", "Copy the link into the address bar; it is not taken from a page of another site.")
    session = redeem(service.record.repository(), code, service.settings.now())
    hosts = service.settings.hosts
    answer = RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
    answer.set_cookie(
        service.settings.cookie,
        session,
        max_age=int(SESSION_LIFE.total_seconds()),
        httponly=True,
        samesite="strict",
        secure=hosts.is_public(request.headers["host"]),
    )
    return answer
