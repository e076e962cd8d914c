"""Weights that many architectures share, and what they compute."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supernet.pretrained.calibration import Calibration
    from supernet.pretrained.coupling import Axis, Coupling
    from supernet.shared_weights import SharedWeights
    from supernet.slicing import Centred, Leading, Packed, PackedAxes
    from supernet.tasks.registry import load_task

__all__ = [
    "SharedWeights",
    "Leading",
    "Packed",
    "PackedAxes",
    "Centred",
    "Axis",
    "Coupling",
    "Calibration",
    "load_task",
]

_HOMES = {
    "SharedWeights": "supernet.shared_weights",
    "Leading": "supernet.slicing",
    "Packed": "supernet.slicing",
    "PackedAxes": "supernet.slicing",
    "Centred": "supernet.slicing",
    "Axis": "supernet.pretrained.coupling",
    "Coupling": "supernet.pretrained.coupling",
    "Calibration": "supernet.pretrained.calibration",
    "load_task": "supernet.tasks.registry",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, when it is asked for: torch alone takes more than a second."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
