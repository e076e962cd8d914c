"""What a shell offers where a study is to be named: names from the record in the state folder."""

from __future__ import annotations

from pathlib import Path

from runner.cli.common import printable
from runner.settings import Home

_MOST = 200


def study_names(home: Path | None, incomplete: str) -> list[str]:
    """The names that begin like this, the newest study first.

    Empty where there is no record or it cannot be read: whoever presses Tab is to see names or nothing.
    """
    from runner.store import StoreError, open_repository

    found = Home.find(home)
    try:
        if found.database_url == str(found.database) and not found.database.exists():
            return []  # opening it would make it
        with open_repository(found.database_url, busy_timeout_ms=200) as repository:
            names = [study.name for study in reversed(repository.studies())]
    except (StoreError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete) and name == printable(name)][:_MOST]
