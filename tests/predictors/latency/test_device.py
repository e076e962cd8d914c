"""What identifies a machine."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from predictors.latency import device as devices
from predictors.latency.device import Device, this_device, usable_cores

if TYPE_CHECKING:
    from pathlib import Path

EXAMPLE = Device(processor="A CPU", cores=2, instructions=("avx2",), system="Linux x86_64")


def test_this_machine_is_always_the_same() -> None:
    assert this_device() == this_device()
    assert this_device().fingerprint == this_device().fingerprint
    assert this_device().processor
    assert this_device().cores >= 1


def test_the_fingerprint_is_short_and_stable() -> None:
    assert re.fullmatch("[0-9a-f]{16}", EXAMPLE.fingerprint)
    assert EXAMPLE.fingerprint == replace(EXAMPLE).fingerprint
    assert EXAMPLE.fingerprint == "9766d8750a181173", "records of earlier versions name devices by it"


@pytest.mark.parametrize(
    "change", [{"processor": "B CPU"}, {"cores": 3}, {"instructions": ()}, {"system": "Linux aarch64"}]
)
def test_the_fingerprint_changes_with_every_field(change: dict[str, Any]) -> None:
    assert replace(EXAMPLE, **change).fingerprint != EXAMPLE.fingerprint


def test_it_describes_every_field() -> None:
    assert EXAMPLE.describe() == {
        "processor": "A CPU",
        "cores": 2,
        "instructions": ["avx2"],
        "system": "Linux x86_64",
    }


@pytest.mark.parametrize(
    ("text", "processor", "instructions"),
    [
        (
            "processor\t: 0\nmodel name\t: Intel(R) Xeon(R)\nflags\t\t: fpu avx512f avx2 amx_tile\n\n"
            "processor\t: 1\nmodel name\t: another\nflags\t\t: fpu\n",
            "Intel(R) Xeon(R)",
            ("avx2", "avx512f", "amx_tile"),
        ),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n", None, ("asimddp", "i8mm")),
        ("", None, ()),
        (None, None, ()),
    ],
)
def test_the_processor_is_read_from_the_system(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    text: str | None,
    processor: str | None,
    instructions: tuple[str, ...],
) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    monkeypatch.setattr(devices, "_CPU_INFO", path)
    found = this_device()
    assert found.instructions == instructions
    assert found.processor == processor if processor else found.processor


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("max 100000", 8), ("200000 100000", 2), ("50000 100000", 1), ("9900000 100000", 8), ("", 8)],
)
def test_the_quota_of_a_container_limits_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, expected: int
) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(devices, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert usable_cores() == expected


def test_without_control_groups_the_affinity_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_QUOTA", tmp_path / "absent")
    monkeypatch.setattr(devices.os, "sched_getaffinity", lambda pid: {3, 5, 6}, raising=False)
    assert usable_cores() == 3
