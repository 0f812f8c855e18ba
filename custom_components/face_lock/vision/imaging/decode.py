"""Turns bytes from outside into pixels; every limit is checked before any pixel is allocated."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..types import GreyImage, PictureError, Problem, RgbImage
from . import container, heic

FORMATS: Final = ("JPEG", "PNG", "WEBP")
MAX_BYTES: Final = 20 * 1024 * 1024
MAX_PIXELS: Final = 50_000_000
"""A 48-megapixel phone picture passes, a decompression bomb does not."""
MAX_PIXELS_WHOLE: Final = 16_000_000
"""The same for formats other than JPEG, which the decoder cannot shrink while it decodes."""
MAX_PIXELS_SCANNED: Final = 600_000_000
"""Pixels times scans of a JPEG: a progressive one has about ten, and each goes over all pixels."""
HEIC_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
"""Major brands of the HEIF containers that phones write (ISO/IEC 23008-12, annex B)."""
MAX_SIDE: Final = 1920
"""Longest side after decoding: more pixels cost time and do not help a face of 112 pixels."""
CAMERA_SIDE: Final = 5120
"""The same for a door's camera, before which a face may be small: none in use is much larger."""
MAX_ASPECT: Final = 16
"""Width over height of the grey view; one of 50,000,000 to 1 would take gigabytes."""

FILLING: Final = b"\xfe\xbf\x7e\xd5" * 16
"""Put where a JPEG was cut, to see whether any pixel depends on it. Zeros would not do: in the
usual codes they say that nothing changes, which is what a decoder takes missing data for."""

Draft = Callable[[Image.Image], Image.Image]

_UPRIGHT: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""The operation that turns a picture of each EXIF orientation upright."""


def decode_rgb(data: bytes, max_side: int = MAX_SIDE) -> RgbImage:
    """Decode a picture to uint8[H, W, 3], upright, longest side <= ``max_side``.

    It may be a JPEG, PNG, WebP or, where pillow-heif is installed, HEIC picture. Transparent areas
    become white, and 16 bits become 8.

    Raises:
        PictureError: empty, too large, of another type, animated, or corrupt.

    """

    def draft(image: Image.Image) -> Image.Image:
        # The decoder itself halves, quarters or eighths the picture, which is several times
        # cheaper than decoding it whole; never below the requested size.
        scale = max_side / max(image.size)
        if image.format == "JPEG" and scale < 1:
            image.draft("RGB", (int(image.width * scale), int(image.height * scale)))
        return image

    image, turned = _open(data, draft)
    try:
        upright = _opaque(image).convert("RGB")
        if turned in _UPRIGHT:
            upright = upright.transpose(_UPRIGHT[turned])
    except Exception as error:  # Pillow's decoders raise anything
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    if max(upright.size) > max_side:
        upright.thumbnail((max_side, max_side), Image.Resampling.BOX, reducing_gap=2.0)
    return np.asarray(upright, dtype=np.uint8)


def decode_grey(data: bytes, height: int = 96) -> GreyImage:
    """Decode to the gate's view: uint8[height, W], grey, upright, of the picture's aspect ratio.

    A JPEG is decoded at an eighth of its size where that is enough. A picture wider than 16 to 1 is
    squeezed to that ratio.

    Raises:
        PictureError: empty, too large, of another type, animated, or corrupt.

    """
    width = height

    def draft(image: Image.Image) -> Image.Image:
        nonlocal width
        width = _grey_width(image, height)
        if image.format == "JPEG":
            image.draft("L", (width, height))
        return image

    image, turned = _open(data, draft)
    try:
        grey = _opaque(image).convert("L")
        if turned in _UPRIGHT:
            grey = grey.transpose(_UPRIGHT[turned])
            width = _grey_width(grey, height)
        grey = grey.resize((width, height), Image.Resampling.BOX)
    except Exception as error:  # as above
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    return np.asarray(grey, dtype=np.uint8)


def _grey_width(image: Image.Image, height: int) -> int:
    return min(max(1, round(image.width * height / image.height)), MAX_ASPECT * height)


def picture_size(data: bytes) -> tuple[int, int]:
    """Return the width and height of the upright picture without decoding any pixel.

    Raises:
        PictureError: as `decode_rgb`, as far as the header shows it.

    """
    image, turned = _open(data)
    return (image.height, image.width) if turned >= 5 else (image.width, image.height)


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


def _open(data: bytes, draft: Draft | None = None) -> tuple[Image.Image, int]:
    """Read the header only, so that a size is refused before any pixel is decoded.

    ``draft`` chooses how much of it is to be decoded; a JPEG without an end is looked through then.

    Returns:
        The picture as it is stored, and its EXIF orientation, 1..8.

    """
    if not data:
        raise PictureError(Problem.PICTURE_EMPTY)
    if len(data) > MAX_BYTES:
        raise PictureError(Problem.PICTURE_TOO_LARGE)
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        image = heic.read(data)
        return (image if draft is None else draft(image)), 1
    plain = container.plain(data)
    image = _header(plain.ended() if plain.cut else plain.data)
    _check(image, plain)
    if draft is not None:
        image = draft(image)
        if plain.cut:
            _check_ending(image, draft(_header(plain.ended(FILLING))))
    if image.format == "WEBP":  # its parser extracts the metadata without reading it
        return image, container.orientation(image.info.get("exif", b""))
    return image, plain.orientation


def _header(data: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow only warns at its own limit; ours is below.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(io.BytesIO(data), formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(Problem.PICTURE_TOO_LARGE) from error
    except UnidentifiedImageError as error:
        raise PictureError(Problem.PICTURE_UNSUPPORTED) from error
    except Exception as error:  # Pillow's parsers raise anything
        raise PictureError(Problem.PICTURE_CORRUPT) from error


def _check_ending(image: Image.Image, filled: Image.Image) -> None:
    """Refuse a picture that needs what is missing: then other bytes in its place change pixels."""
    try:
        whole = np.array_equal(np.asarray(image), np.asarray(filled))
    except Exception as error:  # as above
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    if not whole:
        raise PictureError(Problem.PICTURE_CORRUPT)


def _check(image: Image.Image, plain: container.Plain) -> None:
    pixels = image.width * image.height
    if (
        pixels > (MAX_PIXELS if image.format == "JPEG" else MAX_PIXELS_WHOLE)
        or pixels * plain.scans > MAX_PIXELS_SCANNED
    ):
        raise PictureError(Problem.PICTURE_TOO_LARGE)
    if plain.animated or getattr(image, "is_animated", False):
        raise PictureError(Problem.PICTURE_ANIMATED)


def _opaque(image: Image.Image) -> Image.Image:
    """Bring a picture into a mode whose conversion to RGB or grey keeps its appearance."""
    image.load()  # a PNG may only say at its end what is transparent
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits at 255, so that nearly everything would be white.
        return Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype("u1"))
    if image.has_transparency_data:
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image
