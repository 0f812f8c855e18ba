"""A camera's picture -> what moved in it, and who is in it: the frame's whole way to evidence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

from ..imaging.decode import CAMERA_SIDE, decode_grey, decode_rgb
from ..imaging.health import Ailment, PictureHealth
from ..imaging.motion import GateSettings, MotionGate
from ..matching.gallery import Matcher
from ..networks.bundle import Bundle
from ..tracking.focus import Focus
from ..tracking.scene import Scene
from ..tracking.stacking import Stacker
from ..types import Frame, GreyImage, Motion, Sighting
from .recognition import recognise

SEARCH_INTERVAL: Final = 1.0
"""Seconds after which an open gate's pictures are searched for faces even if the presence network
sees nobody: heads that fill less than a twelfth of the picture's height are too small for it, and
now and then it misses one."""
SCENE_INTERVAL: Final = 60.0
"""Seconds after which a picture is searched though the gate is closed: what is found there without
anything having moved is part of the scene, see ``tracking/scene.py``."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one picture showed; ``seconds`` is how long the networks took."""

    motion: Motion
    sighting: Sighting | None = None
    spared: bool = False
    """Something moved, and the presence network saw nobody."""
    seconds: float = 0.0
    ailment: Ailment | None = None
    """Why the camera shows nothing, though it answers."""


@dataclass(frozen=True, slots=True, eq=False)
class _Last:
    """The last picture: many cameras serve one again while nothing moves."""

    picture: bytes
    grey: GreyImage
    motion: Motion


class Pipeline:
    """Looks at the pictures of one camera. Times are monotonic seconds.

    ``look`` belongs to one thread. The rest may be called by another: what either writes, the other
    only reads.
    """

    def __init__(
        self,
        bundle: Bundle,
        matcher: Matcher,
        gate: GateSettings | None = None,
        *,
        cues_from: float | None = None,
        scene: Scene | None = None,
    ) -> None:
        """Prepare to look, for the people whom ``matcher`` knows.

        ``cues_from`` is the similarity from which liveness is measured, None for never; ``scene``
        what is known to hang in view, which goes on learning. Without one, any face is a visitor's.
        """
        self._settings = gate or GateSettings()
        self._bundle = bundle
        self._gate = MotionGate(self._settings)
        self._held_until = float("-inf")
        self._searched_at = float("-inf")
        self._stacker = Stacker()
        self._scene = scene
        self._focus = Focus()
        self._last: _Last | None = None
        self._health = PictureHealth()
        self._people = (matcher, cues_from)

    def use(
        self, matcher: Matcher, cues_from: float | None, gate: GateSettings | None = None
    ) -> None:
        """Recognise other people, and open the gate otherwise, from the next picture on."""
        self._people = (matcher, cues_from)
        if gate is not None:
            self._gate.use(gate)
            self._settings = gate

    def keep_open(self, now: float) -> None:
        """Hold the gate open for a while: somebody is in view, or may be."""
        self._held_until = max(self._held_until, now + self._settings.hold)

    def report(self, now: float) -> None:
        """Note that somebody was reported at the door, and hold the gate open."""
        self._health.report(now)
        self.keep_open(now)

    def is_open(self, now: float) -> bool:
        """Whether pictures are searched for faces at ``now``."""
        return now < self._held_until or self._gate.is_open(now)

    def look(self, picture: bytes, asked_at: float, *, in_visit: bool) -> Seen:
        """Run the gate and, if it is open, the networks; blocks.

        ``asked_at`` is when the picture was asked for. ``in_visit``: somebody is known to be there,
        so that no picture is spared.

        Raises:
            PictureError: it cannot be read.

        """
        grey, moved = self._watch(picture, asked_at)
        self._health.look(grey, asked_at)
        ailment = self._health.ailment
        motion = replace(moved, open=moved.open or asked_at < self._held_until)
        scene, searched = self._scene, asked_at - self._searched_at
        # A first picture, or one that changed all over, tells of nobody.
        if scene is not None and self._settings.min_share <= moved.level < 1.0:
            scene.moved(asked_at)
        if not motion.open and (scene is None or 0.0 <= searched < SCENE_INTERVAL):
            return Seen(motion, ailment=ailment)
        recently = searched < SEARCH_INTERVAL
        if motion.open and not in_visit and recently and not self._somebody(grey):
            return Seen(motion, spared=True, ailment=ailment)
        self._searched_at = asked_at
        matcher, cues_from = self._people
        frame = Frame(decode_rgb(picture, CAMERA_SIDE), asked_at)
        began = monotonic()
        sighting = recognise(
            self._bundle,
            matcher,
            frame,
            cues_from=cues_from,
            stacker=self._stacker,
            focus=self._focus,
            moved=moved.where,
            scene=scene,
            idle=not motion.open,
        )
        return Seen(motion, sighting, seconds=monotonic() - began, ailment=ailment)

    def _watch(self, picture: bytes, asked_at: float) -> tuple[GreyImage, Motion]:
        """Return the gate's view of a picture, and what the gate says."""
        last = self._last
        if last is None or last.picture != picture:
            grey = decode_grey(picture)
            moved = self._gate.update(grey, asked_at)
        elif last.motion.level > 0.0:
            # The background goes on to adapt to what stays.
            grey, moved = last.grey, self._gate.update(last.grey, asked_at)
        else:
            grey, moved = last.grey, replace(last.motion, open=self._gate.is_open(asked_at))
        self._last = _Last(picture, grey, moved)
        return grey, moved

    def _somebody(self, grey: GreyImage) -> bool:
        """Ask the small network before the large ones; without it, somebody may be there."""
        presence = self._bundle.presence
        return presence is None or presence.look(grey).present
