"""Owns the end of a local Ray: no process and no file of it outlives the process that started it.

Run as a script by `local_cluster`, with the folder of the cluster and the command that starts Ray and blocks.
It leads a session of its own, so that signals sent to the driver's process group (Ctrl-C, a service manager's
stop) reach no process of Ray. Standard input is a pipe that only the driver holds open: its end, however it
comes about, ends Ray. Standard library only, because it lives as long as the cluster does.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_POLL_SECONDS = 0.2


def main(folder: Path, command: list[str]) -> int:
    """Run the command until it ends or the driver does; 0 if the driver ended it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # says to `local_cluster` that this folder is in use
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)  # orphans of Ray become children of this process
        head = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            # Ray's own processes die with the command; the command dies with this process.
            preexec_fn=lambda: _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL),
        )
        driver_ended = False
        while not driver_ended and head.pid not in _ended_children():
            driver_ended = bool(select.select([sys.stdin], [], [], _POLL_SECONDS)[0])
        _kill_descendants()
        if driver_ended:
            shutil.rmtree(folder, ignore_errors=True)
        return 0 if driver_ended else 1


def _ended_children() -> set[int]:
    """The children that ended since the last call; orphans that came to us count."""
    ended: set[int] = set()
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.add(pid)


def _kill_descendants() -> None:
    """Kill all of them, and what they leave to us, until none is left."""
    while descendants := _descendants():
        for pid in descendants:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        _ended_children()
        time.sleep(0.01)


def _descendants() -> set[int]:
    parents = _parents()
    found = {os.getpid()}
    while grown := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= grown
    return found - {os.getpid()}


def _parents() -> dict[int, int]:
    """The parent of each process of this machine."""
    if sys.platform != "linux":
        command = ["ps", "-axo", "pid=,ppid="]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as listing:
            pairs = [line.split() for line in listing.communicate()[0].splitlines()]
        return {int(pid): int(parent) for pid, parent in pairs if int(pid) != listing.pid}
    parents: dict[int, int] = {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            # pid (name) state parent ...; the name may hold spaces and brackets
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
    return parents


def _prctl(option: int, value: int) -> None:
    """Linux only; elsewhere orphans end by Ray's own means, some seconds later."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
