"""Images as arrays of bytes (channels, height, width): from files by way of Pillow, or from the arrays of an .npz."""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from supernet.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
GREY = ("1", "L", "LA", "La", "I;16", "I;16B", "I;16L", "I;16N")
UNBOUNDED = ("I", "F")  # 32-bit pixels: nothing says which value is white


@dataclass(frozen=True)
class Form:
    """What every image is made to be; None leaves it as it is."""

    image_size: int | None  # pixels, of both sides
    channels: int | None  # 1 or 3


def decode_image(name: str, content: bytes, form: Form) -> NDArray[np.uint8]:
    """The first picture of a file, upright.  Raises `DataError`, naming the file, where it cannot be read.

    Transparent parts lie on white.  A new size keeps the proportions: the shorter side is fitted, the middle cut out.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content)) as picture:
            ImageOps.exif_transpose(picture, in_place=True)
            return _array(_fitted(_plain(name, picture, form.channels), form.image_size))
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise almost anything for a damaged file
        raise DataError(
            f"the image {name} cannot be read: {error}.  Save it again, or take it out of the data."
        ) from error


def check_same_form(images: list[NDArray[np.uint8]], names: list[str], form: Form) -> None:
    """Raise `DataError` where images differ in size or channels, naming two that do."""
    for image, name in zip(images, names, strict=True):
        if image.shape[0] != images[0].shape[0]:
            raise DataError(
                f"{names[0]} is {_colour(images[0])} and {name} {_colour(image)}; set `channels` to 1 or 3 to have all "
                "in one."
            )
        if image.shape != images[0].shape:
            first, other = (f"{shape[2]} x {shape[1]}" for shape in (images[0].shape, image.shape))
            raise DataError(f"{names[0]} has {first} pixels and {name} {other}; set `image_size` to have all in one.")


def read_npz(source: Path, form: Form) -> Iterator[tuple[str | None, NDArray[np.uint8], NDArray[np.int64]]]:
    """Each part of an .npz that it holds: its split or None, images (samples, channels, height, width), labels.

    Raises `DataError` where arrays are missing, of the wrong type, or do not belong together.
    """
    try:
        with source.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{source} cannot be read as .npz: {error}.  Make it again with numpy.savez.") from error
    parts = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}
    found = {f"x_{part}": (split, f"y_{part}") for part, split in parts.items()} | {"x": (None, "y")}
    here = [name for name in found if name in arrays]
    if not {"x", "x_train"} & set(here):
        raise DataError(
            f"{source} holds {', '.join(arrays) or 'no arrays'}; it needs x and y, or x_train and y_train with, if you "
            "like, x_validation, y_validation, x_test and y_test."
        )
    for name in here:
        split, labels = found[name]
        images = _npz_images(name, arrays[name], form)
        yield split, images, _npz_labels(labels, arrays.get(labels), name, len(images))


def _plain(name: str, picture: Image.Image, channels: int | None) -> Image.Image:
    """In grey or red, green and blue, 8 bits each."""
    from PIL import Image

    if picture.mode in UNBOUNDED:
        raise DataError(f"the image {name} has pixels of 32 bits (mode {picture.mode}); save it with 8 or 16 bits.")
    grey = picture.mode in GREY
    if picture.mode.startswith("I;16"):  # Pillow would cut what is brighter than 255
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if picture.has_transparency_data:
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        picture = white
    wanted = "L" if channels == 1 or (channels is None and grey) else "RGB"
    return picture if picture.mode == wanted else picture.convert(wanted)


def _fitted(picture: Image.Image, image_size: int | None) -> Image.Image:
    from PIL import Image, ImageOps

    if image_size is None or picture.size == (image_size, image_size):
        return picture
    return ImageOps.fit(picture, (image_size, image_size), Image.Resampling.BILINEAR)


def _array(picture: Image.Image) -> NDArray[np.uint8]:
    pixels = np.asarray(picture, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _colour(image: NDArray[Any]) -> str:
    return "grey" if image.shape[0] == 1 else "coloured"


def _npz_images(name: str, images: NDArray[Any], form: Form) -> NDArray[np.uint8]:
    """As (samples, channels, height, width) bytes; channels may come last, first, or not at all."""
    from PIL import Image

    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim == 4 and images.shape[3] in (1, 3):
        images = images.transpose(0, 3, 1, 2)
    if images.ndim != 4 or images.shape[1] not in (1, 3) or 0 in images.shape:
        raise DataError(
            f"{name} has the shape {images.shape}; images are (samples, height, width) or (samples, height, width, "
            "channels) with 1 or 3 channels."
        )
    plain = _bytes(name, images)
    sides = plain.shape[2:] if form.image_size is None else (form.image_size, form.image_size)
    if plain.shape[2:] == sides and form.channels in (None, plain.shape[1]):
        return plain
    pictures = [Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)) for image in plain]
    return np.stack([_array(_fitted(_plain(name, picture, form.channels), form.image_size)) for picture in pictures])


def _bytes(name: str, images: NDArray[Any]) -> NDArray[np.uint8]:
    if images.dtype.kind not in "uif":
        raise DataError(f"{name} is of type {images.dtype}; pixels are numbers.")
    low, high = float(images.min()), float(images.max())
    if images.dtype.kind == "f":
        if not (low >= 0 and high <= 1):  # also where one is NaN
            raise DataError(f"{name} has pixels from {low:g} to {high:g}; those that are not whole lie from 0 to 1.")
        return np.round(images * 255).astype(np.uint8)
    if low < 0 or high > 255:
        raise DataError(f"{name} has pixels from {low:g} to {high:g}; whole ones lie from 0 to 255.")
    return np.ascontiguousarray(images.astype(np.uint8))


def _npz_labels(name: str, labels: NDArray[Any] | None, images: str, count: int) -> NDArray[np.int64]:
    if labels is None:
        raise DataError(f"there is {images} without {name}; each image needs a label.")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.shape != (count,):
        raise DataError(f"{name} has the shape {labels.shape}, but {images} has {count} images; each needs one label.")
    if labels.dtype.kind not in "ui":
        raise DataError(f"{name} is of type {labels.dtype}; labels are whole numbers.")
    return labels.astype(np.int64)
