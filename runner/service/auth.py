"""Who asks: tokens, one-time links and browser sessions, and what each may do.

All three are rows of the record with the same shape.  Of a secret only its SHA-256 is kept: it has 256 random bits, so
that no slow hash is needed to protect it.  Owns the text of a token and every decision on whether one counts.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import TYPE_CHECKING, cast

from runner.service.problems import Problem
from runner.store import NotRecorded, TokenRecord
from runner.store.records import SCOPES, Scope, TokenKind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from runner.store import Repository

LOCAL_OWNER = "local"  # of everything that was made without a server, and of the token in the state folder
SESSION_LIFE = timedelta(days=7)
LINK_LIFE = timedelta(minutes=10)
FIRST_LINK_LIFE = timedelta(hours=1)  # of the line that `supernaut serve` prints

_TEXT = re.compile(r"sn_(?P<id>[0-9a-f]{16})_(?P<secret>[A-Za-z0-9_-]{43})", re.ASCII)
_NOBODY = "0" * 64


@dataclass(frozen=True, kw_only=True)
class Principal:
    """Who asks, as a token says."""

    token_id: str
    owner: str
    scopes: frozenset[str]
    kind: TokenKind

    @property
    def is_admin(self) -> bool:
        """Whether everything of everyone is theirs."""
        return "admin" in self.scopes

    @property
    def sees(self) -> str | None:
        """The owner whose studies they may see; None: everyone's."""
        return None if self.is_admin else self.owner

    def may(self, scope: Scope) -> bool:
        """Whether one of their scopes allows this."""
        return self.is_admin or scope in self.scopes


def new_token(
    *,
    owner: str,
    name: str,
    scopes: Iterable[str],
    kind: TokenKind,
    now: datetime,
    life: timedelta | None = None,
) -> tuple[TokenRecord, str]:
    """A token that is not recorded yet, and its text, which nothing can tell again."""
    token_id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    wanted = set(scopes)
    record = TokenRecord(
        id=token_id,
        owner=owner,
        name=name,
        scopes=tuple(cast(Scope, scope) for scope in SCOPES if scope in wanted),
        kind=kind,
        secret_sha256=_sha256(secret),
        created_at=now,
        expires_at=None if life is None else now + life,
        last_used_at=None,
        revoked_at=None,
    )
    return record, f"sn_{token_id}_{secret}"


def verify(repository: Repository, text: str, kinds: tuple[TokenKind, ...], now: datetime) -> TokenRecord | None:
    """The token that a text is, if it is of one of these kinds and still counts."""
    match = _TEXT.fullmatch(text)
    if match is None:
        return None
    record = _find(repository, match["id"])
    known = record.secret_sha256 if record is not None else _NOBODY
    same = compare_digest(_sha256(match["secret"]), known)
    if record is None or not same or record.kind not in kinds or not is_alive(record, now):
        return None
    return record


def is_alive(record: TokenRecord, now: datetime) -> bool:
    """Whether a token was not revoked and did not expire."""
    return record.revoked_at is None and (record.expires_at is None or record.expires_at > now)


def principal_of(record: TokenRecord) -> Principal:
    """Who a token says that asks."""
    return Principal(token_id=record.id, owner=record.owner, scopes=frozenset(record.scopes), kind=record.kind)


def redeem(repository: Repository, text: str, now: datetime) -> str:
    """The text of a new session for a one-time link, which is used up.  Raises `Problem`."""
    link = verify(repository, text, ("link",), now)
    if link is None or not _use(repository, link.id):
        raise Problem("unauthenticated", "The link was used already, or it is too old.")
    record, session = new_token(
        owner=link.owner, name=link.name, scopes=link.scopes, kind="session", now=now, life=SESSION_LIFE
    )
    repository.create_token(record)
    return session


def unauthenticated(detail: str) -> Problem:
    """The answer to who did not say who they are."""
    return Problem("unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="supernaut"'})


def _use(repository: Repository, link_id: str) -> bool:
    """Whether this was the first use of a link."""
    try:
        return repository.use_link(link_id) is not False
    except NotRecorded:
        return False


def _find(repository: Repository, token_id: str) -> TokenRecord | None:
    try:
        return repository.token(token_id)
    except NotRecorded:
        return None


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
