"""What a process of ours gains by settling, and how many threads it takes."""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
import types
from pathlib import Path

import pytest

import runner.process


def run(script: str) -> list[int]:
    """The whole numbers that a script of its own prints."""
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    return [int(word) for word in done.stdout.split()]


def test_full_collections_are_rare_and_leave_out_what_is_loaded() -> None:
    before, usual, after, rarer = run(
        "import gc; from runner.process import settle; print(gc.get_freeze_count(), gc.get_threshold()[2]);"
        "settle(); print(gc.get_freeze_count(), gc.get_threshold()[2])"
    )
    assert before == 0
    assert after > 5_000
    assert rarer > usual


def page_faults(first: str) -> int:
    """Those of a step that takes 240 MB in pieces, once such steps were taken before."""
    (faults,) = run(
        f"""
import resource, torch
{first}
def step():
    held = [torch.ones(10_000_000) for _ in range(6)]
for _ in range(4):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    )
    return faults


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told to keep memory")
def test_freed_memory_is_kept_for_the_next_step() -> None:
    assert page_faults("from runner.process import settle; settle()") < 1_000
    assert page_faults("") > 20_000


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("freeze", "set_threshold"):
        monkeypatch.setattr(runner.process.gc, name, lambda *given: None)
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    runner.process.settle()


@pytest.mark.parametrize(
    ("given", "usable", "expected"),
    [({}, 8, {}), ({}, 3, {"OMP_NUM_THREADS": "3"}), ({"OMP_NUM_THREADS": "5"}, 3, {"OMP_NUM_THREADS": "5"})],
)
def test_threads_are_no_more_than_the_quota_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], usable: int, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(runner.process, "os", types.SimpleNamespace(environ=given))
    monkeypatch.setattr(runner.process, "affinity", lambda: 8)
    monkeypatch.setattr(runner.process, "usable_cores", lambda: usable)
    runner.process.heed_quota()
    assert given == expected


def test_torch_takes_as_many_threads_as_the_quota_of_a_command_allows(tmp_path: Path) -> None:
    """As `supernaut` begins, in a container with one core."""
    (tmp_path / "cpu.max").write_text("100000 100000")
    script = f"""
import sys
from pathlib import Path
from predictors.latency import device
device._QUOTA = Path({str(tmp_path / "cpu.max")!r})
from runner.cli import main
main.app = lambda **_: None
assert "torch" not in sys.modules
try:
    main.main()
except SystemExit:
    import torch
    print(torch.get_num_threads())
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout == "1\n"
