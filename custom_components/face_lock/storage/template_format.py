"""How people's pictures lie in their file, and reading whatever is found there."""

from __future__ import annotations

import base64
from math import hypot
from typing import Any, Final, NotRequired, TypedDict

import numpy as np

from ..vision import MAX_CROWDING, Portrait, Template, decode_rgb, encode_png
from ..vision.imaging.align import CROP_SIZE
from .key import DamagedError

LONGEST: Final = 1.01 * hypot(1.0, MAX_CROWDING)
"""More than this is the length of no embedding."""

CROP_SHAPE: Final = (CROP_SIZE, CROP_SIZE, 3)

Album = tuple[Portrait, ...]


class StoredPicture(TypedDict):
    """One picture: PNG and little-endian float32, both base64, and the model's id."""

    crop: NotRequired[str]
    embedding: str
    model: str


class StoredPerson(TypedDict):
    """One person's pictures."""

    pictures: list[StoredPicture]


class StoredData(TypedDict):
    """The whole file: person id -> person."""

    people: dict[str, StoredPerson]


def serialise_picture(portrait: Portrait) -> StoredPicture:
    """Return what is written of a picture."""
    embedding = portrait.template.embedding.astype("<f4").tobytes()
    picture: StoredPicture = {
        "embedding": base64.b64encode(embedding).decode(),
        "model": portrait.template.model,
    }
    if portrait.crop is not None:
        picture["crop"] = base64.b64encode(encode_png(portrait.crop)).decode()
    return picture


def _check(content: Any) -> StoredData:
    """Return ``content`` if it holds people with lists of pictures, whatever those are.

    Raises:
        DamagedError: it does not.

    """
    people = content.get("people") if isinstance(content, dict) else None
    if not isinstance(people, dict) or not all(
        isinstance(person, dict) and isinstance(person.get("pictures"), list)
        for person in people.values()
    ):
        raise DamagedError
    return {"people": people}


def parse(stored: Any) -> tuple[dict[str, Album], dict[str, list[Any]]]:
    """Return the readable pictures of each person, and the unreadable as they are."""
    people: dict[str, Album] = {}
    aside: dict[str, list[Any]] = {}
    if stored is None:
        return people, aside
    for person, content in _check(stored)["people"].items():
        parsed = [(picture, _parse_picture(picture)) for picture in content["pictures"]]
        people[person] = tuple(portrait for _, portrait in parsed if portrait is not None)
        if unreadable := [picture for picture, portrait in parsed if portrait is None]:
            aside[person] = unreadable
    return people, aside


def _parse_picture(stored: Any) -> Portrait | None:
    try:
        crop = decode_rgb(_bytes(stored["crop"])) if "crop" in stored else None
        embedding = np.frombuffer(_bytes(stored["embedding"]), "<f4")
        # A unit direction, with or (of an older model) without the crowding behind it.
        norm = float(np.linalg.norm(embedding))
        if (crop is not None and crop.shape != CROP_SHAPE) or not 0.99 < norm < LONGEST:
            raise ValueError("not a crop and its embedding")  # noqa: TRY301
        return Portrait(crop, Template(embedding.astype(np.float32), str(stored["model"])))
    except (KeyError, TypeError, ValueError):
        return None


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def has_crop(stored: Any) -> bool:
    """Whether what is written of a picture, whatever it is, has a crop."""
    return isinstance(stored, dict) and "crop" in stored


def without_crop(stored: Any) -> Any:
    """Take the crop from what is written of a picture, whatever it is."""
    return {k: v for k, v in stored.items() if k != "crop"} if has_crop(stored) else stored
