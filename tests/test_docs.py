"""README and docs tell the truth: their commands exist, code runs, links lead somewhere; no verb is left out."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from runner.cli.main import app
from runner.study import load_study

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path: path.read_text(encoding="utf-8") for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
VERBS = typer.main.get_command(app).list_commands(None)  # type: ignore[attr-defined,arg-type]


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.S)


def test_every_verb_is_documented_and_every_documented_command_exists() -> None:
    lines = [line for text in PAGES.values() for block in blocks("sh", text) for line in block.splitlines()]
    used = {line.split()[1] for line in lines if line.startswith("supernaut ")}
    assert used == set(VERBS)


def test_every_make_target_in_the_readme_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, flags=re.M))
    assert named <= targets
    assert {"demo", "test", "lint", "types", "serve", "evidence", "clean"} <= targets


@pytest.mark.parametrize("code", [block for block in blocks("python") if "onnxruntime" not in block])
def test_the_readme_s_code_runs(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_exist(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", PAGES[page])
    assert targets
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_example_is_a_valid_study() -> None:
    examples = list((ROOT / "examples").glob("*.yaml"))
    assert examples
    for path in examples:
        load_study(path)


def test_the_lock_pins_every_dependency() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-") for line in (ROOT / "requirements.lock").read_text().splitlines()
    }
    wanted = re.findall(r'^    "([A-Za-z0-9-]+)[>=<]', (ROOT / "pyproject.toml").read_text(), flags=re.M)
    assert wanted
    assert [name for name in wanted if name.lower() not in pinned] == []
