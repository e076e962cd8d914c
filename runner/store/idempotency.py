"""Requests that may come again.  It owns that each is answered once and that its answer is given again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from runner.store.errors import IdempotencyBusy, IdempotencyMismatch, NotRecorded
from runner.store.tables import IdempotencyRow
from runner.store.transactions import Transactions, database_time, hold

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANSWERED_WITHIN = timedelta(seconds=60)  # after that the server that began to answer is taken for dead


class Idempotency(Transactions):
    """Reads and writes what was answered; times are the database's."""

    def begin_idempotent(
        self, owner: str, key: str, request_sha256: str
    ) -> tuple[int, Mapping[str, Any] | None] | None:
        """None where the caller is to answer the request now, else the status and the response to give again.

        Raises IdempotencyMismatch where the key was given with another request, IdempotencyBusy where somebody has
        begun to answer this one less than a minute ago.
        """
        this = (IdempotencyRow.owner == owner, IdempotencyRow.key == key)
        with self._writing("begin_idempotent") as connection:
            hold(connection, f"request {owner} {key}")
            time = database_time(connection)
            known = connection.execute(select(IdempotencyRow).where(*this)).first()
            if known is None:
                connection.execute(
                    insert(IdempotencyRow).values(
                        owner=owner,
                        key=key,
                        request_sha256=request_sha256,
                        status=None,
                        response=None,
                        created_at=time,
                    )
                )
                return None
            if known.request_sha256 != request_sha256:
                raise IdempotencyMismatch(
                    f"the idempotency key {key!r} was given with another request before; make a new key "
                    "for each request"
                )
            if known.status is not None:
                return known.status, known.response
            if time < known.created_at + _ANSWERED_WITHIN:
                raise IdempotencyBusy(
                    f"the request with the idempotency key {key!r} is being answered at this moment; repeat it a "
                    "little later"
                )
            connection.execute(update(IdempotencyRow).where(*this).values(created_at=time))
            return None

    def finish_idempotent(self, owner: str, key: str, status: int, response: Mapping[str, Any] | None) -> None:
        """Keep the answer to a request that was begun."""
        with self._writing("finish_idempotent") as connection:
            kept = connection.execute(
                update(IdempotencyRow)
                .where(IdempotencyRow.owner == owner, IdempotencyRow.key == key)
                .values(status=status, response=response)
            )
            if kept.rowcount == 0:
                raise NotRecorded(f"no request was begun with the idempotency key {key!r}")

    def abandon_idempotent(self, owner: str, key: str) -> None:
        """Forget a request that was begun and could not be answered, so that it can be repeated at once."""
        with self._writing("abandon_idempotent") as connection:
            connection.execute(
                delete(IdempotencyRow).where(
                    IdempotencyRow.owner == owner, IdempotencyRow.key == key, IdempotencyRow.status.is_(None)
                )
            )

    def forget_idempotent(self, older_than: timedelta) -> int:
        """Forget the requests that are older than this; return how many."""
        with self._writing("forget_idempotent") as connection:
            before = database_time(connection) - older_than
            return connection.execute(delete(IdempotencyRow).where(IdempotencyRow.created_at < before)).rowcount
