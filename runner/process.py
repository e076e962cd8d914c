"""What a process does once before hours of work: it heeds the quota of its container, and keeps what it has got."""

from __future__ import annotations

import ctypes
import gc
import os

from predictors.latency.device import affinity, usable_cores

# <malloc.h> of glibc.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEPT_AT_MOST = 1 << 30  # bytes, of one tensor and at the end of the heap
_FEWER = 100  # collections of the middle generation for one of everything; Python's default is 10


def heed_quota() -> None:
    """Called by commands of ours before torch is loaded, which reads the variable then; what is set stays.

    OpenMP takes a thread for each core that it sees, and does not know the quota of a container: where they are more
    than may run, each waits for one that does not.
    """
    if usable_cores() < affinity():
        os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))


def settle() -> None:
    """Called by processes of ours at their start, when most modules are loaded; never in a process of a user's.

    A full garbage collection looks at half a million objects of torch and of kept modules for a tenth of a second, and
    borrowed modules made one due every three seconds.  It has hardly anything to find: they die without it.

    Memory that is freed is kept, up to 1 GiB, where the C library is glibc: it gives back what a step frees at the end
    of the heap, and every tensor of more than 32 MiB, and the next step asks the kernel for the same pages again.
    """
    gc.freeze()
    youngest, middle, _ = gc.get_threshold()
    gc.set_threshold(youngest, middle, _FEWER)
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return
    mallopt(_M_MMAP_THRESHOLD, _KEPT_AT_MOST)
    mallopt(_M_TRIM_THRESHOLD, _KEPT_AT_MOST)
