"""The numbers of a bundle, and the drawing of an architecture as text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from search_spaces import Architecture

_NUMBERED = re.compile(r"([^.]+)s\.(\d+)\.(.+)")  # layers.3.mixer: layer, 3, mixer

Place = tuple[tuple[str, int], ...]
"""Where an answer belongs: () to the whole, (("stage", 0), ("block", 2)) to the third block of the first stage."""

_UNITS = {
    "error": "fraction",
    "accuracy": "fraction",
    "eer": "fraction",
    "loss": "nats",
    "bits_per_byte": "bits",
    "macs": "multiply-adds",
    "parameters": "values",
}
_ENDINGS = {"_ms": "ms", "_bytes": "bytes"}


def unit_of(metric: str) -> str:
    """The unit of a metric, empty where it has none that is known."""
    return _UNITS.get(metric) or next((unit for end, unit in _ENDINGS.items() if metric.endswith(end)), "")


@dataclass(frozen=True, kw_only=True)
class Number:
    """One number of a bundle, and where it came from."""

    metric: str
    value: float
    provenance: str  # computed, inherited, retrained or exported
    split: str | None = None  # of the data, for scores
    lower: float | None = None
    upper: float | None = None
    device: str | None = None
    format: str | None = None  # of an exported number: the file that it was measured on

    @property
    def text(self) -> str:
        """The value with its unit and its interval."""
        value = f"{self.value:,.0f}" if float(self.value).is_integer() and self.value >= 10 else f"{self.value:.4f}"
        interval = "" if self.lower is None or self.upper is None else f" [{self.lower:.4f}, {self.upper:.4f}]"
        unit = unit_of(self.metric)
        return f"{value}{interval} {unit}".rstrip()


def architecture_lines(architecture: Architecture) -> list[str]:
    """The architecture as a table in plain text: what holds for all of it, then a line a layer, or a stage and below
    it a line a block."""
    lines = []
    for place, answers in sorted(answers_by_place(architecture).items()):
        if not place:
            lines += [_listed(answers)] if answers else []
            continue
        label = f"{'  ' * (len(place) - 1)}{place[-1][0]} {place[-1][1]}"
        words = [f"{answers.pop('mixer')!s:<12}"] if "mixer" in answers else []
        words += [f"{name} {value}" for name, value in answers.items()]
        lines.append("  ".join([label, *words]))
    return lines


def architecture_summary(architecture: Architecture) -> str:
    """What holds for all of an architecture, and the answers of its stages if it has any, in one line."""
    places = answers_by_place(architecture)
    stages: dict[str, list[object]] = {}
    for place in sorted(place for place in places if len(place) == 1 and place[0][0] == "stage"):
        for name, value in places[place].items():
            stages.setdefault(name, []).append(value)
    parts = [_listed(places[()])] if places[()] else []
    if stages:
        parts.append(" and ".join(f"{name} {'/'.join(map(str, v))}" for name, v in stages.items()) + " by stage")
    return ", ".join(parts)


def answers_by_place(architecture: Architecture) -> dict[Place, dict[str, object]]:
    """The answers by where they belong; a place is there also if only places within it have answers."""
    places: dict[Place, dict[str, object]] = {(): {}}
    for name, value in architecture.items():
        place: Place = ()
        while match := _NUMBERED.fullmatch(name):
            place, name = (*place, (match[1], int(match[2]))), match[3]
            places.setdefault(place, {})
        places[place][name] = value
    return places


def _listed(answers: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in answers.items())
