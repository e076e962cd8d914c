"""How `supernaut` is called in a terminal, complete with the state folder that it needs."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from runner.settings import Home


def command_prefix(database: Path) -> str:
    """How `supernaut` is called so that it works with this database in any terminal."""
    folder = database.absolute().parent
    if "SUPERNAUT_HOME" not in os.environ and Home.find().path == folder:
        return "supernaut"
    return f"supernaut --home {shlex.quote(str(folder))}"
