"""WAV files: every width reads as the same numbers, and what cannot be read is named."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from supernet.errors import DataError
from supernet.tasks.wav_files import decode_wav
from tests.supernet.tasks.waves import pack, wav


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_every_width_is_scaled_to_one_on_either_side(width: int) -> None:
    most = 2 ** (8 * width - 1)
    samples = np.array([-most, -most // 2, 0, most // 4, most - 1])
    recording = decode_wav("x.wav", pack(samples, rate=11_025, width=width))
    assert recording.rate == 11_025
    assert recording.samples.dtype == np.float32
    np.testing.assert_allclose(recording.samples, [-1, -0.5, 0, 0.25, 1 - 1 / most], atol=1e-7)


def test_an_extensible_header_of_whole_numbers_is_read() -> None:
    """As programs write it for 24 bits; behind a chunk that is not ours."""
    plain = pack(np.array([-(2**23), 0, 2**22]), width=3)
    data = plain[plain.index(b"data") :]
    form = struct.pack("<HHLLHH", 0xFFFE, 1, 8_000, 24_000, 3, 24) + struct.pack("<HHL", 22, 24, 4)
    form += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"WAVE" + b"LIST" + struct.pack("<L", 3) + b"abc\0" + b"fmt " + struct.pack("<L", len(form)) + form + data
    content = b"RIFF" + struct.pack("<L", len(body)) + body
    np.testing.assert_allclose(decode_wav("x.wav", content).samples, [-1, 0, 0.5])
    of_floats = content.replace(bytes.fromhex("0100000000001000"), bytes.fromhex("0300000000001000"))
    with pytest.raises(DataError, match=r"x\.wav cannot be read as WAV"):
        decode_wav("x.wav", of_floats)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as WAV: it ends too soon"),
        (b"RIFF", "cannot be read as WAV"),
        (b"not a recording at all, but text", "cannot be read as WAV: .*RIFF"),
        (wav()[:30], "cannot be read as WAV"),
        (wav()[:-10], "cut short: it promises 800 samples and holds 795"),
        (wav(seconds=0), "is empty"),
        (wav(channels=2), "has 2 channels; one is needed. Mix it down"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=rf"the recording a/x\.wav .*{message}"):
        decode_wav("a/x.wav", content)


def test_no_damaged_header_escapes() -> None:
    """Each byte of the header changed in turn: it is read or refused, never anything else."""
    good = bytearray(wav(seconds=0.01))
    refused = 0
    for position in range(44):
        for value in (0, 1, 255):
            content = bytearray(good)
            content[position] = value
            try:
                decode_wav("x.wav", bytes(content))
            except DataError:
                refused += 1
    assert refused > 30
