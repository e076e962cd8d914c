"""Which kind of failure an exception is, and what an evaluation keeps."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from runner.search import FAILURE_KINDS, Evaluation, Failure
from tests.runner.search.spaces import tiny_space

ARCHITECTURE = tiny_space().smallest()


class OutOfMemoryError(Exception):
    """As torch and Ray call theirs."""


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def _raised_by(action: object) -> BaseException:
    try:
        action()  # type: ignore[operator]
    except Exception as error:  # noqa: BLE001 - whatever it is
        return error
    raise AssertionError("nothing was raised")


def test_the_kinds_are_written_down_once() -> None:
    assert FAILURE_KINDS == (
        "exception",
        "missing_metric",
        "non_finite",
        "out_of_memory",
        "time_limit",
        "worker_lost",
    )


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("bytes"),
        OutOfMemoryError("cuda"),
        torch.OutOfMemoryError("CUDA out of memory"),
        _raised_by(lambda: np.zeros(2**50)),
        _raised_by(lambda: torch.zeros(2**58)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_lack_of_memory_is_told_from_other_errors(error: BaseException) -> None:
    failure = Failure.of(error)
    assert failure.kind == "out_of_memory"
    assert failure.message.startswith(f"{type(error).__name__}: ")


def test_any_other_exception_is_an_exception() -> None:
    assert Failure.of(ValueError("no")) == Failure("exception", "ValueError: no")
    assert Failure.of(Unreadable()) == Failure("exception", "Unreadable: (its text cannot be read)")


def test_a_message_has_an_end() -> None:
    message = Failure.of(ValueError("x" * 10**6)).message
    assert len(message) < 2100
    assert message.endswith("x [...]")


def test_evaluations_are_equal_by_what_they_say_and_survive_pickling() -> None:
    quick = Evaluation(architecture=ARCHITECTURE, state="complete", values={"error": 1.0}, duration_ms=1.0)
    slow = Evaluation(architecture=ARCHITECTURE, state="complete", values={"error": 1.0}, duration_ms=9.0, attempt=2)
    assert quick == slow
    copy = pickle.loads(pickle.dumps(slow))
    assert copy == slow
    assert (copy.attempt, copy.duration_ms, dict(copy.values)) == (2, 9.0, {"error": 1.0})
