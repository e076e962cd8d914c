"""The folder of a study on this machine, removed with the study."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runner.errors import Conflict
from runner.locking import exclusively
from runner.service.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.settings import Home


@contextmanager
def removed_study_files(home: Home, study_id: str) -> Iterator[None]:
    """Around the deletion of a study's rows: its folder goes when they are gone.

    Raises `Problem` where a process on this machine holds the folder, as `supernaut run` does.
    """
    folder = home.study(study_id)
    if not folder.is_dir():
        yield
        return
    try:
        with exclusively(folder, study_id):
            yield
            shutil.rmtree(folder, ignore_errors=True)
    except Conflict:
        raise Problem("study_is_running", "A process on the server's machine runs it; stop it first.") from None
