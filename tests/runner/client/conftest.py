"""A state folder with a finished study, the service over it, and the command line in this process."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from runner.cli.main import main
from runner.settings import Home
from runner.store import open_repository
from tests.runner.client.live import serving
from tests.runner.service.studies import create_study, finish_study


@dataclass(frozen=True)
class Answer:
    """What a verb printed, and how it ended."""

    code: int
    out: str
    err: str


Call = Callable[..., Answer]


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with one complete study, `digits`, and one that was interrupted, `later`."""
    home = Home(tmp_path_factory.mktemp("finished") / "home")
    with open_repository(home.database) as repository:
        finish_study(repository, create_study(repository), evaluations=40)
        create_study(repository, "later")
    return home.path


@pytest.fixture(scope="session")
def shared_url(finished: Path) -> Iterator[str]:
    """The address of a server on it, for tests that only read."""
    with serving(Home(finished)) as url:
        yield url


@pytest.fixture
def home(finished: Path, tmp_path: Path) -> Home:
    """A copy of it, to be changed."""
    left_out = shutil.ignore_patterns("server.json")
    return Home(Path(shutil.copytree(finished, tmp_path / "home", ignore=left_out)))


@pytest.fixture
def url(home: Home) -> Iterator[str]:
    """The address of a server on the copy."""
    with serving(home) as url:
        yield url


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, finished: Path) -> Call:
    """Run a verb with the state folder that is only read."""
    return _caller(capsys, monkeypatch, finished)


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, home: Home) -> Call:
    """Run a verb with the copy."""
    return _caller(capsys, monkeypatch, home.path)


def _caller(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path) -> Call:
    for name in ("SUPERNAUT_SERVER", "SUPERNAUT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUPERNAUT_HOME", str(folder))

    def call(*arguments: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["supernaut", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return Answer(int(ended.value.code or 0), captured.out, captured.err)

    return call
