"""The record as one object.  It owns nothing of its own: each part says what it keeps true."""

from __future__ import annotations

from runner.store.artifacts import Artifacts
from runner.store.charting import Charting
from runner.store.devices import Devices
from runner.store.evaluations import Evaluations
from runner.store.idempotency import Idempotency
from runner.store.jobs import Jobs
from runner.store.listing import Listing
from runner.store.reservations import Reservations
from runner.store.studies import Studies
from runner.store.tokens import Tokens
from runner.store.workers import Workers


class Repository(
    Studies, Jobs, Reservations, Evaluations, Listing, Charting, Devices, Artifacts, Workers, Tokens, Idempotency
):
    """Reads and writes the record; made by `open_repository`, closed by `with` or `close()`.

    Threads may share it.  A forked process must open its own.
    """
