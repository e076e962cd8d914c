"""docs/own_models.md: what it shows is in the files, and its commands lead to verified bundles, in smaller studies."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from runner.study import load_study
from tests.integration.conftest import call  # noqa: F401  (a fixture)
from tests.integration.studies import ROOT, environment, write

if TYPE_CHECKING:
    from tests.integration.conftest import Call

FOLDER = ROOT / "examples" / "own_models"
PAGE = (ROOT / "docs" / "own_models.md").read_text(encoding="utf-8")
SECTIONS = {name: text for text in PAGE.split("\n## ") for name in re.findall(r"supernaut run .*/(\w+)\.yaml", text)}

SMALL: dict[str, Any] = {
    "train": {"steps": 8, "batch": 16, "precision": "fp32"},
    "search": {"evaluations": 8, "measured_latencies": 8, "workers": "serial"},
    "retrain": {"steps": 6, "batch": 16, "trials": 1},
}


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def test_every_study_of_the_examples_has_a_section_and_is_valid() -> None:
    assert SECTIONS.keys() == {path.stem for path in FOLDER.glob("*.yaml")}
    for name in SECTIONS:
        load_study(FOLDER / f"{name}.yaml")


@pytest.mark.parametrize("name", SECTIONS)
def test_what_a_section_shows_is_in_its_file(name: str) -> None:
    (module,) = set(re.findall(r"examples/own_models/(\w+)\.py", SECTIONS[name]))
    text = (FOLDER / f"{module}.py").read_text(encoding="utf-8")
    for block in blocks("python", SECTIONS[name]):
        assert block in text


def test_the_page_puts_the_folder_on_the_path() -> None:
    assert blocks("sh", PAGE)[0] == f"export PYTHONPATH=$PWD/{FOLDER.relative_to(ROOT)}\n"


@pytest.mark.slow
@pytest.mark.parametrize("name", SECTIONS)
def test_the_commands_of_a_section_lead_to_a_verified_bundle(
    name: str,
    tmp_path: Path,
    call: Call,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FOLDER)
    study = tmp_path / "examples" / "own_models" / f"{name}.yaml"
    study.parent.mkdir(parents=True)
    write(study, {**yaml.safe_load((FOLDER / study.name).read_text(encoding="utf-8")), **SMALL})
    for line in run_what_is_not_ours("\n".join(blocks("sh", SECTIONS[name])), tmp_path):
        code, _, errors = call(*shlex.split(line)[1:])
        assert code == 0, f"{line}: {errors}"
    front = json.loads(call("front", f"own-{name}", "--output", "json")[1])
    assert front
    (bundle,) = (tmp_path / "home" / "studies").glob("*/bundles/*")
    assert call("verify", bundle)[0] == 0


def run_what_is_not_ours(script: str, folder: Path) -> list[str]:
    """Run a script without its lines for `supernaut`; those lines, which this process runs."""
    ours = [line for line in script.splitlines() if line.startswith("supernaut ")]
    others = "\n".join(line for line in script.splitlines() if line not in ours)
    python = f'python() {{ {shlex.quote(sys.executable)} "$@"; }}\n'
    bash = shutil.which("bash")
    assert bash is not None
    subprocess.run([bash, "-euc", python + others], cwd=folder, env=environment(folder), check=True, timeout=120)
    return ours
