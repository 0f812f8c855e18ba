"""The values that travel from a camera's frame to a decision, one frozen type for each step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

RgbImage = NDArray[np.uint8]
"""uint8[H, W, 3], red first, 0..255."""
GreyImage = NDArray[np.uint8]
"""uint8[H, W], 0..255."""
FloatArray = NDArray[np.float32]


class Problem(StrEnum):
    """Why a picture, a face, or a whole visit did not count. The values are translation keys."""

    # A picture that cannot be used at all.
    PICTURE_EMPTY = "picture_empty"
    PICTURE_TOO_LARGE = "picture_too_large"
    PICTURE_UNSUPPORTED = "picture_unsupported"
    PICTURE_CORRUPT = "picture_corrupt"
    PICTURE_HEIC = "picture_heic"
    PICTURE_ANIMATED = "picture_animated"
    # A face that cannot be used.
    NO_FACE = "no_face"
    SEVERAL_FACES = "several_faces"
    FACE_TOO_SMALL = "face_too_small"
    TOO_DARK = "too_dark"
    BLURRED = "blurred"
    TURNED = "turned"
    # A face that can be used and does not open the door.
    OTHER_PERSON = "other_person"
    UNKNOWN_FACE = "unknown_face"
    STATIC_PICTURE = "static_picture"
    TOO_FEW_FRAMES = "too_few_frames"
    STALE_FRAMES = "stale_frames"
    CAMERA_LOST = "camera_lost"
    STOPPED = "stopped"
    # A known face that may not come in, or not yet.
    AMBIGUOUS = "ambiguous"
    NOT_LIVE = "not_live"
    CHALLENGE_FAILED = "challenge_failed"
    CHALLENGE_UNAVAILABLE = "challenge_unavailable"
    SUSPENDED = "suspended"
    OUTSIDE_SCHEDULE = "outside_schedule"
    EXPIRED = "expired"
    OTHER_DOOR = "other_door"
    SECOND_FACTOR_MISSING = "second_factor_missing"
    LOCKED_OUT = "locked_out"
    # A grant that the lock did not carry out.
    LOCK_FAILED = "lock_failed"
    LOCK_TIMEOUT = "lock_timeout"
    LOCK_JAMMED = "lock_jammed"
    LOCK_UNAVAILABLE = "lock_unavailable"


class PictureError(ValueError):
    """A picture from outside that is refused; ``problem`` says why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.value)
        self.problem = problem


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of the door.

    ``taken_at`` is on a monotonic clock, in seconds, no later than the moment the picture was
    asked for: an old frame can never look fresh because the camera answered late.
    """

    rgb: RgbImage
    taken_at: float
    digest: bytes = field(init=False)
    """Hash of the pixels: the same pixels are the same frame, however often they are served."""

    def __post_init__(self) -> None:
        pixels = hashlib.blake2b(np.ascontiguousarray(self.rgb), digest_size=16)
        pixels.update(repr(self.rgb.shape).encode())
        object.__setattr__(self, "digest", pixels.digest())


@dataclass(frozen=True, slots=True)
class Motion:
    """What the motion gate says about a frame; ``level`` is the changed share of the picture."""

    level: float
    open: bool
    where: tuple[float, float, float, float] | None = None
    """Left, top, right and bottom of what changed, 0..1 of the picture; None for all or nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """A detected face, in the pixels of the picture it was found in.

    ``box`` is (x1, y1, x2, y2); ``landmarks`` float32[5, 2] are the viewer's left eye, right eye,
    nose, left and right mouth corner; ``score`` is 0..1.
    """

    box: tuple[float, float, float, float]
    landmarks: FloatArray
    score: float

    @property
    def width(self) -> float:
        """Width of the box in pixels."""
        return self.box[2] - self.box[0]

    @property
    def height(self) -> float:
        """Height of the box in pixels."""
        return self.box[3] - self.box[1]


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """How usable a face is; see ``imaging/quality.py`` for the measures and their units."""

    face_px: float
    brightness: float
    sharpness: float


@dataclass(frozen=True, slots=True)
class Match:
    """The enrolled person whom a face resembles most; similarities are as ``score`` gives them."""

    person: str
    similarity: float
    runner_up: float = -3.0
    """Similarity to the second-best person; the lowest possible one in a gallery of one person."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """A small picture of a face and its surroundings, kept to compare later frames with.

    ``grey`` uint8[S, S] is a square of the picture around the face. Its upper left corner lies at
    ``origin`` (x, y) in the picture, one of its pixels is ``scale`` pixels wide there, and only
    what is in ``seen`` (left, top, right, bottom, in its own pixels) lies in the picture.
    """

    grey: GreyImage = field(repr=False)
    origin: tuple[float, float]
    scale: float
    seen: tuple[int, int, int, int]

    @property
    def clipped(self) -> float:
        """Share 0..1 of the view that lies outside the picture."""
        left, top, right, bottom = self.seen
        return 1.0 - max(right - left, 0) * max(bottom - top, 0) / self.grey.size


@dataclass(frozen=True, slots=True, eq=False)
class Cues:
    """What one frame says about whether a face is alive; it can only ever deny.

    ``live`` 0..1 is the liveness network's answer (see ``LivenessScore``), and ``second`` that of
    the antispoofing network. ``moire`` is how far the strongest wave of the face's texture stands
    out, as a power of ten over the median power. Each is ``None`` where it could not be measured.
    ``infrared`` means that the picture has no colours.
    """

    view: View
    live: float | None = None
    moire: float | None = None
    infrared: bool = False
    second: float | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """What the mean of several frames of one face says, in place of the last frame alone.

    ``tracking/stacking.py`` makes these means.
    ``older`` and ``newer`` are what the means of its two halves say: a mean of two faces
    may resemble a person whom the newer half does not show. ``taken_at`` are the times of
    all its frames, in order; the last is the frame that the evidence belongs to.
    """

    match: Match
    older: Match
    newer: Match
    taken_at: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What one face in one frame tells.

    ``embedding`` float32[D + 1] is described in ``matching/similarity.py``; it is ``None`` if a
    ``problem`` kept the face from being embedded. ``match`` is ``None`` for such a face, and while
    nobody is enrolled.
    """

    face: Face
    quality: FaceQuality
    problem: Problem | None = None
    embedding: FloatArray | None = None
    match: Match | None = None
    look: Look | None = None
    """Set for a face in poor light, once there are enough frames of it."""
    cues: Cues | None = None
    """Measured on request, and only for a face that resembles an enrolled person."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """All that was seen in one frame."""

    digest: bytes
    taken_at: float
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class AccessAttempt:
    """How one visit ended. There is exactly one for every visit, and nothing else opens a lock.

    ``person`` is who was let in, or whom a refused face resembled above the threshold;
    ``problem`` is ``None`` exactly when access was granted. ``confidence`` is the calibrated
    probability, 0..1, that the face is ``person``'s (the weakest frame of the quorum, or the best
    frame of a refusal). Times are monotonic seconds; ``first_usable_at`` is the first frame in
    which a face passed the quality limits, ``evidence_at`` the newest of the quorum.
    """

    granted: bool
    person: str | None
    problem: Problem | None
    confidence: float
    started_at: float
    decided_at: float
    first_usable_at: float | None
    frames: int
    """Frames with a face in them."""
    agreeing: int
    """Distinct fresh frames of one face that agreed on ``person``."""
    evidence_at: float | None = None

    def __post_init__(self) -> None:
        if self.granted != (self.problem is None) or (self.granted and self.person is None):
            raise ValueError("a grant names a person and no problem; a refusal names a problem")

    @property
    def duration(self) -> float:
        """Seconds from the first frame with a face to the decision."""
        return self.decided_at - self.started_at

    @property
    def response_time(self) -> float | None:
        """Seconds from the first usable frame to the decision."""
        return None if self.first_usable_at is None else self.decided_at - self.first_usable_at


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """One enrolled picture of a person: an embedding float32[D + 1], and the model that made it."""

    embedding: FloatArray
    model: str


Gallery = Mapping[str, tuple[Template, ...]]
"""Person id -> that person's templates."""
