"""What a process of ours gains by settling; each in a process of its own, because it cannot be undone."""

from __future__ import annotations

import ctypes
import platform
import subprocess
import sys

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
