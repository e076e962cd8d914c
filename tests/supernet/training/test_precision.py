"""The choice of a precision by measurement, and training in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from supernet import SharedWeights
from supernet.errors import TrainingError
from supernet.training.loop import LoopConfig
from supernet.training.precision import LEAST_GAIN, PRECISIONS, Precision, computing_in, faster_precision
from supernet.training.retrain import retrain
from supernet.training.sampling import Sandwich
from supernet.training.supernet import measured_precision, train_supernet
from tests.supernet.training.small import SmallNet, equal, small_net, small_space, small_task, state


class Machine:
    """A clock that only `step` moves: so many seconds in each precision."""

    def __init__(self, fp32: Iterator[float], bf16: Iterator[float]) -> None:
        self.now = 0.0
        self.asked: list[Precision] = []
        self._seconds = {"fp32": fp32, "bf16": bf16}

    def step(self, precision: Precision) -> None:
        self.asked.append(precision)
        self.now += next(self._seconds[precision])

    def clock(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("bf16", "expected", "rounds"),
    [
        (1.0, "fp32", 3),
        (0.9, "fp32", 3),
        (1 / LEAST_GAIN + 0.01, "fp32", 3),
        (0.5, "bf16", 3),
        (1.9, "fp32", 3),
        (2.0, "fp32", 1),
        (9.0, "fp32", 1),
    ],
)
def test_the_faster_one_by_a_margin(bf16: float, expected: Precision, rounds: int) -> None:
    machine = Machine(iter([9.0, *[1.0] * 5]), iter([0.1, *[bf16] * 5]))  # the warm-up must not count
    found = faster_precision(machine.step, clock=machine.clock)
    assert found.precision == expected
    assert found.speedup == pytest.approx(1 / bf16)
    assert machine.asked == ["fp32", "bf16"] * (1 + rounds)


@pytest.mark.parametrize(
    ("bf16", "expected"),
    [
        ([0.01, 1.0, 1.0, 1.0], "fp32"),  # one slow round of fp32
        ([0.5, 9.0, 0.5, 0.5], "bf16"),  # and of bf16, which ends nothing once a gain was seen
        ([0.5, 0.5, 1.0, 1.0, 1.0], "fp32"),
        ([1.0, 1.0, 0.5, 0.5, 0.5], "bf16"),
    ],
)
def test_most_rounds_decide(bf16: list[float], expected: Precision) -> None:
    machine = Machine(iter([1.0] * 6), iter([1.0, *bf16]))
    found = faster_precision(machine.step, clock=machine.clock)
    assert found.precision == expected
    assert (found.speedup >= LEAST_GAIN) == (expected == "bf16")
    assert len(machine.asked) == 2 * (1 + len(bf16))


def test_products_are_computed_in_it_and_only_within() -> None:
    linear, x = torch.nn.Linear(4, 4), torch.randn(2, 4)
    with computing_in("bf16"):
        assert linear(x).dtype == torch.bfloat16
    with computing_in("fp32"):
        assert linear(x).dtype == torch.float32
    assert linear(x).dtype == torch.float32


def test_what_is_timed_is_as_much_as_a_step_computes_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever divides batches because memory is short has none for a whole batch here."""
    forward, sizes = SmallNet.forward, set()

    def recording(net: SmallNet, x: torch.Tensor) -> torch.Tensor:
        sizes.add(len(x))
        return forward(net, x)

    monkeypatch.setattr(SmallNet, "forward", recording)
    weights = SharedWeights(SmallNet, small_space())
    measured_precision(weights, small_task(), LoopConfig(steps=1, batch=20, accumulate=4))
    assert sizes == {5}


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(TrainingError, match="one of fp32, bf16; got 'fp16'"):
        LoopConfig(steps=1, precision="fp16")  # type: ignore[arg-type]


def test_a_supernet_learns_in_bf16_what_it_learns_in_fp32() -> None:
    task, space = small_task(), small_space()
    ends = {}
    for precision in PRECISIONS:
        weights = SharedWeights(SmallNet, space)
        config = LoopConfig(steps=60, batch=20, learning_rate=0.02, precision=precision, health_every=60)
        curve = train_supernet(weights, task, Sandwich(space, 1), config)
        ends[precision] = (curve[-1].values["largest"], state(weights))
    assert abs(ends["bf16"][0] - ends["fp32"][0]) <= 0.1
    assert ends["bf16"][0] < 0.5, "guessing gives two thirds"
    assert not equal(ends["bf16"][1], ends["fp32"][1]), "the products were not computed in bf16"
    assert {tensor.dtype for tensor in ends["bf16"][1].values()} == {torch.float32}


def test_a_single_network_learns_in_bf16_beside_a_teacher() -> None:
    task, module = small_task(), small_net()
    before = task.score(module, task.validation)["loss"]
    config = LoopConfig(steps=60, batch=20, learning_rate=0.02, precision="bf16", health_every=60)
    points = retrain(module, task, config, teacher=small_net(seed=1))
    assert points[-1].values["loss"] < before
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
