"""Small valid pictures of every kind that reaches a door, generated in order to be damaged."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

PNG_MARK = b"\x89PNG\r\n\x1a\n"


def segment(marker: int, content: bytes) -> bytes:
    """Make a JPEG's segment."""
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(content) + 2) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    """Make a PNG's chunk, with its checksum."""
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def png(width: int, height: int, depth: int, colour: int, raw: bytes, *extra: bytes) -> bytes:
    """Make a PNG of filtered rows, with ``extra`` chunks before them."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"".join(
        (
            PNG_MARK,
            chunk(b"IHDR", header),
            *extra,
            chunk(b"IDAT", zlib.compress(raw, 9)),
            chunk(b"IEND", b""),
        )
    )


def exif_of(entries: list[tuple[int, int, int, int]], rest: bytes = b"") -> bytes:
    """Make an EXIF directory of (tag, type, count, value or offset)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + rest


def _scene(width: int, height: int) -> Image.Image:
    """Draw something with edges, slopes and noise."""
    rng = np.random.default_rng(width * 1000 + height)
    y, x = np.mgrid[:height, :width]
    pixels = np.stack([x * 255 // width, y * 255 // height, (x // 5 + y // 7) % 2 * 200], axis=2)
    noisy = pixels + rng.integers(-20, 20, pixels.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _deep_png(depth: int, colour: int) -> bytes:
    """Make a PNG of any depth and colour type; Pillow writes only some."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    rng = np.random.default_rng(depth * 10 + colour)
    row = -(-16 * channels * depth // 8)
    raw = b"".join(
        bytes([n % 5]) + rng.integers(0, 256, row, np.uint8).tobytes() for n in range(12)
    )
    palette = (chunk(b"PLTE", bytes(range(3 * min(2**depth, 85)))),) if colour == 3 else ()
    return png(16, 12, depth, colour, raw, *palette)


def _interlaced() -> bytes:
    """Make a grey PNG of 16 by 12 pixels in seven passes (Adam7), which Pillow cannot write."""
    pixels = np.arange(192, dtype=np.uint8).reshape(12, 16)
    passes = (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    )
    rows = [row for x, y, dx, dy in passes for row in pixels[y::dy, x::dx]]
    header = struct.pack(">IIBBBBB", 16, 12, 8, 0, 0, 0, 1)
    raw = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    return PNG_MARK + chunk(b"IHDR", header) + chunk(b"IDAT", raw) + chunk(b"IEND", b"")


@cache
def seeds() -> dict[str, bytes]:
    """Name -> file."""
    scene, small = _scene(40, 32), _scene(16, 16)
    clear = scene.copy().convert("RGBA")
    clear.putalpha(scene.convert("L"))
    exif = Image.Exif()
    exif[0x010F] = "a camera of some make"
    exif[0x0112] = 6
    exif[0x8769] = {0x9003: "2026:11:24 08:00:00"}
    frames = [_scene(24, 24 + 8 * n).resize((24, 24)) for n in range(3)]
    several = {"save_all": True, "append_images": frames[1:]}
    icc = bytes(range(256)) * 2
    found = {
        "jpeg": _saved(scene, "JPEG"),
        "jpeg-progressive": _saved(scene, "JPEG", progressive=True),
        "jpeg-grey": _saved(scene.convert("L"), "JPEG"),
        "jpeg-cmyk": _saved(scene.convert("CMYK"), "JPEG"),
        "jpeg-exif": _saved(scene, "JPEG", exif=exif, icc_profile=icc, comment=b"hello"),
        "jpeg-restarts": _saved(scene, "JPEG", restart_marker_rows=1, subsampling=0),
        "jpeg-optimised": _saved(scene, "JPEG", optimize=True, quality=30),
        "jpeg-mpo": _saved(small, "MPO", save_all=True, append_images=[_scene(16, 24)]),
        "png": _saved(scene, "PNG"),
        "png-grey-alpha": _saved(clear.convert("LA"), "PNG"),
        "png-alpha": _saved(clear, "PNG"),
        "png-palette": _saved(clear.quantize(32), "PNG"),
        "png-exif": _saved(small, "PNG", exif=exif, icc_profile=icc, dpi=(72, 72)),
        "png-animated": _saved(frames[0], "PNG", **several),
        "webp-lossy": _saved(scene, "WEBP"),
        "webp-lossless": _saved(scene, "WEBP", lossless=True),
        "webp-alpha": _saved(clear, "WEBP", exif=exif, icc_profile=icc),
        "webp-animated": _saved(frames[0], "WEBP", **several),
        "gif": _saved(frames[0], "GIF", **several),
        "bmp": _saved(small, "BMP"),
        "tiff": _saved(small, "TIFF", compression="tiff_lzw"),
        "ico": _saved(small, "ICO"),
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><rect width="9" height="9"/></svg>',
        "heic": struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(64),
        "avif": struct.pack(">I", 24) + b"ftypavif" + bytes(4) + b"mif1avif" + bytes(64),
        "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\n%%EOF",
    }
    found |= {
        f"png-{depth}-{colour}": _deep_png(depth, colour)
        for colour, depths in {
            0: (1, 2, 4, 8, 16),
            2: (8, 16),
            3: (1, 2, 4, 8),
            4: (8, 16),
            6: (8, 16),
        }.items()
        for depth in depths
    }
    found["png-interlaced"] = _interlaced()
    return found
