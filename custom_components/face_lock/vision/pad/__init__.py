"""Presentation attack detection: tells pictures of a face from the living, only to deny.

Frame by frame :func:`measure_cues` notes what only the pixels can tell; :func:`judge` looks at all
that a track noted. A challenge asks the visitor for something that a picture does not do.
"""

from .judge import Cue, Judge, LivenessLevel, denials, judge
from .measure import measure_cues
from .response import (
    Challenge,
    ChallengeState,
    HeadTurn,
    HeadTurnRules,
    LightFlash,
    LightFlashRules,
    Turn,
)

__all__ = [
    "Challenge",
    "ChallengeState",
    "Cue",
    "HeadTurn",
    "HeadTurnRules",
    "Judge",
    "LightFlash",
    "LightFlashRules",
    "LivenessLevel",
    "Turn",
    "denials",
    "judge",
    "measure_cues",
]
