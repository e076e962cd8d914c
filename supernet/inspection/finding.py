"""What an inspection says: a problem, which makes training pointless or wrong, or a warning.

Owns the names of everything that can be found, so that a person, a test or a script can rely on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["problem", "warning"]

NAMES: dict[str, str] = {
    "build-failed": "an architecture of the space cannot be built",
    "forward-failed": "a built module cannot take the task's inputs",
    "wrong-output": "a module answers with another shape than one row of logits for each target",
    "not-repeatable": "two calls with the same architecture build different modules",
    "values-not-repeatable": "two calls with the same architecture and seed give other initial values",
    "global-state": "what is built depends on what was built before",
    "shared-module": "two builds hold the same module or the same parameter",
    "random-state": "building changes a global random state",
    "global-setting": "building changes a global setting of torch",
    "network": "building tries to open a network connection",
    "unknown-name": "an architecture has a parameter that the shared weights do not hold",
    "larger-than-announced": "an architecture needs a larger tensor than the shared weights hold",
    "meta-tensor": "a parameter or a buffer is left without values, on the device meta",
    "ignored-choice": "no value of a choice makes any difference",
    "equal-values": "two values of a choice never make a difference",
    "no-gradient": "a parameter never receives a gradient",
    "undeclared-packed": "an axis holds several blocks, and its layout is not declared",
    "wrong-layout": "the declared layout is not how the module reads the parameter",
    "axes-do-not-nest": "the elements of an axis mean something else in another architecture, whatever the layout",
    "undeclared-centred": "the size of a kernel varies, and its smaller ones are not the middle of the larger",
    "unused-pattern": "a pattern of layouts matches no parameter",
    "layout-error": "the shared weights refuse the declared layouts",
    "not-followed": "how an axis is read could not be followed",
    "cost-failed": "the cost of an architecture cannot be computed",
    "export-failed": "an architecture cannot be exported, or its file is not valid",
    "parity-failed": "an exported file does not compute what the module computes",
}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was found: its name, one of `NAMES`, where, and what to do about it."""

    name: str
    severity: Severity
    where: str  # a parameter, a choice or an architecture; "" for the factory as a whole
    message: str

    def __post_init__(self) -> None:
        assert self.name in NAMES, self.name


def problem(name: str, where: str, message: str) -> Finding:
    """A finding that makes the check fail."""
    return Finding(name=name, severity="problem", where=where, message=message)


def warning(name: str, where: str, message: str) -> Finding:
    """A finding that leaves the check passed."""
    return Finding(name=name, severity="warning", where=where, message=message)
