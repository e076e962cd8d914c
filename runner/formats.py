"""Which formats a study, or a person, asks for: whether they exist and apply, before anything is trained or written."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from runner.errors import SpecError
from supernet.export.bundle import MAIN
from supernet.export.formats.registry import format_names, load_format

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

    from supernet.export.formats.format import Format
    from supernet.tasks.task import Task


def formats_for(
    names: Sequence[str], module: nn.Module, task: Task, field: str
) -> tuple[tuple[Format, ...], dict[str, str]]:
    """The formats of these names that apply to `module`, each once, the main one first: every bundle has it.

    And why the others do not, by name.  Raises `SpecError`, which names `field`, for one that does not exist.
    """
    known = format_names()
    found, left_out = [], {}
    for name in dict.fromkeys((MAIN, *names)):
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f" did you mean {near[0]!r}?" if near else ""
            raise SpecError(f"{field}: there is no format {name!r};{hint} allowed: {', '.join(known)}.")
        made = load_format(name)
        reason = made.refusal(module, task)
        if reason is None:
            found.append(made)
        else:
            left_out[name] = reason.rstrip(".")
    return tuple(found), left_out


def refuse(left_out: Mapping[str, str], field: str) -> None:
    """Raise `SpecError` for the first format that does not apply, if there is one."""
    for name, reason in left_out.items():
        raise SpecError(f"{field}: the format {name!r} does not apply: {reason}. Leave it out.")
