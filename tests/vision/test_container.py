"""What a decoder sees of a file: the pixels unchanged, and nothing else."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.vision.test_decode import encoded
from vision import PictureError, Problem, decode_rgb, picture_size
from vision.imaging import container

PICTURES = Path(__file__).resolve().parents[1] / "pictures"


def segment(marker: int, content: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunks(png: bytes) -> list[bytes]:
    found, position = [], 8
    while position < len(png):
        found.append(png[position + 4 : position + 8])
        position += 12 + int.from_bytes(png[position : position + 4], "big")
    return found


def pillow(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


@pytest.mark.parametrize("name", ["biden", "collins", "hopper", "obama", "obama2", "obama3"])
def test_a_photograph_keeps_every_pixel(name):
    data = (PICTURES / f"{name}.jpg").read_bytes()
    assert np.array_equal(decode_rgb(data, 10_000), pillow(data))


@pytest.mark.parametrize(
    ("fmt", "options"),
    [
        ("JPEG", {"progressive": True}),
        ("JPEG", {"mode": "CMYK"}),
        ("JPEG", {"mode": "L", "restart_marker_rows": 1}),
        ("PNG", {"mode": "P"}),
        ("WEBP", {"lossless": True}),
    ],
)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_coding_and_orientation_looks_as_it_should(fmt, options, orientation):
    exif = Image.Exif()
    exif[0x010F] = "a camera's name, which is longer than four bytes"
    exif[0x0112] = orientation
    data = encoded((48, 32), fmt, exif=exif, **options)
    upright = pillow(data)
    assert np.array_equal(decode_rgb(data), upright)
    assert picture_size(data) == (upright.shape[1], upright.shape[0])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", [0, 1, 6, 8, 9, 65535])
def test_reads_the_orientation_alone(order, value):
    mark = b"II*\0" if order == "<" else b"MM\0*"
    tags = [(0x0100, 4, 1, 99), (0x0112, 3, 1, value)]
    entries = b"".join(
        struct.pack(f"{order}HHI", *tag[:3])
        + struct.pack(f"{order}{'I' if tag[1] == 4 else 'Hxx'}", tag[3])
        for tag in tags
    )
    exif = mark + struct.pack(f"{order}IH", 8, 2) + entries + bytes(4)
    wanted = value if 1 <= value <= 8 else 1
    assert container.orientation(exif) == container.orientation(b"Exif\0\0" + exif) == wanted
    for cut in range(len(exif)):
        assert container.orientation(exif[:cut]) in (1, wanted)


def test_nothing_but_pixels_is_left_of_a_jpeg():
    secret = b"where and when it was taken"
    exif = Image.Exif()
    exif[0x010F] = "a camera"
    exif[0x0112] = 3
    data = encoded((48, 32), exif=exif, icc_profile=secret, comment=secret)
    data = with_segments(data, segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + secret))
    plain = container.plain(data + secret)
    assert secret not in plain.data
    assert b"camera" not in plain.data
    assert plain.data.endswith(b"\xff\xd9")
    assert (plain.orientation, plain.scans) == (3, 1)
    assert np.array_equal(decode_rgb(data), pillow(data))


def test_nothing_but_pixels_is_left_of_a_png():
    exif = Image.Exif()
    exif[0x0112] = 5
    data = encoded(fmt="PNG", mode="P", exif=exif, icc_profile=b"secret", dpi=(72, 72))
    assert {b"eXIf", b"iCCP", b"pHYs"} < set(chunks(data))
    plain = container.plain(data + b"secret")
    assert set(chunks(plain.data)) == {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
    assert plain.orientation == 5


def test_what_lies_between_segments_is_skipped_as_decoders_do():
    data = encoded()
    after = 4 + int.from_bytes(data[4:6], "big")
    for junk in (b"\xff\xff\xff", b"\0\0\0", b"\xff\x01", b"\xff\0"):
        assert np.array_equal(decode_rgb(data[:after] + junk + data[after:]), pillow(data))


def test_scans_are_counted_to_the_end_of_the_first_picture():
    first, second = encoded(progressive=True), encoded(progressive=True)
    scans = container.plain(first).scans
    assert scans > 5
    assert container.plain(first + second).scans == scans
    assert container.plain(with_segments(first, segment(0xE1, second))).scans == scans


def test_a_small_file_of_many_scans_is_refused_where_it_would_take_long():
    large = encoded((4000, 3000), mode="L", progressive=True)
    last = large[large.rindex(b"\xff\xda") : -2]
    assert decode_rgb(large[:-2] + last * 10 + b"\xff\xd9").shape == (1440, 1920, 3)
    with pytest.raises(PictureError) as refused:
        decode_rgb(large[:-2] + last * 100 + b"\xff\xd9")
    assert refused.value.problem is Problem.PICTURE_TOO_LARGE


@pytest.mark.parametrize("fmt", ["JPEG", "PNG"])
def test_a_file_of_too_many_parts_is_refused(fmt):
    data = encoded(fmt=fmt)
    part = segment(0xE5, b"") if fmt == "JPEG" else struct.pack(">I4sI", 0, b"spAm", 0)
    start = 2 if fmt == "JPEG" else 8 + 25
    for number in (1000, 20_000):
        many = data[:start] + part * number + data[start:]
        if number < container.MAX_PARTS:
            assert np.array_equal(decode_rgb(many), pillow(data))
            continue
        with pytest.raises(PictureError) as refused:
            decode_rgb(many)
        assert refused.value.problem is Problem.PICTURE_CORRUPT


@pytest.mark.parametrize("frame", [0xC3, 0xC9, 0xCA, 0xCF])
def test_a_way_of_coding_that_no_camera_uses_is_refused(frame):
    with pytest.raises(PictureError) as refused:
        decode_rgb(encoded().replace(b"\xff\xc0", bytes([0xFF, frame])))
    assert refused.value.problem is Problem.PICTURE_UNSUPPORTED
