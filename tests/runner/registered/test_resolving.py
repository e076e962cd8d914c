"""What a study's names stand for: data and code of the operator's, and no path of the study's."""

from __future__ import annotations

import os
import pickle
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runner.errors import NotFound, SpecError
from runner.registered import resolving
from runner.registered.values import AllowedExtension, ExtensionKind, Registered, RegisteredData
from runner.study import StudySpec, parse_study
from runner.validation import plan, resolve
from supernet.errors import DataError
from tests.runner.registered import own_code

if TYPE_CHECKING:
    from supernet.tasks.task import Task

HERE = "tests.runner.registered.own_code"


def extension(name: str, kind: ExtensionKind, target: str) -> AllowedExtension:
    return AllowedExtension(name=name, kind=kind, target=f"{HERE}:{target}")


@pytest.fixture
def numbers(tmp_path: Path) -> Path:
    path = tmp_path / "numbers.txt"
    path.write_text("1 2 3 4 5 6 7 8")
    return path


@pytest.fixture
def registered(numbers: Path, tmp_path: Path) -> Registered:
    tasks = ("plain", "from_file", "perhaps_from_file", "refusing", "crashing", "unprepared", "no_task")
    return Registered(
        data=(
            RegisteredData(name="numbers", path=str(numbers)),
            RegisteredData(name="gone", path=str(tmp_path / "gone")),
        ),
        extensions=(
            *(extension(name, "task", name) for name in tasks),
            extension("net", "family", "FAMILY"),
            extension("failing", "family", "FAILING"),
            extension("sharing", "family", "SHARING"),
            extension("misspelt", "family", "MISSPELT"),
        ),
        cache=str(tmp_path / "cache"),
    )


def spec(task: dict[str, Any], space: dict[str, Any] | None = None) -> StudySpec:
    return parse_study(
        {"name": "a", "task": task, "space": space or {"name": "net"}, "objectives": {"error": {}}}, "test"
    )


def task_of(registered: Registered, name: str, **options: Any) -> Task:
    return resolve(spec({"name": name, **options}), registered).task


def test_a_study_of_the_operator_s_own_task_and_family(registered: Registered) -> None:
    made = plan(spec({"name": "plain", "samples": 24}, {"name": "net", "choices": {"width": [4, 8, 16]}}), registered)
    assert (made.task.name, len(made.task.train)) == ("plain", 24)
    assert made.family.name == "net"
    assert made.space.choices["width"].values == (4, 8, 16)
    assert made.task.score(made.build(made.space.largest()), made.task.validation)["error"] <= 1
    assert made.registered is registered


def test_data_comes_by_its_name(registered: Registered) -> None:
    assert task_of(registered, "from_file", data="numbers").train.inputs.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]]
    assert task_of(registered, "from_file", data="numbers", factor=2).train.inputs[0].tolist() == [2, 4, 6, 8]


def test_a_task_is_called_what_studies_call_it(registered: Registered) -> None:
    assert task_of(registered, "from_file", data="numbers").name == "from_file"


def test_the_loader_gets_the_folder_for_what_it_prepares(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: dict[str, Path | None] = {}

    def loader(data: Path, cache: Path | None = None) -> Task:
        seen.update(data=data, cache=cache)
        return own_code.plain()

    monkeypatch.setattr(own_code, "from_file", loader)
    resolving._loaded.cache_clear()
    task_of(registered, "from_file", data="numbers")
    assert seen == {"data": Path(str(registered.path_of("numbers"))), "cache": Path(str(registered.cache))}


def test_data_that_is_optional_may_be_left_out(registered: Registered) -> None:
    assert len(task_of(registered, "perhaps_from_file").train) == 12
    assert len(task_of(registered, "perhaps_from_file", data="numbers").train) == 24


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ({"name": "from_file"}, ["task.data", "needs data", "gone, numbers", "supernaut data add NAME PATH"]),
        ({"name": "from_file", "data": "{path}"}, ["a name, never a path", "numbers", "supernaut data add NAME PATH"]),
        ({"name": "from_file", "data": "nubers"}, ["'nubers'", "numbers"]),
        ({"name": "from_file", "data": ["numbers"]}, ["no data is registered as ['numbers']"]),
        ({"name": "from_file", "data": None}, ["no data is registered as None"]),
        ({"name": "from_file", "data": "numbers", "cache": "/tmp/x"}, ["cache", "leave it out"]),
        ({"name": "perhaps_from_file", "data": "/etc/passwd"}, ["a name, never a path"]),
        ({"name": "plain", "data": "numbers"}, ["no option 'data'", "samples"]),
        ({"name": "digits", "data": "numbers"}, ["no option 'data'"]),
        ({"name": "digits", "cache": "/tmp"}, ["cache", "leave it out"]),
        ({"name": "from_file", "data": "numbers", "factr": 1}, ["no option 'factr'", "it has data, factor"]),
        ({"name": "plaim"}, ["no task 'plaim'", "plain", "supernaut extension allow plaim MODULE:OBJECT"]),
        ({"name": "net"}, ["is a family, not a task"]),
        ({"name": "crashing"}, ["'crashing'", "failed while loading: KeyError: 'column'", "own_code.py, line"]),
        ({"name": "unprepared"}, ["'unprepared'", "failed while loading: RuntimeError", "own_code.py, line"]),
        ({"name": "no_task"}, ["returned list"]),
        ({"name": "plain", "samples": date(2026, 1, 2)}, ["not JSON serializable", "quote a date"]),
        ({"name": "plain", "samples": "many"}, ["failed while loading: TypeError"]),
    ],
)
def test_tasks_that_a_study_may_not_have(registered: Registered, task: dict[str, Any], words: list[str]) -> None:
    if task.get("data") == "{path}":
        task = {**task, "data": registered.path_of("numbers")}
    with pytest.raises(SpecError, match=r"^task") as caught:
        resolve(spec(task), registered)
    for word in words:
        assert word in str(caught.value)


def test_families_that_a_study_may_not_have(registered: Registered) -> None:
    for name, words in (
        ("nett", ["no search space 'nett'", "net", "supernaut extension allow nett MODULE:OBJECT"]),
        ("plain", ["is a task, not a family"]),
    ):
        with pytest.raises(SpecError, match=r"^space") as caught:
            resolve(spec({"name": "plain"}, {"name": name}), registered)
        for word in words:
            assert word in str(caught.value)
    with pytest.raises(SpecError, match=r"^space: net: .*'wdth'.*width"):
        resolve(spec({"name": "plain"}, {"name": "net", "choices": {"wdth": 3}}), registered)


def test_without_anything_registered_the_built_in_names_remain() -> None:
    with pytest.raises(SpecError, match="allowed now: none"):
        resolve(spec({"name": "plain"}))
    with pytest.raises(SpecError, match="space: there is no search space 'net'"):
        resolve(spec({"name": "digits"}))


def test_data_that_is_gone_or_refused_by_the_loader(registered: Registered) -> None:
    with pytest.raises(NotFound, match=r"registered as .*gone, where nothing is now"):
        task_of(registered, "from_file", data="gone")
    with pytest.raises(DataError, match="row 7"):
        task_of(registered, "refusing")


def test_mistakes_of_a_builder_name_the_extension(registered: Registered) -> None:
    made = resolve(spec({"name": "plain"}, {"name": "failing"}), registered)
    with pytest.raises(ValueError, match=r"^a width of 4 is too narrow$"):
        made.build(made.space.smallest())
    with pytest.raises(ValueError, match=r"'failing' .*building .*\"width\": ?8.*IndexError: layer 9"):
        made.build(made.space.largest())


def test_a_task_is_loaded_once_until_its_data_changes(registered: Registered, numbers: Path) -> None:
    first = task_of(registered, "from_file", data="numbers")
    assert task_of(registered, "from_file", data="numbers") is first
    assert task_of(registered, "from_file", data="numbers", factor=3) is not first
    numbers.write_text("9 2 3 4 5 6 7 8")
    os.utime(numbers, ns=(1, 1))
    assert task_of(registered, "from_file", data="numbers").train.inputs[0, 0] == 9


def test_a_folder_changes_with_any_file_below_it(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("1")
    (tmp_path / "a" / "nowhere").symlink_to("absent")
    before = resolving._state_of(str(tmp_path))
    assert resolving._state_of(str(tmp_path)) == before
    (tmp_path / "a" / "b" / "c").write_text("12")
    changed = resolving._state_of(str(tmp_path))
    assert changed != before
    (tmp_path / "a" / "d").write_text("")
    assert resolving._state_of(str(tmp_path)) not in (before, changed)


def test_what_is_registered_travels_as_plain_values(registered: Registered) -> None:
    again = pickle.loads(pickle.dumps(registered))
    assert again == registered
    assert hash(again) == hash(registered)
    assert len(pickle.dumps(registered)) < 2000


@pytest.mark.parametrize(
    ("family", "words"),
    [
        ("sharing", "space: the family 'sharing' .*: shared-module: .* supernaut check sharing"),
        ("misspelt", r"space: the family 'misspelt' .*: the layout pattern '3\.weight' matches no parameter"),
    ],
)
def test_a_family_that_would_spoil_training_is_refused(registered: Registered, family: str, words: str) -> None:
    with pytest.raises(SpecError, match=words):
        plan(spec({"name": "plain"}, {"name": family, "choices": {"width": [4, 8]}}), registered)
