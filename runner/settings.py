"""Where Supernaut keeps its state: one folder, named by an option, the environment or a default."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Home:
    """The state folder: the record of all studies, and a folder for each study and device."""

    path: Path

    @classmethod
    def find(cls, given: Path | None = None) -> Home:
        """`given`, else $SUPERNAUT_HOME, else $XDG_STATE_HOME/supernaut, else ~/.local/state/supernaut."""
        if given is None:
            named = os.environ.get("SUPERNAUT_HOME")
            state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
            given = Path(named) if named else Path(state) / "supernaut"
        return cls(given.expanduser().absolute())

    def make(self) -> None:
        """Make the folder where it is missing, for this user alone."""
        for missing in reversed([each for each in (self.path, *self.path.parents) if not each.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.path / "supernaut.db"

    @property
    def database_url(self) -> str:
        """Where the record is: $SUPERNAUT_DATABASE_URL, else the SQLite file of this folder."""
        return os.environ.get("SUPERNAUT_DATABASE_URL") or str(self.database)

    @property
    def artifacts_url(self) -> str:
        """Where files are kept by their content: $SUPERNAUT_ARTIFACTS_URL, else a folder in this one."""
        return os.environ.get("SUPERNAUT_ARTIFACTS_URL") or str(self.path / "artifacts")

    @property
    def ledger(self) -> Path:
        """The file that says which data and extensions are registered."""
        return self.path / "registered.json"

    @property
    def task_cache(self) -> Path:
        """Where tasks keep what they prepared from data; may be deleted at any time that no study runs."""
        return self.path / "cache" / "tasks"

    def study(self, study_id: str) -> Path:
        """Checkpoints, measured files and bundles of one study."""
        return self.path / "studies" / study_id

    def device(self, fingerprint: str) -> Path:
        """The reference model of one device."""
        return self.path / "devices" / fingerprint
