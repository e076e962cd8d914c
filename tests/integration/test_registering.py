"""The verbs about data and extensions, as their users meet them."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.studies import TINY, write

if TYPE_CHECKING:
    from tests.integration.conftest import Call

HERE = "tests.runner.registered.own_code"


def test_data_is_added_listed_and_removed(call: Call, tmp_path: Path) -> None:
    assert "supernaut data add NAME PATH" in call("data", "list")[1]
    (tmp_path / "table.csv").write_text("1,2\n")
    code, out, _ = call("data", "add", "table", tmp_path / "table.csv")
    assert (code, "data: table" in out) == (0, True)
    assert call("data", "add", "folder", tmp_path)[0] == 0
    expected = [("folder", str(tmp_path), "folder"), ("table", str(tmp_path / "table.csv"), "file")]
    rows = json.loads(call("data", "list", "--output", "json")[1])
    assert [(row["name"], row["path"], row["found"]) for row in rows] == expected
    assert [
        tuple(row.values()) for row in csv.DictReader(io.StringIO(call("data", "list", "-o", "csv")[1]))
    ] == expected
    (tmp_path / "table.csv").unlink()
    assert "MISSING" in call("data", "list")[1]
    assert call("data", "remove", "table")[0] == 0
    assert "table.csv" not in call("data", "list")[1]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["data", "add", "a/b", "."], 2, "is no name"),
        (["data", "add", "a", "absent"], 3, "no file or folder absent"),
        (["data", "add", "taken", "."], 4, "supernaut data remove taken"),
        (["data", "remove", "b"], 3, "registered: taken"),
        (["data", "add", "a"], 2, "--help"),
        (["extension", "allow", "a/b", f"{HERE}:plain"], 2, "is no name"),
        (["extension", "allow", "a", "no_such_module:load"], 2, "PYTHONPATH"),
        (["extension", "allow", "a", f"{HERE}:NOT_CALLABLE"], 2, "FamilyExtension"),
        (["extension", "allow", "no-entry-point"], 3, "MODULE:OBJECT"),
        (["extension", "allow", "digits", f"{HERE}:plain"], 4, "choose another name"),
        (["extension", "allow", "mine", f"{HERE}:plain"], 4, "supernaut extension remove mine"),
        (["extension", "remove", "b"], 3, "allowed: mine"),
    ],
)
def test_what_is_refused(call: Call, tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    call("data", "add", "taken", tmp_path)
    call("extension", "allow", "mine", f"{HERE}:plain")
    answer = call(*arguments)
    assert answer[0] == code
    assert words in answer[2]


def test_extensions_are_allowed_listed_and_removed(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("extension", "allow", "mine", f"{HERE}:plain")
    assert (code, "task: {name: mine}" in out) == (0, True)
    code, out, _ = call("extension", "allow", "net", f"{HERE}:FAMILY")
    assert (code, "space: {name: net}" in out) == (0, True)
    rows = {row["name"]: row for row in json.loads(call("extension", "list", "-o", "json")[1])}
    assert (rows["mine"]["kind"], rows["mine"]["state"]) == ("task", "allowed")
    assert (rows["net"]["kind"], rows["net"]["object"]) == ("family", f"{HERE}:FAMILY")
    tasks = {row["task"]: row for row in json.loads(call("tasks", "-o", "json")[1])}
    assert tasks["mine"]["extension"] == f"{HERE}:plain"
    assert tasks["digits"]["extension"] == ""
    spaces = {row["space"]: row for row in json.loads(call("spaces", "-o", "json")[1])}
    assert (spaces["net"]["extension"], spaces["net"]["architectures"]) == (f"{HERE}:FAMILY", 2)
    assert spaces["vision_transformer"]["extension"] == ""
    assert "hidden features" in call("spaces", "net")[1]
    assert call("extension", "remove", "net")[0] == 0
    assert call("spaces", "net")[0] == 2


def test_an_entry_point_is_available_until_it_is_allowed(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[supernaut.tasks]\nnoise = {HERE}:plain\n")
    monkeypatch.syspath_prepend(tmp_path)
    study = write(tmp_path / "study.json", {**TINY, "task": {"name": "noise"}})
    code, _, err = call("run", study)
    assert (code, "supernaut extension allow noise" in err) == (2, True)

    def state() -> str:
        return str(
            next(row for row in json.loads(call("extension", "list", "-o", "json")[1]) if row["name"] == "noise")[
                "state"
            ]
        )

    assert state() == "available"
    assert call("extension", "allow", "noise")[0] == 0
    assert state() == "allowed"


def test_an_extension_that_is_gone_keeps_nothing_else_from_being_listed(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gone_tomorrow.py"
    file.write_text(f"from {HERE} import FAMILY\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert call("extension", "allow", "net", "gone_tomorrow:FAMILY")[0] == 0
    file.unlink()
    monkeypatch.delitem(sys.modules, "gone_tomorrow")
    spaces = {row["space"]: row for row in json.loads(call("spaces", "-o", "json")[1])}
    assert "NOT OK" in spaces["net"]["about"]
    assert "PYTHONPATH" in spaces["net"]["about"]
    assert spaces["vision_transformer"]["architectures"] > 0


def test_a_study_that_gives_a_path_is_told_how_to_name_it(call: Call, tmp_path: Path) -> None:
    call("extension", "allow", "mine", f"{HERE}:from_file")
    call("data", "add", "numbers", tmp_path)
    study = write(tmp_path / "study.json", {**TINY, "task": {"name": "mine", "data": str(tmp_path)}})
    code, _, err = call("run", study)
    assert code == 2
    for words in ("task.data", "never a path", "Registered: numbers", "supernaut data add NAME PATH"):
        assert words in err
