"""One small study, run once to its end, that many tests look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.studies import TINY, supernaut, write


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a complete `tiny` study; tests read it and do not change it."""
    folder = tmp_path_factory.mktemp("finished")
    home = folder / "home"
    done = supernaut(home, "run", str(write(folder / "tiny.json", TINY)))
    assert done.returncode == 0, done.stderr
    (folder / "output").write_text(done.stdout)
    return home
