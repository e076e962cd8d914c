"""Image files that tests make."""

from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def pixels(seed: int, *, side: int = 6, channels: int = 3) -> NDArray[np.uint8]:
    """(side, side, channels), or (side, side) for one channel."""
    shape = (side, side) if channels == 1 else (side, side, channels)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def png(seed: int, *, side: int = 6, channels: int = 3) -> bytes:
    """Noise, as the content of a file."""
    return encode(Image.fromarray(pixels(seed, side=side, channels=channels)))


def encode(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """The content of a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def write_folder(folder: Path, files: dict[str, bytes]) -> Path:
    """The files, in a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def write_archive(path: Path, files: dict[str, bytes]) -> Path:
    """The files, in a tar archive that is compressed as its name says."""
    form = path.name.rsplit(".", 1)[1]
    with tarfile.open(path, f"w:{'' if form == 'tar' else form}") as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path
