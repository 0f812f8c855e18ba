"""The pictures of one person while they are being chosen: what was kept, and what was refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.core import HomeAssistant

from ..vision import (
    Bundle,
    DecisionPolicy,
    Gallery,
    HeadPose,
    Matcher,
    PictureError,
    Portrait,
    Problem,
    decode_rgb,
    find_face,
    gallery_matcher,
    head_pose,
    portray,
    with_boxes,
)
from ..vision.imaging.decode import MAX_BYTES
from ..vision.matching.similarity import centre, cosine
from ..vision.types import Face, RgbImage

MAX_PICTURES: Final = 10
SAME_PICTURE: Final = DecisionPolicy().same_frame
LOOSE_RATE: Final = 1e-3
"""From the threshold of this rate on, a resemblance is worth a warning."""
PREVIEW_SIDE: Final = 320


class RefusedError(Exception):
    """A picture was refused; ``key`` is a translation key."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


@dataclass(frozen=True, slots=True, eq=False)
class Standard:
    """What a new picture is held to: who else is enrolled, and the least strict door's rate."""

    bundle: Bundle
    others: Gallery
    rate: float


@dataclass(slots=True, eq=False)
class Album:
    """Pictures that were kept, and the names of those that were not with a translation key."""

    portraits: list[Portrait] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    @property
    def room(self) -> int:
        """How many more pictures may come."""
        return MAX_PICTURES - len(self.portraits)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture of the camera, looked at; ``portrait`` is None where the pose was another."""

    preview: RgbImage
    problem: str | None = None
    pose: HeadPose | None = None
    portrait: Portrait | None = None


def read_upload(hass: HomeAssistant, file_id: str) -> tuple[str, bytes]:
    """Read an uploaded file, which deletes it: its name, and its bytes up to one too many; blocks.

    Raises:
        RefusedError: it is not there (any more).

    """
    try:
        with process_uploaded_file(hass, file_id) as path, path.open("rb") as file:
            return path.name, file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise RefusedError("upload_missing") from error


def examine_upload(standard: Standard, data: bytes, album: tuple[Portrait, ...]) -> Portrait:
    """Make a portrait of a picture; blocks.

    Raises:
        PictureError: it cannot be read, or shows no face that can be used.
        RefusedError: it is there already, or is too much like somebody else's.

    """
    rgb = decode_rgb(data)
    return _portrait(standard, rgb, find_face(standard.bundle, rgb), album)


def look(
    standard: Standard,
    data: bytes,
    album: tuple[Portrait, ...],
    wants: Callable[[HeadPose], bool],
) -> Look:
    """Look at a picture of the camera, and make a portrait if the head is in a wanted pose; blocks.

    Raises:
        RefusedError: there is no picture to look at.

    """
    try:
        rgb = decode_rgb(data)
    except PictureError as error:
        raise RefusedError(error.problem.value) from error
    try:
        face = find_face(standard.bundle, rgb)
        pose = head_pose(face.landmarks)
    except PictureError as error:
        return Look(with_boxes(rgb, [], PREVIEW_SIDE), error.problem.value)
    except ValueError:
        return Look(with_boxes(rgb, [], PREVIEW_SIDE), Problem.NO_FACE.value)
    preview = with_boxes(rgb, [face], PREVIEW_SIDE)
    if not wants(pose):
        return Look(preview, None, pose)
    try:
        return Look(preview, None, pose, _portrait(standard, rgb, face, album))
    except PictureError as error:
        return Look(preview, error.problem.value, pose)
    except RefusedError as error:
        return Look(preview, error.key, pose)


def resembled(standard: Standard, album: tuple[Portrait, ...]) -> str | None:
    """Return whom of the others an album resembles, None for nobody; blocks for a moment."""
    model = standard.bundle.verifier.model
    embeddings = [p.template.embedding for p in album if p.template.model == model]
    if not embeddings:
        return None
    match = _matcher(standard).match(centre(embeddings))
    loose = standard.bundle.thresholds.operating_point(LOOSE_RATE)
    return match.person if match is not None and match.similarity >= loose.threshold else None


def objections(standard: Standard, portraits: tuple[Portrait, ...]) -> list[str | None]:
    """Say for each picture, as a translation key, whether it is too much like somebody else's.

    The decision would find such a face to be two people, and open for neither.
    """
    matcher, verifier = _matcher(standard), standard.bundle.verifier
    threshold = standard.bundle.thresholds.operating_point(standard.rate).threshold
    found: list[str | None] = []
    for template in (portrait.template for portrait in portraits):
        match = matcher.match(template.embedding) if template.model == verifier.model else None
        alike = match is not None and match.similarity >= threshold
        found.append("enrolled_already" if alike else None)
    return found


def _portrait(
    standard: Standard, rgb: RgbImage, face: Face, album: tuple[Portrait, ...]
) -> Portrait:
    portrait = portray(standard.bundle, rgb, face, [p.template for p in album])
    embedding = portrait.template.embedding
    if any(cosine(p.template.embedding, embedding) >= SAME_PICTURE for p in album):
        raise RefusedError("same_picture")
    if (problem := objections(standard, (portrait,))[0]) is not None:
        raise RefusedError(problem)
    return portrait


def _matcher(standard: Standard) -> Matcher:
    return gallery_matcher(standard.bundle, standard.others)
