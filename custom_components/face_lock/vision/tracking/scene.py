"""Which faces in view are no visitors: framed photographs, posters, statues, stickers.

What was there before anybody came is part of the scene, until it moves. A picture on a wall and a
person who stands still are told apart by their pixels, see ``patch.py``: what hangs on a wall
stays within half a percent of a face's width of where it was, for hours; no living face did for ten
seconds (`docs/security.md` has both errors). So a face is

- a *visitor* where it came into view after something had moved;
- *at rest* where it was found though nothing had moved, or once it kept still for a minute. It
  counts for nothing while it rests, and is a visitor again as soon as it moves;
- a *fixture* once it was found at rest in 15 looks about a minute apart: remembered over restarts,
  and known again by its place, size and embedding though light and shade change.

The scene only ever takes evidence away: a face at another place, of another size, or with another
embedding is a visitor, also right before its own portrait.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from ..types import Face, FloatArray, Frame
from .fixture import FORGOTTEN_AFTER, Fixture
from .place import LOOK_EVERY, Picture, Place, Turn, covers, is_near, touches
from .seen_frames import SeenFrames

CALM_AFTER: Final = 3.0
"""Seconds without movement in the picture after which a new face was there before."""
VISITED: Final = 60.0
"""Seconds since the last visitor before which it was not: somebody may have looked up again."""
OTHER_LIGHT: Final = 7200.0
"""Seconds from one look that counts to the next where the picture has no colours and had some, or
the other way round: what is printed may not be seen by an infrared lamp, all night long."""
MOST: Final = 32
"""Faces that are remembered; of visitors as many again."""
_LOST: Final = 10.0
"""Seconds out of view after which a visitor's place is forgotten."""
_MISSED: Final = 2
"""Looks that did not find it after which a face at rest is forgotten."""


class Scene:
    """What one camera has in view when nobody is there. Times are monotonic seconds.

    ``fixtures`` and ``version`` may be read by another thread than the one that looks.
    """

    def __init__(self, fixtures: Iterable[Fixture] = ()) -> None:
        """Begin with what is remembered, the first 32 at most."""
        self._kept = [Place.of(fixture) for fixture in list(fixtures)[:MOST]]
        self._visitors: list[Place] = []
        self._frames = SeenFrames()
        self._picture: Picture | None = None
        self._found: set[int] = set()
        self._counts = False
        self._moved_at = self._visited_at = float("-inf")
        self.version = 0
        """Grows whenever ``fixtures`` is worth writing down again."""
        self.fixtures: tuple[Fixture, ...] = ()
        """What is remembered over restarts, in view or not."""
        self._publish()

    def moved(self, now: float) -> None:
        """Note that something moved in the picture."""
        self._moved_at = now

    def still(self, frame: Frame, faces: Sequence[Face], model: str) -> list[bool]:
        """Begin a frame; say which of its faces are part of the scene by their pixels alone.

        A face whose embedding by the weights ``model`` is not known yet is left to ``known``.
        """
        self._picture = Picture(frame)
        self._found = set()
        # A frozen picture proves nothing, and no place ages by it.
        self._counts = not self._frames.known(frame.digest)
        return [self._is_still(self._picture, face, model) for face in faces]

    def known(
        self,
        faces: Sequence[Face],
        embeddings: Sequence[FloatArray | None],
        model: str,
        *,
        idle: bool = False,
    ) -> list[bool]:
        """End the frame that ``still`` began; say which of its other faces are part of the scene.

        ``embeddings`` are float32[D + 1], None for a face that could not be embedded. ``idle``:
        nothing moves, so that what is not found now is gone.
        """
        if (picture := self._picture) is None:
            return [False] * len(faces)
        self._picture = None
        known = [
            self._is_known(picture, face, embedding, model)
            for face, embedding in zip(faces, embeddings, strict=True)
        ]
        if self._counts:
            if idle:
                self._miss(picture, faces)
            self._forget(picture.taken_at)
        return known

    def _is_still(self, picture: Picture, face: Face, model: str) -> bool:
        for place in self._kept:
            own = picture.face(place)
            if not covers(own, face) or not picture.unmoved(place):
                continue
            if place.model != model and is_near(own, face):
                return False
            self._see(place, picture, face, still=True)
            return True
        return False

    def _is_known(
        self, picture: Picture, face: Face, embedding: FloatArray | None, model: str
    ) -> bool:
        for place in self._kept:
            if not is_near(picture.face(place), face):
                continue
            still = picture.unmoved(place)
            if still and embedding is not None and place.model != model:
                place.embedding, place.model = embedding, model
            if still or place.shows(embedding, model):
                self._see(place, picture, face, still=still)
                return place.resting
        visitors = self._visitors
        place_of = next((v for v in visitors if is_near(picture.face(v), face)), None)
        if place_of is None:
            return self._meet(picture, face, embedding, model)
        if embedding is not None:
            place_of.embedding, place_of.model = embedding, model
        self._see(place_of, picture, face, still=picture.unmoved(place_of))
        return place_of.resting

    def _meet(self, picture: Picture, face: Face, embedding: FloatArray | None, model: str) -> bool:
        """Take note of a face at a new place."""
        if not self._counts:
            return False
        now = picture.taken_at
        calm = not (
            0.0 <= now - self._moved_at < CALM_AFTER or 0.0 <= now - self._visited_at < VISITED
        )
        place = picture.place(face, resting=calm)
        if place is None or (calm and not self._has_room()):
            return False
        if embedding is not None:
            place.embedding, place.model = embedding, model
        self._found.add(id(place))
        if calm:
            self._kept.append(place)
        else:
            self._visited_at = now
            self._visitors = [*self._visitors[1 - MOST :], place]
        return calm

    def _see(self, place: Place, picture: Picture, face: Face, *, still: bool | None) -> None:
        self._found.add(id(place))
        if not self._counts:
            return
        turn = place.see(picture, face, still=still)
        if turn is Turn.SETTLED:
            self._visitors.remove(place)
            if self._has_room():
                self._kept.append(place)
        elif turn is Turn.ROSE:
            self._kept.remove(place)
            self._visitors.append(place)
        elif turn is Turn.LEARNT:
            self._publish()
        if not place.resting:
            self._visited_at = picture.taken_at

    def _has_room(self) -> bool:
        """Make room for one more face at rest, if what is there is not all worth keeping."""
        if len(self._kept) < MOST:
            return True
        dispensable = [kept for kept in self._kept if not kept.is_fixture]
        if dispensable:
            self._kept.remove(min(dispensable, key=lambda kept: kept.seen_at))
        return bool(dispensable)

    def _miss(self, picture: Picture, faces: Sequence[Face]) -> None:
        """Take note of the places where nothing is any more, and nobody stands before."""
        now = picture.taken_at
        for place in self._kept:
            pause = LOOK_EVERY if picture.is_grey == place.grey else OTHER_LIGHT
            if id(place) in self._found or now - place.looked_at < pause:
                continue
            own = picture.face(place)
            if any(touches(own, face) for face in faces) or not picture.is_gone(place):
                continue
            if place.miss(now) is Turn.LOST:
                self._publish()

    def _forget(self, now: float) -> None:
        self._visitors = [v for v in self._visitors if abs(now - v.seen_at) <= _LOST]
        limits = ((k, FORGOTTEN_AFTER if k.is_fixture else _MISSED) for k in self._kept)
        gone = [kept for kept, limit in limits if kept.missed >= limit]
        if gone:
            self._kept = [kept for kept in self._kept if kept not in gone]
        if any(kept.is_fixture for kept in gone):
            self._publish()

    def _publish(self) -> None:
        self.fixtures = tuple(kept.freeze() for kept in self._kept if kept.is_fixture)
        self.version += 1
