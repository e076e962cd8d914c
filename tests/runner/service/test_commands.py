from pathlib import Path

import pytest

from runner.service.commands import command_prefix, commands_for
from runner.store import Repository
from tests.runner.service.studies import create_study


def test_the_state_folder_is_named_unless_every_terminal_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPERNAUT_HOME", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    default = tmp_path / "supernaut" / "supernaut.db"
    assert command_prefix(default) == "supernaut"
    assert command_prefix(tmp_path / "my studies" / "supernaut.db") == f"supernaut --home '{tmp_path}/my studies'"
    monkeypatch.setenv("SUPERNAUT_HOME", str(default.parent))  # other terminals may not have it
    assert command_prefix(default) == f"supernaut --home {default.parent}"


@pytest.mark.parametrize(("state", "resumes"), [("created", True), ("interrupted", True), ("running", True)])
def test_what_is_not_complete_can_go_on(digits: Repository, state: str, resumes: bool) -> None:
    study = create_study(digits, "new")
    if state != "created":
        study = digits.transition_study(study.id, "created", state)  # type: ignore[arg-type]
    lines = [command.line for command in commands_for(study, None, "supernaut")]
    assert ("supernaut resume new" in lines) is resumes
    assert not [line for line in lines if "knee" in line]
