"""The deployment files name commands, options, variables and files that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from runner.cli.main import app

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose.yaml"
PAGE = ROOT / "docs" / "deploying.md"


def services() -> dict[str, Any]:
    return dict(yaml.safe_load(COMPOSE.read_text())["services"])


def check_command(words: list[str]) -> None:
    """Every verb and option of a `supernaut` command line is known to the command line."""
    command: Any = typer.main.get_command(app)
    while words and hasattr(command, "commands"):
        assert words[0] in command.commands, f"no verb {words[0]}"
        command, words = command.commands[words[0]], words[1:]
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"no option {word}"


def commands_in(text: str) -> list[list[str]]:
    """The `supernaut` command lines of a shell script."""
    found = re.findall(r"(?:exec |&& |^(?:[A-Z_]+=\S+ )*)supernaut ([a-z][^\n#;&|]*)", text, re.MULTILINE)
    return [shlex.split(line) for line in found]


def test_the_image_and_its_services_start_what_there_is() -> None:
    containerfile = (DEPLOY / "Containerfile").read_text()
    assert 'ENTRYPOINT ["supernaut"]' in containerfile
    (usual,) = re.findall(r"^CMD (\[.*\])$", containerfile, re.MULTILINE)
    check_command(yaml.safe_load(usual))
    check_command(services()["server"]["command"])
    (worker,) = services()["worker"]["command"]
    assert commands_in(worker) == [["worker"]]
    check_command(["worker"])


def test_the_image_copies_what_there_is_and_the_context_leaves_it_in() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (DEPLOY / "Containerfile").read_text(), re.MULTILINE)
    ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
    for name in " ".join(copied).split():
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name


def test_services_use_volumes_secrets_and_services_that_are_declared() -> None:
    compose = yaml.safe_load(COMPOSE.read_text())
    for name, service in compose["services"].items():
        for volume in service.get("volumes", ()):
            assert volume.partition(":")[0] in compose["volumes"], name
        assert set(service.get("secrets", ())) <= set(compose["secrets"]), name
        assert set(service.get("depends_on", ())) <= set(compose["services"]), name


@pytest.mark.parametrize("variable", ["SUPERNAUT_DATABASE_URL", "SUPERNAUT_ARTIFACTS_URL", "SUPERNAUT_RAY_ADDRESS"])
def test_the_variables_are_read(variable: str) -> None:
    assert variable in PAGE.read_text()
    assert any(variable in path.read_text() for path in (ROOT / "runner").rglob("*.py"))


def test_the_page_names_commands_that_exist() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    found = [command for block in blocks for command in commands_in(block)]
    found += [shlex.split(line) for block in blocks for line in re.findall(r"run --rm server ([^\n#]*)", block)]
    assert len(found) == 3, found
    for command in found:
        check_command(command)


def test_the_manifest_is_one() -> None:
    (manifest,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    deployment = yaml.safe_load(manifest)
    spec = deployment["spec"]["template"]["spec"]
    volumes = {volume["name"] for volume in spec["volumes"]}
    (container,) = spec["containers"]
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes
    assert commands_in(container["args"][0]) == [["worker"]]
