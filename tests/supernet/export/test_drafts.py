"""A folder appears whole or not at all, whatever becomes of the process that writes it."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from supernet.errors import BundleError, ExportError
from supernet.export.drafts import drafting
from supernet.export.manifest import write_manifest
from tests.supernet.export.conftest import write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from supernet.tasks.task import Task
    from tests.supernet.export.conftest import Exported

KILLED = """
import os, sys
from pathlib import Path
from supernet.export import drafts
if sys.argv[2] == "between the renames":
    rename = Path.rename
    Path.rename = lambda self, to: os.kill(os.getpid(), 9) if self.name == "new" else rename(self, to)
with drafts.drafting(Path(sys.argv[1])) as draft:
    (draft / "model.onnx").write_bytes(b"half a model")
    if sys.argv[2] == "while writing":
        os.kill(os.getpid(), 9)
"""


def kill(folder: Path, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), when], check=False)
    assert done.returncode == -signal.SIGKILL


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    kill(tmp_path / "model", "while writing")
    (left,) = names(tmp_path)
    assert left.startswith(".model.supernaut-")
    (tmp_path / ".models").mkdir()  # somebody else's
    with drafting(tmp_path / "model") as draft:
        (draft / "file").write_text("whole")
    assert names(tmp_path) == [".models", "model"]
    assert names(tmp_path / "model") == ["file"]


def older(folder: Path) -> Path:
    """What is taken for a readable bundle."""
    folder.mkdir()
    for name in ("model.onnx", "model.safetensors", "config.json", "README.md", "predict.py"):
        (folder / name).write_text("old")
    for name in ("sample_inputs.npy", "sample_outputs.npy"):
        (folder / name).write_text("old")
    write_manifest(folder, {})
    return folder


def test_an_older_bundle_that_was_on_its_way_out_is_put_back(tmp_path: Path) -> None:
    folder = older(tmp_path / "model")
    before = names(folder)
    kill(folder, "between the renames")
    assert not folder.exists()
    with pytest.raises(RuntimeError, match="something else"), drafting(folder):
        raise RuntimeError("something else")
    assert names(folder) == before
    assert names(tmp_path) == ["model"]


def test_two_that_write_the_same_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with drafting(folder) as first:
        (first / "model.onnx").write_text("first")
        with suppress(RuntimeError), drafting(folder) as second:
            assert first != second
            raise RuntimeError
        assert names(first) == ["model.onnx"]
    assert names(tmp_path) == ["model"]


@contextmanager
def longest_file(size: int) -> Iterator[None]:
    """No file of this process may become longer, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("replaces", [False, True])
def test_a_disk_that_is_full_at_any_file_leaves_what_was_there(
    tmp_path: Path, whole_bundle: Path, exported: list[Exported], task: Task, replaces: bool
) -> None:
    folder = older(tmp_path / "model") if replaces else tmp_path / "model"
    before = names(tmp_path)
    sizes = sorted({path.stat().st_size for path in whole_bundle.iterdir()})
    assert len(sizes) > 6
    for size in sizes:
        with longest_file(size - 1), pytest.raises(ExportError, match="cannot write"):
            write(folder, exported[0], task)
        assert names(tmp_path) == before
    assert write(folder, exported[0], task) == folder


def test_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(BundleError, match=r"cannot write .*(Not a directory|File exists)"),
        drafting(tmp_path / "file" / "model"),
    ):
        raise AssertionError
