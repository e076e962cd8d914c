"""Owns the arrays that all workers of a machine read from the same memory, and that none can change.

They are packed into one flat buffer, which Ray keeps in shared memory and maps into every worker. NumPy marks
such memory read-only, torch does not look: an in-place operation on a tensor made of it would change the weights
of every worker without a word. `protected` takes the right to write from the pages themselves.
"""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runner.parallel.errors import InvalidResources

Array = npt.NDArray[Any]
Buffer = npt.NDArray[np.uint8]
_ALIGNMENT = 64  # bytes; a cache line, and what vector instructions ask for
_PROT_READ = 1


@dataclass(frozen=True)
class _Place:
    offset: int
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True)
class Layout:
    """Where each array lies in the buffer."""

    places: Mapping[str, _Place]

    def views(self, buffer: Buffer) -> dict[str, Array]:
        """The arrays themselves, without a copy; as writeable as the buffer is."""
        return {
            name: np.ndarray(place.shape, place.dtype, buffer.data, place.offset) for name, place in self.places.items()
        }


def packed(arrays: Mapping[str, Array]) -> tuple[Buffer, Layout]:
    """The arrays one after the other in a buffer, with a page to spare at both ends.

    The spare pages may be shared with what lies beside the buffer; all others are the buffer's own, so that
    they can be protected.
    """
    places: dict[str, _Place] = {}
    end = mmap.PAGESIZE
    for name, array in arrays.items():
        if array.dtype.kind not in "biufc":
            raise InvalidResources(
                f"the shared array {name!r} is of {array.dtype}; only NumPy's plain numbers can be shared "
                "(view other types of 16 bits as uint16)"
            )
        offset = -(-end // _ALIGNMENT) * _ALIGNMENT
        places[name] = _Place(offset, array.shape, array.dtype.str)
        end = offset + array.nbytes
    buffer = np.zeros(end + mmap.PAGESIZE, dtype=np.uint8)
    layout = Layout(places)
    for name, view in layout.views(buffer).items():
        view[...] = arrays[name]
    return buffer, layout


def protected(buffer: Buffer) -> Buffer:
    """The buffer, with a write to any of its arrays ending this process; else a private copy of it.

    Must be kept for as long as its memory: whoever is given the pages next cannot write to them either.
    """
    address, size = buffer.ctypes.data, buffer.nbytes
    first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE
    try:
        refused = ctypes.CDLL(None).mprotect(ctypes.c_void_p(first), ctypes.c_size_t(last - first), _PROT_READ)
    except (AttributeError, OSError, TypeError):  # no such function on this system
        refused = -1
    return buffer.copy() if refused else buffer
