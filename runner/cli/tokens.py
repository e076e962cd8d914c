"""Verbs about who may use a server: tokens, in the record itself, and fresh links from a running server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from runner.cli.common import Output, OutputOption, emit, fail, home_of, say

if TYPE_CHECKING:
    from runner.store import TokenRecord

token = typer.Typer(no_args_is_help=True, help="Who may use the server of this state folder.")

_TIMEOUT_S = 10


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.add_typer(token, name="token")
    app.command("open")(open_link)


@token.command()
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is for.")],
    owner: Annotated[str, typer.Option(help="Whose studies it opens.")] = "local",
    scope: Annotated[
        list[str] | None, typer.Option(help="read, submit or admin; may be repeated.  Default: read and submit.")
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="After how many days it expires.  Default: never.")
    ] = None,
) -> None:
    """Make a token and print it, this once."""
    from datetime import timedelta

    from pydantic import ValidationError

    from runner.errors import SpecError
    from runner.service.auth import new_token
    from runner.service.models import TokenRequest
    from runner.store import open_repository
    from runner.store.transactions import utc_now

    try:
        asked = TokenRequest.model_validate(
            {"name": name, "owner": owner, "scopes": scope or ["read", "submit"], "expires_in_days": days}
        )
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        raise SpecError(f"{found['loc'][0]}: {found['msg']}.") from None
    life = None if days is None else timedelta(days=days)
    record, text = new_token(
        owner=asked.owner, name=asked.name, scopes=asked.scopes, kind="token", now=utc_now(), life=life
    )
    with open_repository(home_of(context).database_url) as repository:
        repository.create_token(record)
    say(text)
    fail(f"token {record.id} of {record.owner} may {', '.join(record.scopes)}; it is shown this once")


@token.command("list")
def list_tokens(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", help="Also links, and what no longer opens anything.")] = False,
    output: OutputOption = Output.table,
) -> None:
    """List the tokens and the browser sessions, without what opens anything."""
    from runner.store import open_repository

    with open_repository(home_of(context).database_url) as repository:
        rows = [_row(record) for record in repository.tokens(None)]
    shown = [row for row in rows if every or (row["state"] == "valid" and row["kind"] != "link")]
    emit(shown, output, empty="no tokens yet; make one with: supernaut token create NAME")


@token.command()
def revoke(
    context: typer.Context,
    token_id: Annotated[str, typer.Argument(metavar="ID", help="A token's id, or the beginning of it.")],
) -> None:
    """Let a token or a session open nothing any more."""
    from runner.errors import NotFound, SpecError
    from runner.store import open_repository

    with open_repository(home_of(context).database_url) as repository:
        found = [record for record in repository.tokens(None) if token_id and record.id.startswith(token_id)]
        if not found:
            raise NotFound(f"there is no token {token_id!r}; supernaut token list --all lists them.")
        if len(found) > 1:
            raise SpecError(f"{len(found)} tokens have an id that begins with {token_id!r}; give more characters.")
        repository.revoke_token(found[0].id)
    say(f"revoked {found[0].id} ({found[0].name})")


def open_link(context: typer.Context) -> None:
    """Print a fresh link that opens the pages of the running server once."""
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    from runner.client.finding import find_server
    from runner.errors import Refused, ServerUnreachable

    server = find_server(home=home_of(context))
    request = Request(
        f"{server.url}/api/v1/login-links",
        data=b"{}",
        headers={"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with build_opener(ProxyHandler({})).open(request, timeout=_TIMEOUT_S) as answer:
            say(json.load(answer)["url"])
    except HTTPError as error:
        raise Refused(
            f"{server.url} refuses (status {error.code}); is the token in the state folder its own?"
        ) from error
    except (URLError, OSError, ValueError) as error:
        raise ServerUnreachable(f"no answer from {server.url}: {error}; start one: supernaut serve") from error


def _row(record: TokenRecord) -> dict[str, str]:
    from runner.service.auth import is_alive
    from runner.store.transactions import utc_now

    state = "revoked" if record.revoked_at else "valid" if is_alive(record, utc_now()) else "expired"
    return {
        "token": record.id,
        "name": record.name,
        "owner": record.owner,
        "kind": record.kind,
        "scopes": ",".join(record.scopes),
        "state": state,
        "created": record.created_at.isoformat(timespec="seconds"),
        "expires": record.expires_at.isoformat(timespec="seconds") if record.expires_at else "",
        "last used": record.last_used_at.isoformat(timespec="seconds") if record.last_used_at else "",
    }
