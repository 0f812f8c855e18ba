"""Presentation attack detection: tells pictures of a face from living ones; it can only deny.

For each frame :func:`measure_cues` measures what only the pixels can tell; :func:`judge` looks at
everything measured along a track. A challenge asks the visitor for something that a picture cannot
do.
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
