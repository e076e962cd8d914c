"""In which precision to compute while training: float32, or bfloat16 where this machine is faster with it.

Owns the two ways to run a step and the measurement that chooses between them.  Weights, gradients and scores stay
float32; only the products of a training step change (torch's autocast).
"""

from __future__ import annotations

import statistics
import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import torch

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

Precision = Literal["fp32", "bf16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)

ROUNDS = 5
# Less than this is not worth the lost digits, nor safely told from the noise of a busy machine.  (One core of an AMD
# EPYC with AVX512_BF16: 0.96 to 1.26 for vision transformers of width 64 to 384.)
LEAST_GAIN = 1.25
# So slow that one round is enough: a gain would have to hide behind a spell that made bf16 2.5 times slower.
# (Processors without bf16 units take ten times as long, which the user waits for.)
HOPELESS = 0.5


@dataclass(frozen=True, kw_only=True)
class MeasuredPrecision:
    """The faster precision, and how many times as long a step takes in fp32 as in bf16."""

    precision: Precision
    speedup: float


def computing_in(precision: Precision, device: str = "cpu") -> AbstractContextManager[object]:
    """Within, products run in this precision on this type of device."""
    return torch.autocast(device, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()


def faster_precision(
    step: Callable[[Precision], object], *, rounds: int = ROUNDS, clock: Callable[[], float] = time.perf_counter
) -> MeasuredPrecision:
    """Time `step` in both precisions, in turns, after one round of warm-up; compare round by round.

    Ends when most of the odd number of `rounds` agree, and after the first where bf16 takes twice as long.
    """
    ratios: list[float] = []
    for number in range(1 + rounds):
        seconds = []
        for precision in PRECISIONS:
            start = clock()
            step(precision)
            seconds.append(clock() - start)
        if number > 0:
            ratios.append(seconds[0] / seconds[1])
        gains = sum(ratio >= LEAST_GAIN for ratio in ratios)
        if max(gains, len(ratios) - gains) > rounds // 2 or (len(ratios) == 1 and ratios[0] <= HOPELESS):
            break
    speedup = statistics.median(ratios)
    return MeasuredPrecision(precision="bf16" if speedup >= LEAST_GAIN else "fp32", speedup=speedup)
