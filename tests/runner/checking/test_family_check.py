"""A family is looked at before any study: on its own example or a task, with costs and exports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from torch import Tensor, nn

from runner.checking.family_check import check_family
from runner.cli.main import app
from runner.errors import FAILED, CheckFailed, SpecError, exit_code
from runner.registered.values import AllowedExtension, Registered
from runner.study import SpaceSpec, TaskSpec
from search_spaces import Architecture, Categorical, Ordinal, SearchSpace
from supernet.models.extension import own_model
from supernet.models.registry import family_names
from supernet.tasks.example import Example

if TYPE_CHECKING:
    from pathlib import Path

    from supernet.tasks.task import Task

HERE = "tests.runner.checking.test_family_check"
SPACE = SearchSpace({"width": Ordinal(4, 8), "bias": Categorical(False, True)})
VECTORS = Example(kind="features", shape=(4,), classes=3)


def build(architecture: Architecture, task: Task) -> nn.Module:
    width = int(architecture["width"])
    into = nn.Linear(task.input_shape[0], width, bias=bool(architecture["bias"]))
    return nn.Sequential(into, nn.ReLU(), nn.Linear(width, task.classes))


class Deciding(nn.Module):
    """Runs in torch, and has no ONNX form: what it does depends on the values."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 2 if bool(x.sum() > 0) else x


def build_unexportable(architecture: Architecture) -> nn.Module:
    width, bias = int(architecture["width"]), bool(architecture["bias"])
    return nn.Sequential(nn.Linear(4, width, bias=bias), nn.ReLU(), nn.Linear(width, 3), Deciding())


NET = own_model(space=SPACE, build=build, example=VECTORS)
UNEXPORTABLE = own_model(space=SPACE, build=build_unexportable, example=VECTORS)
IGNORING = own_model(space=SPACE, build=lambda a: nn.Linear(4, 3), example=VECTORS)
REGISTERED = Registered(
    extensions=(
        *(
            AllowedExtension(name=name, kind="family", target=f"{HERE}:{target}")
            for name, target in (("net", "NET"), ("unexportable", "UNEXPORTABLE"), ("ignoring", "IGNORING"))
        ),
        AllowedExtension(name="bare", kind="family", target="tests.runner.registered.own_code:FAMILY"),
        AllowedExtension(name="plain", kind="task", target="tests.runner.registered.own_code:plain"),
    )
)


def checked(name: str, task: TaskSpec | None = None, choices: dict[str, Any] | None = None, **options: Any) -> Any:
    return check_family(SpaceSpec(name=name, choices=choices or {}), task, REGISTERED, **{"exports": 0, **options})


@pytest.mark.slow
def test_costs_of_all_and_exports_of_some() -> None:
    found = checked("net", exports=1)
    assert found.findings == ()
    assert (found.family, found.task, found.architectures, len(found.rows)) == ("net", "example", 4, 4)
    by_answers = {json.dumps(row["answers"]): row for row in found.rows}
    largest = by_answers['{"bias": true, "width": 8}']
    assert largest["parameters"] == 4 * 8 + 8 + 8 * 3 + 3
    assert largest["macs"] == 4 * 8 + 8 * 3
    assert [row["exported"] is None for row in found.rows] == [False, True, True, True]
    assert found.rows[0]["exported"] < 1e-5


def test_choices_narrow_the_space() -> None:
    found = checked("net", choices={"width": 4})
    assert {row["answers"]["width"] for row in found.rows} == {4}
    with pytest.raises(SpecError, match="net: 'width' cannot be narrowed to 5"):
        checked("net", choices={"width": 5})


def test_a_task_takes_the_place_of_the_example() -> None:
    assert checked("bare", TaskSpec.model_validate({"name": "plain", "samples": 6})).task == "plain"
    with pytest.raises(SpecError, match="'bare' brings no example of its inputs; name a task"):
        checked("bare")
    with pytest.raises(SpecError, match="another kind of input"):
        checked("net", TaskSpec(name="digits"))


@pytest.mark.slow
def test_problems_are_findings() -> None:
    assert {finding.name for finding in checked("ignoring").problems} == {"ignored-choice"}
    (problem,) = checked("unexportable", exports=1, architectures=2).problems
    assert problem.name == "export-failed"


@pytest.mark.slow
@pytest.mark.parametrize("family", family_names())
def test_every_family_that_supernaut_brings_passes(family: str) -> None:
    found = check_family(SpaceSpec(name=family, choices={"depth": [1, 2]}), architectures=3, exports=1)
    assert found.problems == ()
    assert found.inspection.axes


def run(home: Path, *arguments: str) -> None:
    app(["--home", str(home), *arguments], standalone_mode=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, target in (("net", "NET"), ("ignoring", "IGNORING")):
        run(tmp_path, "extension", "allow", name, f"{HERE}:{target}")
    return tmp_path


def test_the_command_line_reports(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    run(home, "check", "net", "--exports", "0", "--choices", "{width: 8}", "--output", "json")
    report = json.loads(capsys.readouterr().out)
    assert report["passed"]
    assert report["architectures_in_space"] == 2
    assert {row["name"]: row["shape"] for row in report["parameters"]}["0.weight"] == [8, 4]
    run(home, "check", "net", "--exports", "0")
    assert "0 problems, 0 warnings; 3 elastic axes followed, 0 of them undecided" in capsys.readouterr().out


def test_the_command_line_fails_where_there_are_problems(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(CheckFailed, match=r"'ignoring' has 2 problems: ignored-choice\.") as raised:
        run(home, "check", "ignoring", "--exports", "0")
    assert exit_code(raised.value) == FAILED
    assert "PROBLEM  ignored-choice: the choice width changes nothing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nett"], "nett"),
        (["net", "--set", "a=1"], "name one with --task"),
        (["net", "--choices", "[1"], "--choices is not valid YAML"),
        (["net", "--choices", "3"], "--choices maps choices to values"),
        (["net", "--choices", "{width: {a: 1}}"], "--choices gives each choice a value"),
        (["net", "--task", "digits", "--set", "a"], "write KEY=VALUE"),
    ],
)
def test_the_command_line_refuses(home: Path, arguments: list[str], words: str) -> None:
    with pytest.raises(SpecError, match=words):
        run(home, "check", *arguments)
