"""Aligned crops as stored: 112x112 pixels, or 128x128 with a border of 8 around them."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

CROP = 112
BORDER = 8
STORED = CROP + 2 * BORDER


def decode(data: bytes) -> np.ndarray:
    """Decode a stored crop to uint8 [128, 128, 3]; ValueError for any size but 128x128 and 112x112.

    A crop without a border gets a black one.
    """
    with Image.open(io.BytesIO(data)) as picture:
        rgb = np.asarray(picture.convert("RGB"))
    if rgb.shape == (CROP, CROP, 3):
        return with_border(rgb)
    if rgb.shape != (STORED, STORED, 3):
        raise ValueError(f"a stored crop is {STORED}x{STORED} or {CROP}x{CROP}, not {rgb.shape}")
    return rgb


def with_border(rgb: np.ndarray) -> np.ndarray:
    """Put a black border around uint8 [..., 112, 112, 3], as alignment does outside a picture.

    Repeating the edge instead would leave stripes, which make all faces alike: the rate of
    strangers accepted rises ten times and more.
    """
    around = ((BORDER, BORDER), (BORDER, BORDER), (0, 0))
    return np.pad(rgb, ((0, 0),) * (rgb.ndim - 3) + around)


def encode(rgb: np.ndarray) -> bytes:
    """Encode uint8 [H, W, 3] without loss."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    """Send uint8 [H, W, 3] through JPEG of `quality` (1..95)."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    with Image.open(buffer) as picture:
        return np.array(picture.convert("RGB"))


def centre(stored: np.ndarray) -> np.ndarray:
    """Return what a recogniser gets: uint8 [..., 112, 112, 3] of uint8 [..., 128, 128, 3]."""
    return stored[..., BORDER : BORDER + CROP, BORDER : BORDER + CROP, :]


def decode_centres(data: Sequence[bytes]) -> np.ndarray:
    """Decode stored crops and return uint8 [N, 112, 112, 3]."""
    return np.stack([centre(decode(item)) for item in data])
