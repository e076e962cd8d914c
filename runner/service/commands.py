"""The commands that a page offers, complete with the state folder that they need."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.settings import Home

if TYPE_CHECKING:
    from runner.front import Front
    from runner.store import StudyRecord


@dataclass(frozen=True)
class Command:
    """What to type, and what for."""

    line: str
    purpose: str


def command_prefix(database: Path) -> str:
    """How `supernaut` is called so that it works with this database in any terminal."""
    folder = database.absolute().parent
    if "SUPERNAUT_HOME" not in os.environ and Home.find().path == folder:
        return "supernaut"
    return f"supernaut --home {shlex.quote(str(folder))}"


def commands_for(study: StudyRecord, front: Front | None, prefix: str) -> tuple[Command, ...]:
    """What can be done next with a study in this state."""
    name = shlex.quote(study.name)
    found = []
    if study.state == "running":
        found.append(Command(f"{prefix} resume {name}", "goes on where it stopped, should its process have ended"))
    elif study.state != "complete":
        found.append(Command(f"{prefix} resume {name}", "goes on where it stopped"))
    if front is not None and front.points:
        found.append(Command(f"{prefix} show {name} knee", "the knee, layer by layer, with every number"))
        found.append(Command(f"{prefix} front {name} --output csv", "the front as data"))
    if front is not None and front.points and study.state == "complete":
        found.append(
            Command(f"{prefix} export {name} DIGEST --to DIR", "another point: retrain it and write its files")
        )
        found.append(Command(f"{prefix} verify DIR", "check written files again"))
        found.append(Command(f"{prefix} fidelity {name}", "how far to trust the ranking by shared weights"))
    found.append(Command(f"{prefix} status {name}", "the stages, in the terminal"))
    return tuple(found)
