"""From a picture of any source to the crop that the pipeline stores."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageOps

import vision
from training.common import product
from training.common.pictures import CROP, STORED, encode

NO_PICTURE = "not a picture"


@dataclass(frozen=True)
class Found:
    """A picture as it lies in a source: its file's bytes, source, person (None: unknown).

    `where` names it for the one who looks for it. `face_px` is the width of the face in the picture
    that a crop was cut from, in pixels; NaN where nobody knows. `group` is what strangers are
    compared within, for example an origin and a sex; empty where nobody knows.
    """

    image: bytes
    source: str
    person: str | None
    where: str
    face_px: float = np.nan
    group: str = ""


@dataclass(frozen=True)
class Row:
    """One crop: stored bytes, source, person (None: unknown), width of the face, group."""

    image: bytes
    source: str
    person: str | None
    face_px: float
    group: str = ""


def stored(found: Found) -> Row | str:
    """Take an aligned crop as it is, or say why not; ValueError for a picture of another size."""
    try:
        with Image.open(io.BytesIO(found.image)) as picture:
            size = picture.size
    except (OSError, SyntaxError, ValueError):
        return NO_PICTURE
    if size not in {(CROP, CROP), (STORED, STORED)}:
        raise ValueError(
            f"{found.where} is {size[0]}x{size[1]}, no aligned crop of {CROP} or {STORED} pixels: "
            "say `aligned: false` of this source"
        )
    return Row(found.image, found.source, found.person, found.face_px, found.group)


class Aligner:
    """Detects and aligns the one face of a whole picture with the bundle, as at the door."""

    def __init__(self) -> None:
        self._align = vision.align
        self._detect = product.detector().detect

    def __call__(self, found: Found) -> Row | str:
        """Return the crop, or say why there is none."""
        try:
            with Image.open(io.BytesIO(found.image)) as picture:
                # A phone notes which way it was held, and stores the pixels unturned.
                rgb = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
        except (OSError, SyntaxError, ValueError):
            return NO_PICTURE
        faces = self._detect(rgb)
        if len(faces) != 1:
            return "several faces" if faces else "no face"
        crop = self._align(rgb, faces[0].landmarks)
        width = float(faces[0].box[2] - faces[0].box[0])
        return Row(encode(crop), found.source, found.person, width, found.group)
