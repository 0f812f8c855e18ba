"""Presentation attack detection: is a face that matches alive, or a picture of somebody?

Frame by frame :func:`measure_cues` notes what only the pixels can tell; :func:`judge` looks at all
that a track noted. A challenge asks the visitor for something that a picture does not do.
"""

from .judge import Cue, Judge, LivenessLevel, denials, judge
from .measure import measure_cues

__all__ = ["Cue", "Judge", "LivenessLevel", "denials", "judge", "measure_cues"]
