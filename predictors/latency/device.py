"""What machine this is, as far as a latency depends on it."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

_CPU_INFO = Path("/proc/cpuinfo")
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # microseconds of processor time in each period (Linux control groups v2)
_TELLING_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
    "asimddp",
    "i8mm",
)


@dataclass(frozen=True, kw_only=True)
class Device:
    """A machine whose latencies may be compared with each other."""

    processor: str
    cores: int  # logical ones that this process may use
    instructions: tuple[str, ...]
    system: str

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits; equal where latencies are comparable."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, str | int | list[str]]:
        """For the record and for people."""
        return {
            "processor": self.processor,
            "cores": self.cores,
            "instructions": list(self.instructions),
            "system": self.system,
        }


def this_device() -> Device:
    """The machine that this process runs on."""
    info = _CPU_INFO.read_text(encoding="utf-8", errors="replace") if _CPU_INFO.exists() else ""
    fields: dict[str, str] = {}
    for line in info.splitlines():
        key, colon, value = line.partition(":")
        if colon:
            fields.setdefault(key.strip(), value.strip())
    flags = set((fields.get("flags") or fields.get("Features") or "").split())
    return Device(
        processor=fields.get("model name") or platform.processor() or platform.machine(),
        cores=usable_cores(),
        instructions=tuple(flag for flag in _TELLING_FLAGS if flag in flags),
        system=f"{platform.system()} {platform.machine()}",
    )


def affinity() -> int:
    """Logical cores on which this process may be put."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usable_cores() -> int:
    """Logical cores that this process may keep busy: its affinity, and the quota of its container."""
    cores = affinity()
    try:
        quota, period = _QUOTA.read_text(encoding="utf-8").split()
        return max(1, min(cores, int(quota) // int(period)))
    except (OSError, ValueError):  # no control groups, or "max": no quota
        return cores
