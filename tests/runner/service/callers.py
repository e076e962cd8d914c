"""Tokens for tests: an administrator, two people with a study each, and those who may do only one thing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from runner.service.auth import new_token

if TYPE_CHECKING:
    from runner.store import Repository
    from runner.store.records import Scope, TokenRecord

BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Caller:
    """Somebody with a token."""

    record: TokenRecord
    text: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.text}"}


def _caller(owner: str, *scopes: Scope) -> Caller:
    return Caller(*new_token(owner=owner, name="of a test", scopes=scopes, kind="token", now=BEGUN))


ADMIN = _caller("local", "admin")
ANNA = _caller("anna", "read", "submit")
BORIS = _caller("boris", "read", "submit")
READER = _caller("local", "read")
SUBMITTER = _caller("local", "submit")
EVERYONE = (ADMIN, ANNA, BORIS, READER, SUBMITTER)


def let_in(repository: Repository) -> None:
    """Record all of them."""
    for caller in EVERYONE:
        repository.create_token(caller.record)
