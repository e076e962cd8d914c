"""`supernaut token`: the operator's own, in the record itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from runner.cli.main import app
from runner.errors import NotFound, SpecError
from runner.service.auth import new_token
from tests.runner.service.callers import BEGUN

if TYPE_CHECKING:
    from fastapi.testclient import TestClient

    from runner.settings import Home
    from runner.store import Repository


def supernaut(home: Home, *arguments: str) -> str:
    """What a verb prints on standard output."""
    done = CliRunner().invoke(app, ["--home", str(home.path), *arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_token_that_was_made_opens_the_server_until_it_is_revoked(home: Home, stranger: TestClient) -> None:
    text = supernaut(home, "token", "create", "ci", "--owner", "team", "--scope", "read").strip()
    headers = {"authorization": f"Bearer {text}"}
    assert stranger.get("/api/v1/studies", headers=headers).status_code == 200
    assert stranger.post("/api/v1/studies", json={}, headers=headers).status_code == 403
    listed = json.loads(supernaut(home, "token", "list", "--output", "json"))
    (row,) = [row for row in listed if row["owner"] == "team"]
    assert (row["name"], row["scopes"], row["state"], row["expires"]) == ("ci", "read", "valid", "")
    assert text.split("_", 2)[2] not in json.dumps(listed)
    supernaut(home, "token", "revoke", row["token"][:10])
    assert stranger.get("/api/v1/studies", headers=headers).status_code == 401
    assert "team" not in supernaut(home, "token", "list")
    assert "revoked" in supernaut(home, "token", "list", "--all")


def test_without_options_a_token_may_read_and_submit_for_the_local_owner(home: Home, repository: Repository) -> None:
    supernaut(home, "token", "create", "laptop", "--days", "3")
    (made,) = [token for token in repository.tokens("local") if token.name == "laptop"]
    assert made.scopes == ("read", "submit")
    assert made.expires_at is not None
    assert (made.expires_at - made.created_at).days == 3


@pytest.mark.parametrize(
    "options", [["--scope", "all"], ["--owner", "../x"], ["--owner", ""]], ids=lambda options: " ".join(options)
)
def test_what_is_no_token_is_refused(home: Home, repository: Repository, options: list[str]) -> None:
    before = repository.tokens()
    with pytest.raises(SpecError):
        supernaut(home, "token", "create", "x", *options)
    assert repository.tokens() == before


def test_what_to_revoke_must_be_one_token(home: Home, repository: Repository) -> None:
    for _ in range(17):
        record, _text = new_token(owner="o", name="n", scopes=["read"], kind="token", now=BEGUN)
        repository.create_token(record)
    with pytest.raises(NotFound, match="supernaut token list"):
        supernaut(home, "token", "revoke", "nothing")
    first = [token.id[0] for token in repository.tokens()]
    shared = next(character for character in first if first.count(character) > 1)
    with pytest.raises(SpecError, match="more characters"):
        supernaut(home, "token", "revoke", shared)
    assert not [token for token in repository.tokens() if token.revoked_at]
