"""Reads HEIC, as phones write it, where the package that can is installed."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Final

from PIL import Image

from ..types import PictureError, Problem

REQUIREMENT: Final = "pillow-heif==1.8.1"
"""What the shell may install; it has wheels for glibc and musl."""
MAX_PIXELS: Final = 25_000_000
"""A phone's 24 megapixels pass; unlike a JPEG, it cannot be shrunk while it is decoded."""


def read(data: bytes) -> Image.Image:
    """Return the first picture of a HEIC file, upright and not decoded yet.

    Raises:
        PictureError: it cannot be read here, or it is too large or corrupt.

    """
    try:
        pillow_heif = _package()
    except ImportError as error:
        raise PictureError(Problem.PICTURE_HEIC) from error
    try:
        # Nothing but the pixels is asked for; the container itself says how they are turned.
        picture = pillow_heif.open_heif(data, convert_hdr_to_8bit=True)
        width, height = picture.size
    except Exception as error:  # the decoder's wrapper raises anything
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    if width * height > MAX_PIXELS:
        raise PictureError(Problem.PICTURE_TOO_LARGE)
    try:
        shown: Image.Image = picture.to_pillow()
    except Exception as error:
        raise PictureError(Problem.PICTURE_CORRUPT) from error
    return shown


def _package() -> ModuleType:
    package = import_module("pillow_heif")
    package.options.THUMBNAILS = False
    package.options.DECODE_THREADS = 1
    return package
