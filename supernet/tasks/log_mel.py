"""Log-mel features: how loud a recording is in each of some bands of frequency, frame by frame.

Bands are triangles, equally wide on the mel scale 2595 log10(1 + f / 700), on the power spectrum (Davis & Mermelstein
1980).  Windows of 25 ms (Hamming), one each 10 ms, without padding at the ends.
"""

# N samples, W samples of a window, T frames, F bins of frequency, M bands

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from supernet.errors import OptionError

WINDOW_SECONDS = 0.025
HOP_SECONDS = 0.010
LOWEST_HZ = 20.0  # below it is hum
FLOOR = 1e-6  # of power, added before the logarithm: far below the noise of 16 bits, and finite for silence


@dataclass(frozen=True)
class LogMel:
    """Features of recordings at one rate, of one length: (features, frames).

    Raises `OptionError` where the bands are too many for the rate, or the length is too short for one window.
    """

    rate: int  # samples a second
    features: int
    seconds: float

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise OptionError(f"audio: seconds is {self.seconds:g}; {WINDOW_SECONDS:g} are needed for one frame.")
        if not bool((self._bands_FM.sum(0) > 0).all()):
            raise OptionError(f"audio: {self.features} features are too many for {self.rate} Hz; lower `features`.")

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(WINDOW_SECONDS * self.rate)

    @property
    def hop(self) -> int:
        """Samples from one window to the next."""
        return max(1, round(HOP_SECONDS * self.rate))

    @property
    def length(self) -> int:
        """Samples that are looked at."""
        return round(self.seconds * self.rate)

    @property
    def frames(self) -> int:
        """Frames of the result."""
        return 1 + (self.length - self.window) // self.hop

    def __call__(self, recording: Tensor) -> Tensor:
        """(N,) -> (features, frames): less each band's mean over this recording.

        Of a long recording the middle is taken.  A short one stands in the middle, between frames of zero: its mean,
        so that neither the mean nor the scale depends on how much is missing.
        """
        surplus = len(recording) - self.length
        middle = recording[surplus // 2 : surplus // 2 + self.length] if surplus > 0 else recording
        if len(middle) < self.window:
            middle = torch.nn.functional.pad(middle, (0, self.window - len(middle)))
        frames_TW = middle.unfold(0, self.window, self.hop) * torch.hamming_window(self.window, periodic=False)
        power_TF = torch.fft.rfft(frames_TW, self._points).abs().square()
        log_TM = (power_TF @ self._bands_FM + FLOOR).log()
        found = (log_TM - log_TM.mean(0)).T
        missing = self.frames - found.shape[1]
        return torch.nn.functional.pad(found, (missing // 2, missing - missing // 2))

    @property
    def _points(self) -> int:
        """Of the transform: a power of two, twice the window at least, so that low bands have bins too."""
        return 1 << (2 * self.window - 1).bit_length()

    @cached_property
    def _bands_FM(self) -> Tensor:
        top = _mel(self.rate / 2)
        edges = torch.linspace(_mel(LOWEST_HZ), top, self.features + 2, dtype=torch.float64)
        bins = _bins_mel(self.rate, self._points)[:, None]
        rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
        falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
        return torch.minimum(rising, falling).clamp(min=0).float()


def _mel(hertz: float) -> float:
    return 2595 * math.log10(1 + hertz / 700)


def _bins_mel(rate: int, points: int) -> Tensor:
    hertz = torch.linspace(0, rate / 2, points // 2 + 1, dtype=torch.float64)
    return 2595 * torch.log10(1 + hertz / 700)
