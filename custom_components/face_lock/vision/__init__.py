"""Face Lock's eyes and judgement: plain Python, NumPy, Pillow and an inference runtime.

Nothing here imports Home Assistant. The package is imported relatively by the integration, and as
top-level ``vision`` by ``training/``, so that what is measured is what runs at the door.

    frame -> gate -> faces -> embedding -> evidence -> decision
"""

from .align import align
from .bundle import (
    Bundle,
    BundleError,
    BundleFormatError,
    BundleInfo,
    BundleIntegrityError,
    load_bundle,
    load_thresholds,
)
from .decision import Decider, DecisionPolicy
from .decode import decode_grey, decode_rgb, encode_jpeg, encode_png
from .enrol import Portrait, embed_crop, examine, is_same_person
from .gallery import Matcher
from .gate import GateSettings, MotionGate
from .liveness import Liveness, LivenessPoint, LivenessScore
from .presence import Presence, PresenceScore
from .recognise import gallery_matcher, recognise
from .runtime import RuntimeUnavailableError
from .thresholds import OperatingPoint, Thresholds
from .types import (
    AccessAttempt,
    Evidence,
    Face,
    FaceQuality,
    Frame,
    Gallery,
    Match,
    Motion,
    PictureError,
    Problem,
    Sighting,
    Template,
)

__all__ = [
    "AccessAttempt",
    "Bundle",
    "BundleError",
    "BundleFormatError",
    "BundleInfo",
    "BundleIntegrityError",
    "Decider",
    "DecisionPolicy",
    "Evidence",
    "Face",
    "FaceQuality",
    "Frame",
    "Gallery",
    "GateSettings",
    "Liveness",
    "LivenessPoint",
    "LivenessScore",
    "Match",
    "Matcher",
    "Motion",
    "MotionGate",
    "OperatingPoint",
    "PictureError",
    "Portrait",
    "Presence",
    "PresenceScore",
    "Problem",
    "RuntimeUnavailableError",
    "Sighting",
    "Template",
    "Thresholds",
    "align",
    "decode_grey",
    "decode_rgb",
    "embed_crop",
    "encode_jpeg",
    "encode_png",
    "examine",
    "gallery_matcher",
    "is_same_person",
    "load_bundle",
    "load_thresholds",
    "recognise",
]
