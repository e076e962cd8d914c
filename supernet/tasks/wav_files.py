"""Recordings as numbers from -1 to 1, from WAV files of whole numbers (PCM) with 8, 16, 24 or 32 bits."""

from __future__ import annotations

import io
import struct
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from supernet.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".wav", ".wave")
PCM = struct.pack("<H", 1)
EXTENSIBLE = struct.pack("<H", 0xFFFE)
SUBFORMAT = 24  # where in an extensible `fmt ` chunk the real format stands


@dataclass(frozen=True)
class Recording:
    """Samples (float32, one channel), and how many of them are a second."""

    samples: NDArray[np.float32]
    rate: int


def decode_wav(name: str, content: bytes) -> Recording:
    """The recording in a file.

    Raises `DataError`, naming the file, where it is damaged, cut short, empty, in another coding, or has several
    channels: which of them matters, or whether their mean does, is not ours to guess.
    """
    try:
        with wave.open(io.BytesIO(_as_plain(content))) as file:
            channels, width, rate, count = (
                file.getnchannels(),
                file.getsampwidth(),
                file.getframerate(),
                file.getnframes(),
            )
            data = file.readframes(count)
    except (wave.Error, EOFError, struct.error, RuntimeError) as error:
        raise DataError(
            f"the recording {name} cannot be read as WAV: {str(error) or 'it ends too soon'}.  Save it again as PCM "
            "with 16 bits, or take it out of the data."
        ) from error
    if channels != 1:
        raise DataError(
            f"the recording {name} has {channels} channels; one is needed. Mix it down, or keep one of them."
        )
    if width not in (1, 2, 3, 4) or rate < 1:
        raise DataError(f"the recording {name} has samples of {width} bytes at {rate} Hz; save it as PCM with 16 bits.")
    if len(data) != count * width:
        raise DataError(
            f"the recording {name} is cut short: it promises {count} samples and holds {len(data) // width}.  Fetch it "
            "again, or take it out of the data."
        )
    if not count:
        raise DataError(f"the recording {name} is empty; take it out of the data.")
    return Recording(_numbers(data, width), rate)


def _numbers(data: bytes, width: int) -> NDArray[np.float32]:
    """Whole numbers of `width` bytes, little end first, as shares of the largest; those of one byte have no sign."""
    if width == 1:
        return np.divide(np.frombuffer(data, np.uint8).astype(np.int16) - 128, 128, dtype=np.float32)
    if width == 3:
        wide = np.zeros((len(data) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)  # as the upper bytes of four
        data, width = wide.tobytes(), 4
    numbers: NDArray[np.float32] = np.divide(
        np.frombuffer(data, np.dtype(f"<i{width}")), 2.0 ** (8 * width - 1), dtype=np.float32
    )
    return numbers


def _as_plain(content: bytes) -> bytes:
    """The file with an extensible header that only repeats `PCM` (usual for 24 bits) made an ordinary one.

    Python's `wave` reads such headers from version 3.12 on.
    """
    position = 12  # behind RIFF, size, WAVE
    while position + 8 <= len(content):
        size = struct.unpack_from("<I", content, position + 4)[0]
        start = position + 8
        if content[position : position + 4] == b"fmt ":
            extensible = content[start : start + 2] == EXTENSIBLE
            inner = content[start + SUBFORMAT : start + SUBFORMAT + 2]
            return content[:start] + PCM + content[start + 2 :] if extensible and inner == PCM else content
        position = start + size + size % 2
    return content
