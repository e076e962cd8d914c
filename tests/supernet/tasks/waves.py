"""WAV files that tests make."""

from __future__ import annotations

import io
import wave

import numpy as np


def wav(*, hertz: float = 440.0, seconds: float = 0.1, rate: int = 8_000, width: int = 2, channels: int = 1) -> bytes:
    """A rising tone at half of full scale, as the content of a file."""
    time = np.arange(round(seconds * rate)) / rate
    tone = 0.5 * np.sin(2 * np.pi * (hertz * time + 2_000 * time**2))
    return pack(np.round(tone * 2 ** (8 * width - 1)).astype(np.int64).repeat(channels), rate, width, channels)


def pack(samples: np.ndarray, rate: int = 8_000, width: int = 2, channels: int = 1) -> bytes:
    """Whole numbers with a sign as the content of a file; those of one byte are stored without."""
    shifted = samples + 128 if width == 1 else samples
    content = b"".join(int(value).to_bytes(width, "little", signed=width > 1) for value in shifted)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(content)
    return buffer.getvalue()
