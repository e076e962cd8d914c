"""`python -m runner.workers --home HOME`: a worker as `supernaut serve` starts it."""

from __future__ import annotations

import argparse
from pathlib import Path

from runner.settings import Home
from runner.workers.running import run_worker

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--name", default="")
    arguments = parser.parse_args()
    run_worker(Home.find(arguments.home), arguments.name)
