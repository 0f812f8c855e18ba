"""Bytes from outside: decoded within limits, or refused with the reason."""

import contextlib
import io
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st
from PIL import Image

from vision import (
    PictureError,
    Problem,
    decode_grey,
    decode_rgb,
    encode_jpeg,
    encode_png,
    picture_size,
)
from vision.imaging.decode import MAX_BYTES, MAX_SIDE


def encoded(size=(64, 48), fmt="JPEG", mode="RGB", **options) -> bytes:
    gradient = np.linspace(0, 255, size[0] * size[1]).reshape(size[1], size[0]).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(gradient).convert(mode).save(buffer, fmt, **options)
    return buffer.getvalue()


def animated(fmt: str) -> bytes:
    pictures = [Image.new("RGB", (64, 48), colour) for colour in ("red", "green", "blue")]
    buffer = io.BytesIO()
    pictures[0].save(buffer, fmt, save_all=True, append_images=pictures[1:], duration=100)
    return buffer.getvalue()


HEIC = struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)
"""The beginning of a picture taken by an iPhone."""


def png_header(width: int, height: int) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", len(header))
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + struct.pack(">I", 0)
        + b"IDAT"
        + struct.pack(">I", zlib.crc32(b"IDAT"))
    )


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_decodes_every_allowed_format_to_rgb(fmt, mode):
    assert decode_rgb(encoded(fmt=fmt, mode=mode)).shape == (48, 64, 3)


def test_rotates_as_the_camera_was_held():
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees clockwise
    assert decode_rgb(encoded(exif=exif)).shape == (64, 48, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_gate_s_view_is_upright_too(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.zeros((240, 400, 3), np.uint8)
    stored[:60, :100] = 255
    buffer = io.BytesIO()
    Image.fromarray(stored).save(buffer, "JPEG", exif=exif)
    rgb, grey = decode_rgb(buffer.getvalue()), decode_grey(buffer.getvalue())
    assert grey.shape == (96, round(96 * rgb.shape[1] / rgb.shape[0]))
    small = np.asarray(
        Image.fromarray(rgb).convert("L").resize(grey.shape[::-1], Image.Resampling.BOX)
    )
    assert np.abs(small.astype(int) - grey).mean() < 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_size_is_that_of_the_upright_picture(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(exif=exif)
    height, width, _ = decode_rgb(data).shape
    assert picture_size(data) == (width, height)


def test_the_size_of_something_else_is_refused():
    with pytest.raises(PictureError):
        picture_size(b"not a picture")


@pytest.mark.parametrize(
    ("fmt", "mode"),
    [
        ("JPEG", "CMYK"),
        ("PNG", "P"),
        ("PNG", "1"),
        ("PNG", "LA"),
        ("PNG", "RGBA"),
        ("WEBP", "RGBA"),
    ],
)
def test_a_gradient_looks_the_same_in_every_mode(fmt, mode):
    for decode in (decode_rgb, decode_grey):
        pixels = decode(encoded((256, 96), fmt, mode)).astype(float)
        rows = pixels.reshape(96, -1).mean(axis=1)
        assert rows[:24].mean() < 45
        assert 90 < rows[36:60].mean() < 165
        assert rows[-24:].mean() > 210


def test_sixteen_bits_become_eight():
    ramp = np.linspace(0, 65535, 64 * 96).reshape(96, 64).astype(np.uint16)
    buffer = io.BytesIO()
    Image.fromarray(ramp).save(buffer, "PNG")
    expected = ramp >> 8
    assert np.array_equal(decode_rgb(buffer.getvalue())[:, :, 0], expected)
    assert np.array_equal(decode_grey(buffer.getvalue()), expected)


def test_what_is_transparent_is_white_whatever_colour_lies_below():
    hidden = Image.new("RGBA", (64, 96), (200, 0, 0, 0))
    hidden.paste((0, 0, 200, 255), (0, 0, 32, 96))
    for image in (hidden, hidden.quantize()):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        rgb = decode_rgb(buffer.getvalue())
        assert np.abs(rgb[40, 10].astype(int) - (0, 0, 200)).max() < 12
        assert rgb[40, 50].min() > 240
        assert decode_grey(buffer.getvalue())[40, 50] > 240


def test_of_a_jpeg_with_several_pictures_the_first_is_taken():
    first, second = Image.new("RGB", (64, 48), "white"), Image.new("RGB", (64, 48), "black")
    buffer = io.BytesIO()
    first.save(buffer, "MPO", save_all=True, append_images=[second])
    assert decode_rgb(buffer.getvalue()).min() > 250


def test_a_large_picture_is_shrunk_to_the_wanted_side():
    assert max(decode_rgb(encoded((3000, 1000))).shape) == MAX_SIDE
    assert decode_rgb(encoded((3000, 1000)), max_side=600).shape == (200, 600, 3)


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
def test_grey_view_keeps_the_aspect_ratio(fmt):
    grey = decode_grey(encoded((1920, 1080), fmt), height=96)
    assert grey.shape == (96, 171)
    assert grey[0].mean() < 10
    assert grey[-1].mean() > 245


@pytest.mark.parametrize(("size", "width"), [((3000, 1), 1536), ((1, 3000), 1), ((64, 4), 1536)])
def test_grey_view_of_a_strip_stays_small(size, width):
    assert decode_grey(encoded(size, "PNG")).shape == (96, width)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", Problem.PICTURE_EMPTY),
        (b"not a picture", Problem.PICTURE_UNSUPPORTED),
        (encoded(fmt="GIF"), Problem.PICTURE_UNSUPPORTED),
        (encoded(fmt="TIFF"), Problem.PICTURE_UNSUPPORTED),
        (animated("GIF"), Problem.PICTURE_UNSUPPORTED),
        (animated("WEBP"), Problem.PICTURE_ANIMATED),
        (animated("PNG"), Problem.PICTURE_ANIMATED),
        (HEIC, Problem.PICTURE_HEIC),
        (HEIC.replace(b"heic", b"mif1"), Problem.PICTURE_HEIC),
        (HEIC.replace(b"heic", b"mp42"), Problem.PICTURE_UNSUPPORTED),
        (encoded((640, 480))[:900], Problem.PICTURE_CORRUPT),
        (png_header(40_000, 40_000), Problem.PICTURE_TOO_LARGE),
        (png_header(8_000, 8_000), Problem.PICTURE_TOO_LARGE),
        (png_header(4_000, 4_001), Problem.PICTURE_TOO_LARGE),
        (b"\xff\xd8" + bytes(MAX_BYTES), Problem.PICTURE_TOO_LARGE),
    ],
)
@pytest.mark.parametrize("decode", [decode_rgb, decode_grey])
def test_refuses_with_the_reason(monkeypatch, decode, data, problem):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError) as refused:
        decode(data)
    assert refused.value.problem is problem


@given(st.binary(max_size=400), st.sampled_from(["JPEG", "PNG", "WEBP"]), st.integers(0, 2000))
def test_damaged_bytes_never_raise_anything_else(garbage, fmt, position):
    whole = encoded((40, 30), fmt)
    position %= len(whole)
    damaged = whole[:position] + garbage + whole[position + len(garbage) :]
    for decode in (decode_rgb, decode_grey):
        # Any other exception than the documented one fails the test.
        with contextlib.suppress(PictureError):
            assert decode(damaged).dtype == np.uint8


def test_png_keeps_every_pixel_and_jpeg_nearly(rng):
    pixels = rng.integers(0, 256, (112, 112, 3), dtype=np.uint8)
    assert np.array_equal(decode_rgb(encode_png(pixels)), pixels)
    smooth = np.full((112, 112, 3), 90, dtype=np.uint8)
    assert np.abs(decode_rgb(encode_jpeg(smooth)).astype(int) - 90).max() <= 2


# Cut off, and turned


def photograph(**options) -> bytes:
    """Make a JPEG of something that is not smooth, so that each of its bytes matters."""
    rng = np.random.default_rng(20261126)
    coarse = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((320, 240), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


KINDS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "with restarts": {"restart_marker_blocks": 4},
}


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("missing", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_is_read(options, missing):
    data = photograph(**options)
    cut = data[:-missing]
    assert np.array_equal(decode_rgb(cut), decode_rgb(data))
    assert np.array_equal(decode_grey(cut), decode_grey(data))
    assert picture_size(cut) == (320, 240)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("missing", [5, 8, 20, 60, 200])
def test_a_jpeg_of_which_a_part_is_missing_is_refused(options, missing):
    with pytest.raises(PictureError) as refused:
        decode_rgb(photograph(**options)[:-missing])
    assert refused.value.problem is Problem.PICTURE_CORRUPT


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9])
def test_half_a_jpeg_is_refused(share):
    data = photograph()
    for decode in (decode_rgb, decode_grey):
        with pytest.raises(PictureError):
            decode(data[: int(len(data) * share)])


def test_a_progressive_jpeg_whose_last_scans_are_missing_is_refused():
    data = photograph(progressive=True)
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    for scan in scans[1:]:
        with pytest.raises(PictureError):
            decode_rgb(data[:scan])


@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("kind", [1, 3, 4, 6, 8, 9])
def test_the_orientation_may_be_any_integer(kind, order):
    assert decode_rgb(turned(kind, order, 6)).shape == (320, 240, 3)


@pytest.mark.parametrize(("kind", "value"), [(2, 6), (5, 6), (7, 6), (12, 6), (4, 70_000), (8, -6)])
def test_an_orientation_that_is_none_turns_nothing(kind, value):
    assert decode_rgb(turned(kind, "II", value)).shape == (240, 320, 3)


def turned(kind: int, order: str, value: int) -> bytes:
    """Return a JPEG 320 wide whose EXIF orientation is of this TIFF type."""
    end = "<" if order == "II" else ">"
    layout = {1: "B", 3: "H", 6: "b", 8: "h", 9: "i"}.get(kind, "i" if value < 0 else "I")
    entry = struct.pack(f"{end}HHI", 0x0112, kind, 1) + struct.pack(end + layout, value).ljust(
        4, b"\0"
    )
    start = b"II*\0" if order == "II" else b"MM\0*"
    exif = b"Exif\0\0" + start + struct.pack(f"{end}IH", 8, 1) + entry + bytes(4)
    data = photograph()
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + data[2:]


class Heif:
    """Stands for pillow-heif, so that what is made of its answers is tried without it as well."""

    def __init__(self, size=(64, 48), *, broken=False):
        self.options = type("Options", (), {})()
        self.size = size
        self.broken = broken

    def open_heif(self, data, *, convert_hdr_to_8bit):
        assert data == HEIC
        assert convert_hdr_to_8bit
        if self.broken:
            raise ValueError("no picture")
        return self

    def to_pillow(self):
        return Image.new("RGB", self.size, (10, 200, 30))


def test_heic_is_read_where_the_package_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", Heif())
    rgb = decode_rgb(HEIC)
    assert rgb.shape == (48, 64, 3)
    assert (rgb[0, 0] == (10, 200, 30)).all()
    assert decode_grey(HEIC).shape == (96, 128)
    assert picture_size(HEIC) == (64, 48)


@pytest.mark.parametrize(
    ("package", "problem"),
    [
        (None, Problem.PICTURE_HEIC),
        (Heif(broken=True), Problem.PICTURE_CORRUPT),
        (Heif((6000, 6000)), Problem.PICTURE_TOO_LARGE),
    ],
)
def test_heic_that_cannot_be_read_says_why(monkeypatch, package, problem):
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    with pytest.raises(PictureError) as refused:
        decode_rgb(HEIC)
    assert refused.value.problem is problem
