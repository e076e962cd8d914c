"""The process that times, with an injected clock and as it is started."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from predictors.latency import timing_worker
from predictors.latency.timing_worker import LEAST_ROUNDS, MOST_ROUNDS, WARM_UP_CALLS, alternate
from tests.predictors.latency.models import write_products

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass
class Machine:
    """A clock, and calls that take time on it."""

    now: int = 0
    calls: list[str] = field(default_factory=list)

    def call(self, name: str, *durations: int) -> Callable[[], None]:
        """Takes the durations in turn, again and again, in nanoseconds."""
        made = [0]

        def run() -> None:
            self.calls.append(name)
            self.now += durations[made[0] % len(durations)]
            made[0] += 1

        return run

    def clock(self) -> int:
        return self.now


def measure(seconds: float, candidate: int, reference: int) -> tuple[Machine, list[int], list[int]]:
    machine = Machine()
    times = alternate(machine.call("c", candidate), machine.call("r", reference), seconds=seconds, clock=machine.clock)
    return machine, *times


MS = 1_000_000


def test_both_are_called_in_turn_and_timed_apart() -> None:
    machine, candidate, reference = measure(1.0, 3 * MS, 5 * MS)
    assert "".join(machine.calls) == "cr" * (len(machine.calls) // 2)
    assert set(candidate) == {3 * MS}
    assert set(reference) == {5 * MS}
    assert len(candidate) == len(reference) == 125  # a second of 8 ms rounds


def test_the_warm_up_is_not_counted() -> None:
    machine = Machine()
    slow_at_first = [900 * MS] * WARM_UP_CALLS + [MS] * 10_000
    candidate, _ = alternate(machine.call("c", *slow_at_first), machine.call("r", MS), seconds=0.2, clock=machine.clock)
    assert set(candidate) == {MS}


def test_the_warm_up_lasts_ten_calls_and_a_twentieth_of_a_second() -> None:
    slow, candidate, _ = measure(0.0, 100 * MS, 100 * MS)
    assert len(slow.calls) // 2 - len(candidate) == WARM_UP_CALLS
    fast, candidate, _ = measure(0.0, MS // 2, MS // 2)
    assert len(fast.calls) // 2 - len(candidate) == 50


@pytest.mark.parametrize("duration", [MS // 100, MS, 1_000 * MS])
def test_the_number_of_rounds_has_limits(duration: int) -> None:
    _, candidate, reference = measure(0.5, duration, duration)
    expected = {MS // 100: MOST_ROUNDS, MS: 250, 1_000 * MS: LEAST_ROUNDS}[duration]
    assert len(candidate) == len(reference) == expected


def test_a_slow_spell_hits_both() -> None:
    """The ratio of medians stays, which is why they take turns."""
    machine = Machine()
    durations = [MS] * 300 + [2 * MS] * 200
    times = alternate(
        machine.call("c", *durations),
        machine.call("r", *(2 * d for d in durations)),
        seconds=1.2,
        clock=machine.clock,
    )
    assert len(set(times[0])) == 2
    assert [b / a for a, b in zip(*times, strict=True)] == [2.0] * len(times[0])


def request(path: Path, reference: Path, **changes: object) -> dict[str, object]:
    settings = {"batch": 1, "threads": 1}
    return {
        "candidate": str(path),
        "settings": settings,
        "reference": str(reference),
        "reference_settings": settings,
        "seconds": 0.01,
        **changes,
    }


def converse(*lines: str) -> tuple[list[dict[str, object]], str]:
    done = subprocess.run(
        [sys.executable, "-m", "predictors.latency.timing_worker"],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_it_answers_every_line_and_survives_what_it_cannot_do(tmp_path: Path) -> None:
    path = write_products(tmp_path / "model.onnx", products=1)
    good = json.dumps(request(path, path))
    bad = json.dumps(request(tmp_path / "missing.onnx", path))
    answers, errors = converse(good, bad, "not json", json.dumps({"candidate": 1}), good)
    assert errors == ""
    assert [sorted(answer) for answer in answers] == [
        ["candidate_ns", "reference_ns"],
        ["error"],
        ["error"],
        ["error"],
        ["candidate_ns", "reference_ns"],
    ]
    assert "cannot open" in str(answers[1]["error"])


def test_the_candidate_has_its_own_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_products(tmp_path / "model.onnx", products=1)
    shapes: set[tuple[int, ...]] = set()
    run = timing_worker.Session.run

    def spy(self: timing_worker.Session, inputs: object) -> object:
        shapes.add(inputs.shape)  # type: ignore[attr-defined]
        return run(self, inputs)  # type: ignore[arg-type]

    monkeypatch.setattr(timing_worker.Session, "run", spy)
    timing_worker.answer(request(path, path, settings={"batch": 7, "threads": 1}))
    assert shapes == {(7, 64), (1, 64)}


def test_what_a_library_prints_reaches_no_answer() -> None:
    code = (
        "import os, sys\nfrom predictors.latency import timing_worker\n"
        "timing_worker.answer = lambda request: (os.write(1, b'noise\\n'), print('more'), {'error': 'x'})[2]\n"
        "timing_worker.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input="{}\n", capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == '{"error": "x"}\n'
    assert "noise" in done.stderr


def test_it_imports_no_torch() -> None:
    code = (
        "import sys, predictors.latency.timing_worker, onnxruntime\n"
        "assert not {'torch', 'onnx', 'scipy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
