"""How a person at a terminal, or a log file, follows a study."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

from runner.cli.common import printable

if TYPE_CHECKING:
    from rich.progress import TaskID

    from runner.progress import Reporter


class LineReporter:
    """Plain lines on standard error, for pipes and logs: a line a stage and a line every tenth of its work."""

    def __init__(self) -> None:
        self._tenths = -1

    def stage(self, name: str, position: int, total: int) -> None:
        """A line for the stage."""
        self._tenths = -1
        self._line(f"[{position}/{total}] {name}")

    def progress(self, done: int, total: int, detail: str) -> None:
        """A line where another tenth is done."""
        tenths = 10 * done // max(total, 1)
        if tenths != self._tenths:
            self._tenths = tenths
            self._line(f"      {done}/{total}  {detail}")

    def note(self, message: str) -> None:
        """The message on a line of its own."""
        self._line(f"      {message}")

    @staticmethod
    def _line(text: str) -> None:
        with contextlib.suppress(OSError):  # whoever read it may have left; the study goes on
            print(printable(text), file=sys.stderr, flush=True)


class BarReporter:
    """A progress bar for each stage on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description:<18}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            console=self._console,
        )
        self._current: TaskID | None = None

    def start(self) -> None:
        """Begin to draw."""
        self._bars.start()

    def close(self) -> None:
        """Leave the bars as they are."""
        self._bars.stop()

    def stage(self, name: str, position: int, total: int) -> None:
        """A new bar."""
        self._current = self._bars.add_task(printable(f"[{position}/{total}] {name}"), total=None, detail="")

    def progress(self, done: int, total: int, detail: str) -> None:
        """Move the bar."""
        if self._current is not None:
            self._bars.update(self._current, completed=done, total=total, detail=printable(detail))

    def note(self, message: str) -> None:
        """The message above the bars."""
        self._console.print(printable(message), style="dim", markup=False)


@contextmanager
def following() -> Iterator[Reporter]:
    """The reporter that suits standard error, for as long as a study runs."""
    if not sys.stderr.isatty():
        yield LineReporter()
        return
    bars = BarReporter()
    bars.start()
    try:
        yield bars
    finally:
        bars.close()


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """Ctrl-C or SIGTERM asks the study to stop between two rows; a second one ends it at once."""
    asked = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        del number, frame
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        # Not through sys.stderr: the signal may have come in the middle of a write to it.
        with contextlib.suppress(OSError):
            os.write(2, b"\nstopping at the next safe point; once more to stop at once\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
