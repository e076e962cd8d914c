"""What an export format is, and what formats have in common: writing all of their files or none.

Owns the protocol; which formats exist is `registry`'s.
"""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from supernet.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import nn

    from supernet.tasks.task import Task

    Runner = Callable[[NDArray[Any]], NDArray[Any]]
    """One batch of prepared inputs to its logits."""

Axes = tuple["int | str", ...]
"""The shape of a file's inputs: sizes, and names for axes whose size is free."""


class Format(Protocol):
    """One way to write a module to files that run without Supernaut."""

    @property
    def name(self) -> str:
        """What a person calls it by."""
        ...

    @property
    def about(self) -> str:
        """One line for the model card."""
        ...

    @property
    def exact(self) -> bool:
        """Whether each sample's logits are those of PyTorch within the tolerance of `parity`; else only the quality
        can be compared."""
        ...

    @property
    def runs_code(self) -> bool:
        """Whether `open` runs code that came with the files: nothing to do to files of unknown origin."""
        ...

    def refusal(self, module: nn.Module, task: Task) -> str | None:
        """Why the format does not apply, in words; None where nothing speaks against it."""
        ...

    def write(self, module: nn.Module, task: Task, folder: Path) -> tuple[str, ...]:
        """Write the files into `folder`, which exists, and return their names, the main one first.

        `module` is not changed.  Raises `ExportError`, and then leaves none of the files.
        """
        ...

    def open(self, folder: Path) -> Runner:
        """What runs the files of this format in `folder`.  Raises `ExportError` where they cannot be opened."""
        ...

    def axes(self, folder: Path) -> Axes:
        """The shape of the inputs that the files in `folder` read."""
        ...


@contextmanager
def all_or_none(folder: Path, names: Sequence[str]) -> Iterator[None]:
    """Within, the files of a format are written; if that fails none of them stays.

    Raises `ExportError` in place of an `OSError`.
    """
    try:
        yield
    except BaseException as error:
        for name in names:
            (folder / name).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ExportError(
                f"cannot write into {folder}: {error.strerror or error}; free space or fix the permissions, then "
                "export again."
            ) from error
        raise


def private_copy(module: nn.Module) -> nn.Module:
    """A copy to be changed for a format; the caller's module stays as it is."""
    return copy.deepcopy(module)
