"""Images as bytes: every kind of file upright and in plain colours, damage named; arrays of an .npz likewise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from supernet.errors import DataError
from supernet.tasks.image_files import Form, check_same_form, decode_image, read_npz
from tests.supernet.tasks.pictures import encode, pixels, png

if TYPE_CHECKING:
    from numpy.typing import NDArray

AS_IT_IS = Form(None, None)


def decode(content: bytes, image_size: int | None = None, channels: int | None = None) -> NDArray[np.uint8]:
    return decode_image("x", content, Form(image_size, channels))


def test_pixels_arrive_unchanged() -> None:
    np.testing.assert_array_equal(decode(png(1)), pixels(1).transpose(2, 0, 1))
    np.testing.assert_array_equal(decode(png(1, channels=1)), pixels(1, channels=1)[None])
    for form in ("BMP", "TIFF", "PPM"):
        np.testing.assert_array_equal(decode(encode(Image.fromarray(pixels(1)), form)), pixels(1).transpose(2, 0, 1))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "JPEG"])
def test_formats_that_lose_detail_stay_close(form: str) -> None:
    smooth = np.linspace(20, 200, 16, dtype=np.uint8)[:, None].repeat(16, 1)
    found = decode(encode(Image.fromarray(smooth).convert("RGB"), form))
    assert found.shape == (3, 16, 16)
    assert float(np.abs(found - smooth.astype(float)).max()) < 16


def test_a_picture_lies_as_its_camera_was_held() -> None:
    image = Image.fromarray(pixels(1)[:4])
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    found = decode(encode(image, exif=exif))
    np.testing.assert_array_equal(found, np.rot90(pixels(1)[:4], -1).transpose(2, 0, 1))


def test_unusual_pixels_become_plain_ones() -> None:
    grey16 = Image.fromarray(np.array([[0, 256 * 7, 65_535]], dtype=np.uint16))
    assert decode(encode(grey16)).tolist() == [[[0, 7, 255]]]
    assert decode(encode(Image.fromarray(np.array([[True, False]])))).tolist() == [[[255, 0]]]
    palette = Image.fromarray(np.array([[0, 1]], dtype=np.uint8), "P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    assert decode(encode(palette)).tolist() == [[[10, 40]], [[20, 50]], [[30, 60]]]
    see_through = Image.fromarray(np.array([[[9, 9, 9, 0], [9, 8, 7, 255]]], dtype=np.uint8))
    assert decode(encode(see_through)).tolist() == [[[255, 9]], [[255, 8]], [[255, 7]]]
    grey = Image.fromarray(np.array([[[0, 0], [0, 255]]], dtype=np.uint8), "LA")
    assert decode(encode(grey)).tolist() == [[[255, 0]]]
    with pytest.raises(DataError, match="the image x has pixels of 32 bits"):
        decode(encode(Image.fromarray(np.zeros((2, 2), np.float32)), "TIFF"))


def test_channels_and_size_can_be_chosen() -> None:
    assert decode(png(1), channels=1).shape == (1, 6, 6)
    found = decode(png(1, channels=1), channels=3)
    assert (found == pixels(1, channels=1)).all()
    assert decode(png(1, side=8), image_size=4).shape == (3, 4, 4)
    wide = np.zeros((4, 12), np.uint8)
    wide[:, 2:10] = 200
    assert (decode(encode(Image.fromarray(wide)), image_size=2) == 200).all(), "the middle, in its own proportions"


def test_damaged_files_are_named() -> None:
    good = encode(Image.fromarray(pixels(1, side=40)), "JPEG")
    for content in (b"", b"text", png(1)[:60], good[:40], good[: len(good) // 2]):
        with pytest.raises(DataError, match=r"the image x cannot be read: .*take it out"):
            decode(content)


def test_no_damage_escapes() -> None:
    random = np.random.default_rng(0)
    smooth = Image.fromarray(np.linspace(0, 255, 300, dtype=np.uint8).reshape(10, 30).repeat(2, 0))
    for form in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        good = encode(smooth, form)
        for _ in range(60):
            content = bytearray(good)
            for position in random.integers(0, len(good), 3):
                content[position] = random.integers(0, 256)
            try:
                found = decode(bytes(content))
            except DataError:
                continue
            assert found.dtype == np.uint8


def test_differing_forms_are_named() -> None:
    small, large, grey = (decode(content) for content in (png(1), png(1, side=7), png(1, channels=1)))
    check_same_form([small, small], ["a", "b"], AS_IT_IS)
    with pytest.raises(DataError, match="a has 6 x 6 pixels and c 7 x 7; set `image_size`"):
        check_same_form([small, small, large], ["a", "b", "c"], AS_IT_IS)
    with pytest.raises(DataError, match="a is coloured and b grey; set `channels` to 1 or 3"):
        check_same_form([small, grey], ["a", "b"], AS_IT_IS)


def save(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


def parts(source: Path, form: Form = AS_IT_IS) -> dict[str | None, tuple[NDArray[np.uint8], list[int]]]:
    return {split: (images, labels.tolist()) for split, images, labels in read_npz(source, form)}


def test_arrays_of_every_layout_are_read(tmp_path: Path) -> None:
    colour = np.stack([pixels(i) for i in range(4)])
    grey = colour[..., 0]
    for images in (grey, grey[..., None], grey[:, None], grey / np.float32(255), grey.astype(np.int64)):
        found, labels = parts(save(tmp_path / "x.npz", x=images, y=np.array([[5], [6], [5], [-1]])))[None]
        np.testing.assert_array_equal(found, grey[:, None])
        assert labels == [5, 6, 5, -1]
    for images in (colour, colour.transpose(0, 3, 1, 2)):
        found, _ = parts(save(tmp_path / "x.npz", x=images, y=np.arange(4)))[None]
        np.testing.assert_array_equal(found, colour.transpose(0, 3, 1, 2))
    source = save(tmp_path / "x.npz", x_train=grey, y_train=np.arange(4), x_val=grey[:1], y_val=np.arange(1),
                  x_test=grey[:2], y_test=np.arange(2))  # fmt: skip
    assert {split: len(labels) for split, (_, labels) in parts(source).items()} == {
        "train": 4,
        "validation": 1,
        "test": 2,
    }
    assert parts(source, Form(3, 3))["train"][0].shape == (4, 3, 3, 3)
    assert parts(source, Form(6, 1))["train"][0].shape == (4, 1, 6, 6)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros(3)}, "holds images; it needs x and y, or x_train"),
        ({"x_test": np.zeros((2, 4, 4), np.uint8), "y_test": np.arange(2)}, "it needs x and y"),
        ({"x": np.zeros((2, 4, 4), np.uint8)}, "there is x without y"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.arange(3)}, r"y has the shape \(3,\), but x has 2 images"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.zeros(2)}, "y is of type float64; labels are whole numbers"),
        ({"x": np.zeros((2, 4, 4), np.uint8), "y": np.array(["a", "b"])}, "y is of type <U1"),
        ({"x": np.zeros((2, 4, 4, 2), np.uint8), "y": np.arange(2)}, r"x has the shape \(2, 4, 4, 2\); images are"),
        ({"x": np.zeros((0, 4, 4), np.uint8), "y": np.arange(0)}, "x has the shape"),
        ({"x": np.full((2, 4, 4), 300), "y": np.arange(2)}, "x has pixels from 300 to 300; whole ones lie"),
        (
            {"x": np.full((2, 4, 4), np.nan), "y": np.arange(2)},
            "x has pixels from nan to nan; those that are not whole",
        ),
        ({"x": np.full((2, 4, 4), "a"), "y": np.arange(2)}, "x is of type <U1; pixels are numbers"),
        ({"x": np.array([None]), "y": np.arange(1)}, r"cannot be read as \.npz: Object arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        parts(save(tmp_path / "x.npz", **arrays))


def test_a_damaged_npz_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "x.npz", x=np.zeros((20, 4, 4), np.uint8), y=np.arange(20))
    content = path.read_bytes()
    for damaged in (b"", b"text", content[: len(content) // 2], content.replace(b"NUMPY", b"NUMPX")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"x\.npz cannot be read as \.npz"):
            parts(path)
