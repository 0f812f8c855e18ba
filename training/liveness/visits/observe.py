"""What the door sees of a visit: its own detector, verifier, cues and quorum, frame by frame."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from training.liveness.visits.camera import PERIOD
from vision import Decider, DecisionPolicy, Frame, Template, align, gallery_matcher, recognise
from vision.networks.bundle import Bundle
from vision.types import Evidence

RATE = 1e-4
"""The false positive rate that most owners choose, with one person enrolled."""


@dataclass(frozen=True)
class Observed:
    """A visit as the door saw it. `far`: real frames were made smaller. `track` is the evidence of
    the face that matches, in order; `decided` how many of it the judge was given when a quorum had
    agreed, 0 where none ever did.
    """  # noqa: D205 - one sentence each

    kind: str
    light: str
    side: str
    who: str
    far: bool
    track: list[Evidence]
    decided: int


def enrolled(bundle: Bundle, rgb: np.ndarray, landmarks: np.ndarray) -> Template:
    """Enrol somebody by one picture uint8[H,W,3] with landmarks float[5,2]."""
    crop = align(rgb, landmarks.astype(np.float32))
    return Template(bundle.verifier.embed(np.stack([crop]))[0], bundle.verifier.model)


def observe(
    bundle: Bundle,
    template: Template,
    frames: Iterable[np.ndarray],
    period: float = PERIOD,
    *,
    whole: bool = True,
) -> tuple[list[Evidence], int]:
    """Return what the judge is given of the face that matches, and its length at the quorum.

    After that, if `whole`, all that matches as well as a vote does; the length is 0 where nothing
    was judged.
    """
    point = bundle.thresholds.operating_point(RATE)
    matcher = gallery_matcher(bundle, {"visitor": (template,)})
    track: list[Evidence] = []

    def judge(shown: Sequence[Evidence]) -> None:
        track.extend(shown)

    decider = Decider(DecisionPolicy(), bundle.thresholds, point, judge=judge)
    decided = 0
    for number, rgb in enumerate(frames):
        now = (number + 1) * period
        sighting = recognise(bundle, matcher, Frame(rgb, now), cues_from=point.threshold)
        if decided:
            # Only votes have cues.
            track += [one for one in sighting.evidence if one.cues is not None][:1]
        attempt = decider.observe(sighting, now)
        if attempt is not None and attempt.granted and not decided:
            decided = len(track)
            if not whole:
                break
    return track, decided
