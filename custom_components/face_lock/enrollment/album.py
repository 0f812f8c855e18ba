"""The pictures of one person while they are being chosen: what was kept, and what was refused."""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Final

from homeassistant.components.file_upload import process_uploaded_file
from homeassistant.core import HomeAssistant

from ..vision import (
    Bundle,
    Candidate,
    Faces,
    Gallery,
    HeadPose,
    Matcher,
    Objection,
    PictureError,
    Portrait,
    Problem,
    agree,
    decode_rgb,
    find_faces,
    gallery_matcher,
    head_pose,
    with_boxes,
)
from ..vision.imaging.decode import MAX_BYTES
from ..vision.matching.similarity import centre
from ..vision.types import RgbImage

MAX_PICTURES: Final = 10
SETTLED: Final = 2
"""Pictures that must agree until a camera's next one has to show the same person."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A new picture by its name, and the faces in it that may be the person's."""

    number: int
    label: str
    faces: Faces

    @property
    def model(self) -> str:
        """The model that looked at it."""
        return self.faces.candidates[0].portrait.template.model


@dataclass(slots=True, eq=False)
class Album:
    """One person's pictures: those enrolled, and new ones, which vote on whose face they show."""

    known: list[Portrait] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    outcomes: list[Candidate | Objection] = field(default_factory=list)
    """What became of each new picture in the last vote."""
    _unusable: list[tuple[int, str, str]] = field(default_factory=list)
    """The pictures that have no vote: number, name, and a translation key."""
    _came: int = 0

    @property
    def portraits(self) -> list[Portrait]:
        """What is kept."""
        return [*self.known, *(portrait for _, portrait in self.taken)]

    @property
    def taken(self) -> list[tuple[Picture, Portrait]]:
        """The new pictures that are kept, each with the person's face in it."""
        return [
            (picture, outcome.portrait)
            for picture, outcome in zip(self.pictures, self.outcomes, strict=True)
            if isinstance(outcome, Candidate)
        ]

    @property
    def refused(self) -> list[tuple[str, str]]:
        """The names of pictures that are not kept, each with a translation key.

        Those that were outvoted are named until others agree with them.
        """
        outvoted = [
            (picture.number, picture.label, outcome.value)
            for picture, outcome in zip(self.pictures, self.outcomes, strict=True)
            if isinstance(outcome, Objection)
        ]
        return [(label, why) for _, label, why in sorted([*outvoted, *self._unusable])]

    @property
    def room(self) -> int:
        """How many more pictures may come."""
        return MAX_PICTURES - len(self.known) - len(self.pictures)

    @property
    def is_settled(self) -> bool:
        """Whether it is known whom the pictures show."""
        return bool(self.known) or len(self.taken) >= SETTLED

    def add(self, label: str, faces: Faces, bundle: Bundle) -> None:
        """Let one more picture vote."""
        self._came += 1
        self.pictures.append(Picture(self._came, label, faces))
        self.vote(bundle)

    def refuse(self, label: str, key: str) -> None:
        """Note a picture that has no vote, with a translation key."""
        self._came += 1
        self._unusable.append((self._came, label, key))

    @property
    def has_unusable(self) -> bool:
        """Whether there are pictures without a vote."""
        return bool(self._unusable)

    def forget_refused(self) -> None:
        """Begin a new list of pictures that have no vote."""
        self._unusable = []

    def keep(self, portraits: list[Portrait]) -> None:
        """Keep just these, without any further vote."""
        self.known, self.pictures, self.outcomes = portraits, [], []

    def leave(self, numbers: Container[int]) -> None:
        """Take out those of the portraits kept, counted from 1, and let the others vote again."""
        gone = [p for n, p in enumerate(self.portraits, 1) if n in numbers]
        self.known = [portrait for portrait in self.known if portrait not in gone]
        pairs = zip(self.pictures, self.outcomes, strict=True)
        left = [(p, o) for p, o in pairs if not (isinstance(o, Candidate) and o.portrait in gone)]
        self.pictures, self.outcomes = [p for p, _ in left], [o for _, o in left]

    def vote(self, bundle: Bundle) -> None:
        """Ask all pictures whose face they show; copies go.

        Those that other models looked at cannot be compared, and stay as they are.
        """
        model = bundle.verifier.model
        others = [
            (picture, outcome)
            for picture, outcome in zip(self.pictures, self.outcomes, strict=False)
            if picture.model != model
        ]
        mine = [picture for picture in self.pictures if picture.model == model]
        faces = [picture.faces for picture in mine]
        outcomes = agree(bundle, faces, [portrait.template for portrait in self.known])
        pairs = [*others, *zip(mine, outcomes, strict=True)]
        self._unusable += [
            (picture.number, picture.label, outcome.value)
            for picture, outcome in pairs
            if outcome is Objection.SAME_PICTURE
        ]
        left = [pair for pair in pairs if pair[1] is not Objection.SAME_PICTURE]
        self.pictures, self.outcomes = [p for p, _ in left], [o for _, o in left]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture of the camera, looked at; ``faces`` is None where it will not do."""

    preview: RgbImage
    problem: str | None = None
    pose: HeadPose | None = None
    faces: Faces | None = None


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


def examine_upload(standard: Standard, data: bytes) -> Faces:
    """Find the faces of a picture that may be the person's; blocks.

    Raises:
        PictureError: it cannot be read, or shows no face that can be used.
        RefusedError: its face is too much like somebody else's.

    """
    return _faces(standard, decode_rgb(data))


def look(standard: Standard, data: bytes, album: Album, wants: Callable[[HeadPose], bool]) -> Look:
    """Look at a picture of the camera: is the person in it, and in a wanted pose? Blocks.

    Somebody else in view is refused unless it is known by then who the person is.

    Raises:
        RefusedError: there is no picture to look at.

    """
    try:
        rgb = decode_rgb(data)
    except PictureError as error:
        raise RefusedError(error.problem.value) from error
    nobody = with_boxes(rgb, [], PREVIEW_SIDE)
    try:
        faces = _faces(standard, rgb)
    except PictureError as error:
        return Look(nobody, error.problem.value)
    except RefusedError as error:
        return Look(nobody, error.key)
    found = [candidate.face for candidate in faces.candidates]
    preview = with_boxes(rgb, found, PREVIEW_SIDE)
    candidate, problem = _of_camera(standard, faces, album)
    if candidate is None:
        return Look(preview, problem)
    try:
        pose = head_pose(candidate.face.landmarks)
    except ValueError:
        return Look(nobody, Problem.NO_FACE.value)
    if not wants(pose):
        return Look(preview, None, pose)
    return Look(preview, problem, pose, None if problem else Faces((candidate,)))


def _of_camera(
    standard: Standard, faces: Faces, album: Album
) -> tuple[Candidate | None, str | None]:
    """Return the face in a camera's picture that is asked for, and why it is not kept."""
    if not album.is_settled and faces.number > 1:
        return None, Objection.SEVERAL_FACES.value
    model = standard.bundle.verifier.model
    pictures = [*(p.faces for p in album.pictures if p.model == model), faces]
    known = [portrait.template for portrait in album.known]
    outcome = agree(standard.bundle, pictures, known)[-1]
    if isinstance(outcome, Candidate):
        return outcome, None
    # The other pictures decide later which of two people it is.
    is_open = outcome in (Objection.DISAGREE, Objection.OTHER_PERSON) and not album.is_settled
    first = faces.candidates[0] if faces.number == 1 else None
    return first, None if is_open else outcome.value


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


def _faces(standard: Standard, rgb: RgbImage) -> Faces:
    """Find the faces that may be the person's: not those of other people who are enrolled.

    Raises:
        PictureError: there is none that can be compared.
        RefusedError: all belong to other people.

    """
    faces = find_faces(standard.bundle, rgb)
    found = objections(standard, tuple(one.portrait for one in faces.candidates))
    mine = [one for one, why in zip(faces.candidates, found, strict=True) if why is None]
    if not mine:
        raise RefusedError(next(why for why in found if why is not None))
    return Faces(tuple(mine), faces.others + len(faces.candidates) - len(mine))


def _matcher(standard: Standard) -> Matcher:
    return gallery_matcher(standard.bundle, standard.others)
