"""One small study, run once to its end, that many tests look at; and the command line in this process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.cli.main import main
from tests.integration.studies import TINY, supernaut, write

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Run a verb in this process; its exit code, output and errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setenv("SUPERNAUT_HOME", str(tmp_path / "home"))
        monkeypatch.setattr(sys, "argv", ["supernaut", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return int(ended.value.code or 0), captured.out, captured.err

    return call


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder of a complete `tiny` study; tests read it and do not change it."""
    folder = tmp_path_factory.mktemp("finished")
    home = folder / "home"
    done = supernaut(home, "run", str(write(folder / "tiny.json", TINY)))
    assert done.returncode == 0, done.stderr
    (folder / "output").write_text(done.stdout)
    return home
