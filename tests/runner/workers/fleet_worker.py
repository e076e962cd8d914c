"""A worker of the fleet: `python -m tests.runner.workers.fleet_worker HOME`; its children search tables."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from runner.settings import Home
from runner.workers.attempt import Terms
from runner.workers.supervisor import Supervisor
from tests.runner.workers.tables import table_command

if __name__ == "__main__":
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    terms = Terms(lease_s=8.0, renew_s=1.0, grace_s=20.0)
    Supervisor(Home(Path(sys.argv[1])), terms=terms, make_command=table_command).run(stop)
