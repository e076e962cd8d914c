"""Tokens: who may use the API.  It owns that a link works once; secrets and what scopes allow are the service's."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import insert, or_, select, update

from runner.store.errors import InvalidRecord, NotRecorded
from runner.store.records import TokenRecord
from runner.store.tables import TokenRow
from runner.store.transactions import Transactions, hold

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TOUCHED_EVERY = timedelta(minutes=1)  # a page makes many requests: to write at each of them would help nobody


class Tokens(Transactions):
    """Reads and writes tokens."""

    def create_token(self, token: TokenRecord) -> TokenRecord:
        """Record a token; its id must be new."""
        with self._writing("create_token") as connection:
            hold(connection, f"token {token.id}")
            if connection.scalar(select(TokenRow.id).where(TokenRow.id == token.id)) is not None:
                raise InvalidRecord(f"there is a token {token.id!r} already; make another id")
            connection.execute(insert(TokenRow).values(**asdict(token)))
            return token

    def token(self, token_id: str) -> TokenRecord:
        """The token with this id, also one that was revoked or has expired."""
        with self._reading() as connection:
            return _load(connection, token_id)

    def tokens(self, owner: str | None = None) -> tuple[TokenRecord, ...]:
        """The tokens of an owner, or of all, the oldest first."""
        wanted = select(TokenRow) if owner is None else select(TokenRow).where(TokenRow.owner == owner)
        with self._reading() as connection:
            rows = connection.execute(wanted.order_by(TokenRow.created_at, TokenRow.id))
            return tuple(TokenRecord(**row._mapping) for row in rows)

    def touch_token(self, token_id: str) -> None:
        """Say that a token was used now; within a minute of the last time nothing is written."""
        time = self._time()
        with self._reading() as connection:
            last = _load(connection, token_id).last_used_at
        if last is not None and time < last + _TOUCHED_EVERY:
            return
        with self._writing("touch_token") as connection:
            connection.execute(update(TokenRow).where(TokenRow.id == token_id).values(last_used_at=time))

    def revoke_token(self, token_id: str) -> TokenRecord:
        """Let a token open nothing from now on; one that was revoked stays as it is."""
        with self._writing("revoke_token") as connection:
            connection.execute(
                update(TokenRow)
                .where(TokenRow.id == token_id, TokenRow.revoked_at.is_(None))
                .values(revoked_at=self._time())
            )
            return _load(connection, token_id)

    def use_link(self, token_id: str) -> bool:
        """Use a one-time link up: true for the one who does, false for all others and when it has expired."""
        time = self._time()
        with self._writing("use_link") as connection:
            used = connection.execute(
                update(TokenRow)
                .where(
                    TokenRow.id == token_id,
                    TokenRow.kind == "link",
                    TokenRow.revoked_at.is_(None),
                    or_(TokenRow.expires_at.is_(None), TokenRow.expires_at > time),
                )
                .values(revoked_at=time, last_used_at=time)
            )
            return used.rowcount == 1


def _load(connection: Connection, token_id: str) -> TokenRecord:
    row = connection.execute(select(TokenRow).where(TokenRow.id == token_id)).first()
    if row is None:
        raise NotRecorded(f"there is no token {token_id!r}")
    return TokenRecord(**row._mapping)
