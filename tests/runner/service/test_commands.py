from pathlib import Path

import pytest

from runner.service.commands import command_prefix


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
