"""Names that an operator registers: kept, refused, forgotten."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner.errors import Conflict, DamagedLedger, NotFound, SpecError
from runner.registered.ledger import (
    add_data,
    add_extension,
    read_registered,
    remove_data,
    remove_extension,
)
from runner.registered.values import AllowedExtension
from runner.settings import Home

MINE = AllowedExtension(name="mine", kind="task", target="my_file:load", about="Mine")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("1,2\n")
    return path


def test_where_nothing_was_registered_there_is_nothing_but_a_cache_folder(home: Home) -> None:
    registered = read_registered(home)
    assert (registered.data, registered.extensions) == ((), ())
    assert registered.cache == str(home.path / "cache" / "tasks")
    assert not home.path.exists()


def test_what_was_registered_is_read_again(home: Home, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(table.parent)
    link = table.with_name("link.csv")
    link.symlink_to("table.csv")
    assert add_data(home, "a", Path("link.csv")).path == str(table)
    add_data(home, "folder.of-b", table.parent)
    add_extension(home, MINE)
    registered = read_registered(home)
    assert registered.path_of("a") == str(table)
    assert registered.path_of("folder.of-b") == str(table.parent)
    assert registered.path_of("c") is None
    assert registered.path_of(["a"]) is None
    assert registered.extension("mine") == MINE
    assert registered.extensions_of("task") == (MINE,)
    assert registered.extensions_of("family") == ()


def test_only_its_owner_reads_the_file_and_its_folder(home: Home, table: Path) -> None:
    add_data(home, "a", table)
    assert home.path.stat().st_mode & 0o777 == 0o700
    assert home.ledger.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in home.path.iterdir()} == {"registered.json", "registered.lock"}


def test_what_is_forgotten_leaves_the_others_and_the_files(home: Home, table: Path) -> None:
    add_data(home, "a", table)
    add_data(home, "b", table)
    add_extension(home, MINE)
    assert remove_data(home, "a").path == str(table)
    assert remove_extension(home, "mine") == MINE
    assert [entry.name for entry in read_registered(home).data] == ["b"]
    assert table.exists()


@pytest.mark.parametrize("name", ["", "../x", "a/b", "a\\b", ".hidden", "-a", "a b", "a" * 65, "a\n"])
def test_names_that_no_study_could_give(home: Home, table: Path, name: str) -> None:
    with pytest.raises(SpecError, match="is no name; use letters"):
        add_data(home, name, table)
    with pytest.raises(SpecError, match="is no name; use letters"):
        add_extension(home, AllowedExtension(name=name, kind="task", target="m:o"))
    assert not home.path.exists()


def test_a_path_that_is_not_there(home: Home, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no file or folder .*absent"):
        add_data(home, "a", tmp_path / "absent")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(NotFound, match="no file or folder"):
        add_data(home, "a", loop)


def test_a_name_is_given_once(home: Home, table: Path) -> None:
    add_data(home, "a", table)
    with pytest.raises(Conflict, match="supernaut data remove a"):
        add_data(home, "a", table)
    add_extension(home, MINE)
    with pytest.raises(Conflict, match="supernaut extension remove mine"):
        add_extension(home, MINE)


def test_a_name_that_was_never_given(home: Home, table: Path) -> None:
    with pytest.raises(NotFound, match="registered: nothing yet"):
        remove_data(home, "b")
    add_data(home, "a", table)
    add_extension(home, MINE)
    with pytest.raises(NotFound, match="registered: a"):
        remove_data(home, "b")
    with pytest.raises(NotFound, match="allowed: mine"):
        remove_extension(home, "b")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        "\xff",
        '{"version": 1, "data": {}}',
        '{"version": 1, "data": [], "extensions": {}}',
        '{"version": 1, "data": {"a": {"path": 3}}, "extensions": {}}',
        '{"version": 1, "data": {"a": {"paht": "/"}}, "extensions": {}}',
        '{"version": 1, "data": {}, "extensions": {"a": {"kind": "server", "target": "m:o", "about": ""}}}',
    ],
)
def test_a_damaged_file_says_so_and_is_not_overwritten(home: Home, table: Path, content: str) -> None:
    home.path.mkdir()
    home.ledger.write_text(content, encoding="latin-1")
    with pytest.raises(DamagedLedger, match=r"registered\.json"):
        read_registered(home)
    with pytest.raises(DamagedLedger):
        add_data(home, "a", table)
    assert home.ledger.read_text(encoding="latin-1") == content


def test_a_file_of_a_newer_version(home: Home) -> None:
    home.path.mkdir()
    home.ledger.write_text(json.dumps({"version": 2}))
    with pytest.raises(DamagedLedger, match="has the format 2"):
        read_registered(home)


def test_a_crash_while_writing_leaves_what_was_there(home: Home, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add_data(home, "a", table)

    def crash(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", crash)
    with pytest.raises(OSError, match="No space"):
        add_data(home, "b", table)
    assert [entry.name for entry in read_registered(home).data] == ["a"]
    assert {path.name for path in home.path.iterdir()} == {"registered.json", "registered.lock"}


def test_processes_that_register_at_once_lose_nothing(home: Home, table: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from runner.settings import Home\n"
        "from runner.registered.ledger import add_data\n"
        "for i in range(10): add_data(Home(Path(sys.argv[1])), f'{sys.argv[2]}{i}', Path(sys.argv[3]))"
    )
    writers = [subprocess.Popen([sys.executable, "-c", code, str(home.path), letter, str(table)]) for letter in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert len(read_registered(home).data) == 30
