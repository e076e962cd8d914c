"""Pages from templates.  It owns how they are escaped; what they say is given to it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

STATIC = Path(__file__).parent / "static"
TEMPLATES = Path(__file__).parent / "templates"
_IMPORT = re.compile(r"""(?:\bfrom|^import)\s+"(\.{1,2}/[^"]+)\"""", re.M)


def render(template: str, **values: Any) -> str:
    """A page.  Whatever is put into it is text, never markup; a name that was not given is an error."""
    return _environment().get_template(template).render(values)


@cache
def modules_of(entry: str) -> tuple[str, ...]:
    """Every module that the page's module `entry` needs, by its path below the static files, the page's own first.

    A browser learns of a module's imports when it has read it; told of all at once, it asks for all at once.
    """
    found: list[str] = []
    waiting = [entry]
    while waiting:
        path = waiting.pop(0)
        if path in found:
            continue
        found.append(path)
        folder = (STATIC / path).parent
        named = _IMPORT.findall((STATIC / path).read_text(encoding="utf-8"))
        waiting += [(folder / where).resolve().relative_to(STATIC.resolve()).as_posix() for where in named]
    return tuple(found)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["modules_of"] = modules_of
    return environment
