"""docs/extending.md, run as it stands: data, a task and a family of one's own, from their files to a front."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.registered.checksum import CHECKSUM_EVENT
from runner.settings import Home
from runner.store import open_repository
from tests.integration.studies import ROOT, environment

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

    def shell(script: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euc", script],
            cwd=tmp_path,
            env=variables,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    done = shell("\n".join(blocks("sh")))
    assert done.returncode == 0, done.stderr
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
        assert words in done.stdout
    with open_repository(Home(home).database) as repository:
        study = repository.study("wine")
        assert study.state == "complete"
        (event,) = [event for event in repository.events(study.id) if event.kind == CHECKSUM_EVENT]
        assert event.payload["samples"] == {"train": 98, "validation": 44, "test": 36}
        assert event.payload["classes"] == 3
    # Other data under the same name: what was measured can be read, and nothing is added to it.
    rows = (tmp_path / "wine.csv").read_text().splitlines()
    (tmp_path / "wine.csv").write_text("\n".join(rows[:-1]))
    again = "PYTHONPATH=$PWD/examples supernaut"
    refused = shell(f"{again} retrain wine knee")
    assert refused.returncode == 4, refused.stderr
    assert "97 samples to train on, not 98" in refused.stderr
    assert json.loads(shell(f"{again} front wine -o json").stdout)
