"""Log-mel features: against their definition, and what they must not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from supernet.errors import OptionError
from supernet.tasks.log_mel import FLOOR, LogMel


def slow_log_mel(samples: list[float], rate: int, bands: int) -> np.ndarray:
    """Sample by sample and bin by bin, (frames, bands), before the mean is taken off."""
    window, hop, points = rate * 25 // 1000, rate * 10 // 1000, 512

    def mel(hertz: float) -> float:
        return 2595 * math.log10(1 + hertz / 700)

    edges = [mel(20) + i * (mel(rate / 2) - mel(20)) / (bands + 1) for i in range(bands + 2)]
    rows = []
    for start in range(0, len(samples) - window + 1, hop):
        power = []
        for k in range(points // 2 + 1):
            total = 0j
            for n in range(window):
                hamming = 0.54 - 0.46 * math.cos(2 * math.pi * n / (window - 1))
                total += (
                    samples[start + n]
                    * hamming
                    * complex(math.cos(2 * math.pi * k * n / points), -math.sin(2 * math.pi * k * n / points))
                )
            power.append(abs(total) ** 2)
        row = []
        for low, centre, high in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for k, value in enumerate(power):
                at = mel(k * rate / points)
                energy += value * max(0.0, min((at - low) / (centre - low), (high - at) / (high - centre)))
            row.append(math.log(energy + FLOOR))
        rows.append(row)
    return np.array(rows)


def noise(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed)) * 0.1


def test_it_equals_the_definition() -> None:
    recording = noise(8 * 37)
    expected = slow_log_mel(recording.tolist(), 8_000, 20)
    assert expected.shape == (2, 20)
    found = LogMel(8_000, 20, 0.037)(recording)
    np.testing.assert_allclose(found.numpy(), (expected - expected.mean(0)).T, atol=2e-3)


@pytest.mark.parametrize(("rate", "seconds", "frames"), [(8_000, 1.0, 98), (16_000, 0.5, 48), (22_050, 0.1, 8)])
def test_the_shape_follows_rate_and_length(rate: int, seconds: float, frames: int) -> None:
    features = LogMel(rate, 40, seconds)
    for count in (1, round(rate * seconds), 3 * rate):
        assert features(noise(count)).shape == (40, frames)


def test_each_band_has_a_mean_of_zero_whatever_the_loudness_and_the_length() -> None:
    features = LogMel(8_000, 40, 0.5)
    recording = noise(2_000)
    found = features(recording)
    torch.testing.assert_close(found.mean(1), torch.zeros(40), atol=1e-5, rtol=0)
    torch.testing.assert_close(features(recording * 0.25), found, atol=0.02, rtol=0)


def test_the_short_stand_in_the_middle_and_of_the_long_the_middle_is_taken() -> None:
    recording = noise(2_000)
    alone = LogMel(8_000, 40, 0.25)(recording)
    found = LogMel(8_000, 40, 0.5)(recording)
    missing = found.shape[1] - alone.shape[1]
    assert torch.equal(found[:, missing // 2 : missing // 2 + alone.shape[1]], alone)
    assert int(found.abs().sum(0).count_nonzero()) == alone.shape[1]
    assert torch.equal(LogMel(8_000, 40, 0.25)(torch.cat((noise(500, 1), recording, noise(500, 2)))), alone)


def test_a_tone_is_loudest_in_its_band_and_silence_is_finite() -> None:
    features = LogMel(8_000, 20, 1.0)
    time = torch.arange(8_000) / 8_000
    loud = (time > 0.5) * torch.sin(2 * math.pi * 1_000 * time)
    found = features(loud + noise(8_000) * 0.001)
    change = found[:, 60:].mean(1) - found[:, :40].mean(1)
    edges = torch.linspace(2595 * math.log10(1 + 20 / 700), 2595 * math.log10(1 + 4_000 / 700), 22)
    centres = 700 * (10 ** (edges[1:-1] / 2595) - 1)
    assert abs(float(centres[change.argmax()]) - 1_000) < 120
    torch.testing.assert_close(features(torch.zeros(8_000)), torch.zeros(20, 98), atol=1e-5, rtol=0)


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(OptionError, match=r"seconds is 0\.02; 0\.025 are needed"):
        LogMel(8_000, 40, 0.02)
    with pytest.raises(OptionError, match="400 features are too many for 8000 Hz"):
        LogMel(8_000, 400, 1.0)
