"""The process that times: alternates two ONNX files call by call and reports every duration.

Run as `python -m predictors.latency.timing_worker`; one JSON request a line on standard input, one JSON
answer a line on standard output.  It imports ONNX Runtime and NumPy only, so that nothing else competes for
its core.
"""

from __future__ import annotations

import json
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from supernet.export.runtime import Session

if TYPE_CHECKING:
    from collections.abc import Callable

WARM_UP_CALLS = 10
WARM_UP_SECONDS = 0.05
LEAST_ROUNDS = 50
MOST_ROUNDS = 2_000


def alternate(
    candidate: Callable[[], object],
    reference: Callable[[], object],
    *,
    seconds: float,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> tuple[list[int], list[int]]:
    """Durations in nanoseconds of both, call by call in turn, after a warm-up.

    Takes about `seconds`, but at least 50 rounds and at most 2,000.  A slow spell of the machine hits both
    alike.
    """
    start = clock()
    calls = 0
    while calls < WARM_UP_CALLS or (clock() - start) / 1e9 < WARM_UP_SECONDS:
        candidate()
        reference()
        calls += 1
    times: tuple[list[int], list[int]] = ([], [])
    start = clock()
    while len(times[0]) < LEAST_ROUNDS or (clock() - start) / 1e9 < seconds:
        if len(times[0]) == MOST_ROUNDS:
            break
        for run, durations in zip((candidate, reference), times, strict=True):
            before = clock()
            run()
            durations.append(clock() - before)
    return times


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Serve one request: `seconds`, and for candidate and reference a path, `batch` and `threads`."""
    candidate_ns, reference_ns = alternate(
        _call(request["candidate"], request["settings"]),
        _call(request["reference"], request["reference_settings"]),
        seconds=request["seconds"],
    )
    return {"candidate_ns": candidate_ns, "reference_ns": reference_ns}


def _call(path: str, settings: dict[str, int]) -> Callable[[], object]:
    session = Session(Path(path), threads=settings["threads"])
    return partial(session.run, *session.example(settings["batch"]))


def main() -> None:
    """Answer requests until standard input closes."""
    # Libraries may print; only answers may reach the parent's end of standard output.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        try:
            reply = answer(json.loads(line))
        except Exception as error:  # noqa: BLE001  (whatever it is, the parent must hear of it)
            reply = {"error": str(error) or type(error).__name__}
        try:
            answers.write(json.dumps(reply) + "\n")
            answers.flush()
        except BrokenPipeError:
            os._exit(1)  # nobody listens any more; an ordinary exit would flush into the broken pipe again


if __name__ == "__main__":
    main()
