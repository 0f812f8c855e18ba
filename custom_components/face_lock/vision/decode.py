"""Bytes from outside -> pixels, with every limit checked before the pixels are allocated."""

from __future__ import annotations

import io
import warnings
from typing import Final

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from .types import GreyImage, PictureError, Problem, RgbImage

FORMATS: Final = ("JPEG", "PNG", "WEBP")
MAX_BYTES: Final = 20 * 1024 * 1024
MAX_PIXELS: Final = 50_000_000
"""A 48-megapixel phone picture passes, a decompression bomb does not."""
MAX_SIDE: Final = 1920
"""Longest side after decoding: more pixels cost time and do not help a face of 112 pixels."""


def decode_rgb(data: bytes, max_side: int = MAX_SIDE) -> RgbImage:
    """Decode a JPEG, PNG or WebP picture to uint8[H, W, 3], upright, longest side <= ``max_side``.

    Raises:
        PictureError: empty, too large, of another type, or corrupt.

    """
    image = _open(data)
    try:
        if image.format == "JPEG":
            # The decoder itself halves, quarters or eighths the picture, which is several times
            # cheaper than decoding it whole; never below the size that is wanted.
            scale = max_side / max(image.size)
            if scale < 1:
                image.draft("RGB", (int(image.width * scale), int(image.height * scale)))
        upright = ImageOps.exif_transpose(image).convert("RGB")
    except PictureError:
        raise
    except Exception as error:  # Pillow's decoders raise whatever they met
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    if max(upright.size) > max_side:
        upright.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(upright, dtype=np.uint8)


def decode_grey(data: bytes, height: int = 96) -> GreyImage:
    """Decode to a small grey picture uint8[height, W] that keeps the aspect ratio: the gate's view.

    A JPEG is decoded at an eighth of its size where that suffices.

    Raises:
        PictureError: empty, too large, of another type, or corrupt.

    """
    image = _open(data)
    try:
        width = max(1, round(image.width * height / image.height))
        if image.format == "JPEG":
            image.draft("L", (width, height))
        grey = image.convert("L").resize((width, height), Image.Resampling.BOX)
    except Exception as error:  # as above
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    return np.asarray(grey, dtype=np.uint8)


def encode_jpeg(rgb: RgbImage, quality: int = 92) -> bytes:
    """Encode uint8[H, W, 3] as JPEG, without metadata."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def encode_png(rgb: RgbImage) -> bytes:
    """Encode uint8[H, W, 3] without loss: a reference crop must give the same embedding again."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _open(data: bytes) -> Image.Image:
    """Read the header only; the size is known and refused before any pixel is decoded."""
    if not data:
        raise PictureError(Problem.PICTURE_EMPTY)
    if len(data) > MAX_BYTES:
        raise PictureError(Problem.PICTURE_TOO_LARGE)
    try:
        with warnings.catch_warnings():
            # Pillow only warns at its own limit; ours is below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(Problem.PICTURE_TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise PictureError(Problem.PICTURE_UNSUPPORTED) from error
    except Exception as error:  # Pillow's parsers raise whatever they met
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(Problem.PICTURE_TOO_LARGE)
    return image
