"""Code of the operator's own: what may be allowed, and what is said of what cannot be loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.errors import Conflict, ExtensionError, NotFound
from runner.registered.extensions import (
    examine,
    find_extension,
    load_family_extension,
    load_loader,
    offered,
)
from runner.registered.values import AllowedExtension, Registered
from tests.runner.registered import own_code

HERE = "tests.runner.registered.own_code"


def entry(name: str, kind: str, target: str) -> AllowedExtension:
    return AllowedExtension(name=name, kind=kind, target=target)  # type: ignore[arg-type]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where Python finds modules, with an installed package that offers entry points."""
    info = tmp_path / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[supernaut.tasks]\nblobs = theirs_module:load\nboth = theirs_module:load\n"
        "[supernaut.families]\nboth = theirs_module:FAMILY [extra]\n"
    )
    (tmp_path / "theirs_module.py").write_text(
        f"from {HERE} import FAMILY\nfrom {HERE} import plain as load\nLOADED = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs_module", raising=False)
    return tmp_path


def test_a_function_is_a_task_and_tells_its_first_paragraph() -> None:
    assert examine("a", f"{HERE}:plain") == AllowedExtension(
        name="a", kind="task", target=f"{HERE}:plain", about="Vectors of noise, in three classes."
    )
    assert load_loader(entry("a", "task", f"{HERE}:plain")) is own_code.plain


def test_an_extension_of_families_tells_its_summary() -> None:
    assert examine("a", f"{HERE}:FAMILY") == AllowedExtension(
        name="a", kind="family", target=f"{HERE}:FAMILY", about="One hidden layer"
    )
    assert load_family_extension(entry("a", "family", f"{HERE}:FAMILY")) is own_code.FAMILY


@pytest.mark.parametrize("name", ["digits", "vision_transformer"])
def test_the_names_of_what_is_built_in_are_taken(name: str) -> None:
    with pytest.raises(Conflict, match=f"brings a task or family named '{name}'"):
        examine(name, f"{HERE}:plain")


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("my_file", ["form MODULE:OBJECT"]),
        ("my_file:", ["form MODULE:OBJECT"]),
        ("../my_file:load", ["form MODULE:OBJECT"]),
        ("my_file.py:load()", ["form MODULE:OBJECT"]),
        ("no_such_module:load", ["no module 'no_such_module'", "PYTHONPATH", "Install"]),
        (f"{HERE}.deeper:load", ["no module", "deeper", "PYTHONPATH"]),
        (f"{HERE}:lod", ["no 'lod'", "plain"]),
        (f"{HERE}:FAMILY.nothing", ["no 'nothing'", "space"]),
        (f"{HERE}:NOT_CALLABLE", ["of the type int", "FamilyExtension"]),
        (f"{HERE}:Path", ["the class Path", "FamilyExtension"]),
    ],
)
def test_what_cannot_be_allowed(target: str, words: list[str]) -> None:
    with pytest.raises(ExtensionError) as caught:
        examine("mine", target)
    for word in ("'mine'", *words):
        assert word in str(caught.value)


def test_a_module_that_fails_while_it_is_imported(package: Path) -> None:
    (package / "broken_one.py").write_text("import json\nraise RuntimeError('no licence')\n")
    with pytest.raises(ExtensionError, match=r"RuntimeError: no licence \(.*broken_one\.py, line 2\)"):
        examine("mine", "broken_one:load")
    (package / "broken_two.py").write_text("import absent_dependency\n")
    with pytest.raises(ExtensionError, match=r"No module named 'absent_dependency'.*broken_two\.py, line 1"):
        examine("mine", "broken_two:load")
    (package / "broken_three.py").write_text("def load(:\n")
    with pytest.raises(ExtensionError, match="SyntaxError"):
        examine("mine", "broken_three:load")


def test_entry_points_are_listed_and_not_imported(package: Path) -> None:
    found = [(point.name, point.kind, point.target) for point in offered()]
    assert ("blobs", "task", "theirs_module:load") in found
    assert ("both", "family", "theirs_module:FAMILY") in found
    assert "theirs_module" not in sys.modules


def test_an_entry_point_is_allowed_by_its_name(package: Path) -> None:
    assert examine("blobs", None).target == "theirs_module:load"
    with pytest.raises(NotFound, match=r"offered: .*blobs.*MODULE:OBJECT"):
        examine("bolbs", None)
    with pytest.raises(Conflict, match=r"several entry points.*theirs_module:FAMILY, theirs_module:load"):
        examine("both", None)


def test_which_extension_a_study_means() -> None:
    task, family = entry("a", "task", "m:a"), entry("b", "family", "m:b")
    registered = Registered(extensions=(task, family))
    assert find_extension("a", "task", ("digits",), registered) is task
    assert find_extension("digits", "task", ("digits",), registered) is None
    assert find_extension("c", "task", ("digits",), registered) is None
    with pytest.raises(ExtensionError, match="is a family, not a task"):
        find_extension("b", "task", ("digits",), registered)


def test_a_newer_version_that_brings_the_name_itself() -> None:
    registered = Registered(extensions=(entry("a", "task", "m:a"),))
    with pytest.raises(ExtensionError, match="supernaut extension allow OTHER m:a"):
        find_extension("a", "task", ("a",), registered)
    assert find_extension("a", "family", ("a",), registered) is None


def test_an_object_that_is_not_what_it_was() -> None:
    with pytest.raises(ExtensionError, match="was a task when it was allowed and is of the type FamilyExtension now"):
        load_loader(entry("a", "task", f"{HERE}:FAMILY"))
    with pytest.raises(ExtensionError, match="was a family when it was allowed and is of the type function now"):
        load_family_extension(entry("a", "family", f"{HERE}:plain"))
