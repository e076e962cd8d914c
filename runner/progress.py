"""How long work is followed and stopped: what a pipeline tells, and whom it asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Reporter(Protocol):
    """Hears of a study as it runs; what it does with that must not raise."""

    def stage(self, name: str, position: int, total: int) -> None:
        """A stage begins, or is found complete."""
        ...

    def progress(self, done: int, total: int, detail: str) -> None:
        """The stage at work has done so much; `detail` is a few words about now."""
        ...

    def note(self, message: str) -> None:
        """Something that a person should know."""
        ...


Stop = Callable[[], bool]


def never() -> bool:
    """Nobody asks to stop."""
    return False
