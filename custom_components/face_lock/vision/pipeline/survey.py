"""Checks whether what a camera shows is good enough for a door, and if not, what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from ..imaging.decode import CAMERA_SIDE, decode_rgb, picture_size
from ..imaging.quality import luma
from ..networks.bundle import Bundle
from ..types import Face, Problem, RgbImage
from .usable import is_turned, look_at

MIN_SIDE: Final = 360
"""Pixels; in a smaller picture a face at the door is rarely wide enough."""
DARK: Final = 50.0
BRIGHT: Final = 215.0
"""Mean luma, 0..255, below which a picture is too dark, and above which it is washed out."""
MIN_RATE: Final = 1.0
"""Pictures per second: a visit needs three different ones within three seconds."""
PREVIEW_SIDE: Final = 480


class Shortcoming(StrEnum):
    """What is not good enough; the values are translation keys."""

    SMALL = "check_small"
    DARK = "check_dark"
    BRIGHT = "check_bright"
    SLOW = "check_slow"
    FROZEN = "check_frozen"
    NO_MODELS = "check_no_models"
    NO_FACE = "check_no_face"
    FACE_SMALL = "check_face_small"
    FACE_DARK = "check_face_dark"
    FACE_BLURRED = "check_face_blurred"
    FACE_TURNED = "check_face_turned"
    FACE_PARTIAL = "check_face_partial"


_OF_FACE: Final = {
    Problem.NO_FACE: Shortcoming.NO_FACE,
    Problem.FACE_TOO_SMALL: Shortcoming.FACE_SMALL,
    Problem.TOO_DARK: Shortcoming.FACE_DARK,
    Problem.BLURRED: Shortcoming.FACE_BLURRED,
}


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A few pictures of one camera, measured.

    ``brightness`` is the mean luma of the last picture, 0..255; ``rate`` is the number of different
    pictures per second, None if they came all at once; ``face_px`` is the width of the widest face
    in the camera's own pixels, None without a face; ``least_face_px`` is the width that it needs,
    None where no faces were looked for; ``preview`` is the last picture, shrunk, with a box around
    each face.
    """

    width: int
    height: int
    brightness: float
    rate: float | None
    face_px: float | None
    least_face_px: float | None
    shortcomings: tuple[Shortcoming, ...]
    preview: RgbImage


def survey(bundle: Bundle | None, pictures: Sequence[bytes], seconds: float) -> Survey:
    """Measure encoded pictures that were taken one after the other; blocks.

    ``seconds`` passed from the first to the last, or until waiting for another one was given up.
    Without a ``bundle`` no faces are looked for.

    Raises:
        PictureError: the last picture cannot be read.

    """
    width, height = picture_size(pictures[-1])
    # As at the door: what is measured here is what counts there.
    rgb = decode_rgb(pictures[-1], CAMERA_SIDE)
    brightness = float(luma(rgb).mean())
    changes = sum(new != old for old, new in pairwise(pictures))
    rate = changes / seconds if seconds > 0 else None
    faces = [] if bundle is None else sorted(bundle.detector.detect(rgb), key=lambda f: -f.width)
    found = _of_picture(width, height, brightness)
    if rate is not None and rate < MIN_RATE:
        is_frozen = len(pictures) > 1 and not changes
        found.append(Shortcoming.FROZEN if is_frozen else Shortcoming.SLOW)
    if bundle is None:
        found.append(Shortcoming.NO_MODELS)
    elif not faces:
        found += _of_turned(bundle, rgb, Shortcoming.NO_FACE)
    else:
        found += _of_face(bundle, rgb, faces[0])
    return Survey(
        width,
        height,
        brightness,
        rate,
        faces[0].width if faces else None,
        None if bundle is None else bundle.quality.min_face_px,
        tuple(found),
        with_boxes(rgb, faces),
    )


def with_boxes(rgb: RgbImage, faces: Sequence[Face], side: int = PREVIEW_SIDE) -> RgbImage:
    """Shrink uint8[H, W, 3] to a longest side of ``side`` and draw a box around each face."""
    image = Image.fromarray(rgb)
    scale = min(1.0, side / max(image.size))
    small = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))),
        Image.Resampling.BILINEAR,
        reducing_gap=2.0,
    )
    draw = ImageDraw.Draw(small)
    for face in faces:
        x1, y1, x2, y2 = (value * scale for value in face.box)
        draw.rectangle((x1, y1, max(x1, x2), max(y1, y2)), outline=(60, 220, 90), width=3)
    return np.asarray(small, dtype=np.uint8)


def _of_picture(width: int, height: int, brightness: float) -> list[Shortcoming]:
    found = []
    if min(width, height) < MIN_SIDE:
        found.append(Shortcoming.SMALL)
    if brightness < DARK:
        found.append(Shortcoming.DARK)
    elif brightness > BRIGHT:
        found.append(Shortcoming.BRIGHT)
    return found


def _of_face(bundle: Bundle, rgb: RgbImage, face: Face) -> list[Shortcoming]:
    problem = look_at(bundle, rgb, face).problem
    if problem is Problem.TURNED:
        return _of_turned(bundle, rgb, Shortcoming.FACE_PARTIAL)
    return [] if problem is None else [_OF_FACE[problem]]


def _of_turned(bundle: Bundle, rgb: RgbImage, otherwise: Shortcoming) -> list[Shortcoming]:
    return [Shortcoming.FACE_TURNED if is_turned(bundle, rgb) else otherwise]
