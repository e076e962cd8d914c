"""docs/extending.md, run as it stands: data, a task and a family of one's own, from their files to a front."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.registered.checksum import CHECKSUM_EVENT
from runner.settings import Home
from runner.store import open_repository
from tests.integration.studies import ROOT, environment
from tests.integration.warm import warm_run

PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.S)


@pytest.mark.parametrize("language", ["python", "yaml"])
def test_what_the_page_shows_is_in_the_examples(language: str) -> None:
    name = {"python": "my_family.py", "yaml": "my_family.yaml"}[language]
    text = (ROOT / "examples" / name).read_text(encoding="utf-8")
    assert blocks(language)
    for block in blocks(language):
        assert block in text


@pytest.mark.slow
def test_the_page_s_commands_lead_to_a_front(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    variables = environment(home)
    variables["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{variables['PATH']}"
    first, *others = blocks("sh")
    assert others[0].startswith("export PYTHONPATH=$PWD/examples\n")

    def ours(line: str) -> subprocess.CompletedProcess[str]:
        """A line for `supernaut`, after that `export`."""
        known = {**variables, "PYTHONPATH": str(tmp_path / "examples")}
        name, *arguments = shlex.split(line, comments=True)
        assert name == "supernaut"
        return warm_run("runner.cli.main", tuple(arguments), known, cwd=tmp_path)

    # As it stands in the page, in a shell and without that `export`; then line by line.
    began = subprocess.run(
        ["bash", "-euc", first], cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=100, check=False
    )
    assert began.returncode == 0, began.stderr
    said = began.stdout
    for line in "\n".join(others).splitlines():
        if line.startswith("supernaut "):
            done = ours(line)
            assert done.returncode == 0, f"{line}: {done.stderr}"
            said += done.stdout
        else:
            assert line.startswith(("export PYTHONPATH=", "#")) or not line, f"not run by this test: {line}"
    for words in (
        "registered wine",
        "allowed the task vectors",
        "allowed the family mlp",
        "mlp on example: 3,768 architectures in the space",
        "mlp on vectors: 288 architectures in the space",
        "0 problems, 0 warnings",
        "knee",
        "points on the front",
    ):
        assert words in said
    with open_repository(Home(home).database) as repository:
        study = repository.study("wine")
        assert study.state == "complete"
        (event,) = [event for event in repository.events(study.id) if event.kind == CHECKSUM_EVENT]
        assert event.payload["samples"] == {"train": 98, "validation": 44, "test": 36}
        assert event.payload["classes"] == 3
    # Other data under the same name: what was measured can be read, and nothing is added to it.
    rows = (tmp_path / "wine.csv").read_text().splitlines()
    (tmp_path / "wine.csv").write_text("\n".join(rows[:-1]))
    refused = ours("supernaut retrain wine knee")
    assert refused.returncode == 4, refused.stderr
    assert "97 samples to train on, not 98" in refused.stderr
    assert json.loads(ours("supernaut front wine -o json").stdout)
