"""`python -m runner.workers --home HOME`: a worker as `supernaut serve` starts it, and which ends with it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from runner.settings import Home
from runner.store import StoreError
from runner.workers.running import run_worker

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--name", default="")
    arguments = parser.parse_args()
    try:
        run_worker(Home.find(arguments.home), arguments.name, with_parent=True)
    except (StoreError, OSError) as error:
        sys.exit(f"worker: {error}")
