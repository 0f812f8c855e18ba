"""Face Lock's eyes and judgement: plain Python, NumPy, Pillow and an inference runtime.

Nothing here imports Home Assistant. The package is imported relatively by the integration, and as
top-level ``vision`` by ``training/``, so that what is measured is what runs at the door.

    frame -> gate -> faces -> embedding -> evidence -> decision
"""

from .align import align
from .asking import Ask, Asking
from .bundle import (
    Bundle,
    BundleError,
    BundleFormatError,
    BundleInfo,
    BundleIntegrityError,
    check_bundle,
    load_bundle,
    load_thresholds,
)
from .decision import Decider, DecisionPolicy
from .decode import decode_grey, decode_rgb, encode_jpeg, encode_png, picture_size
from .enrol import Portrait, embed_crop, examine, find_face, is_same_person, portray
from .fastest import load_fastest_bundle
from .gallery import Matcher
from .gate import GateSettings, MotionGate
from .liveness import Liveness, LivenessPoint, LivenessScore
from .lockout import Lockout, LockoutState
from .opening import RETRIED, Opening
from .pad import ChallengeState, LivenessLevel, Turn, judge
from .policy import CLEAR, Circumstances, Judge
from .pose import HeadPose, Pose, head_pose, is_in_pose
from .presence import Presence, PresenceScore
from .recognise import gallery_matcher, recognise
from .runtime import RuntimeUnavailableError
from .survey import Shortcoming, Survey, survey, with_boxes
from .thresholds import OperatingPoint, RateUnavailableError, Thresholds
from .turned import is_turned
from .types import (
    AccessAttempt,
    Evidence,
    Face,
    FaceQuality,
    Frame,
    Gallery,
    GreyImage,
    Match,
    Motion,
    PictureError,
    Problem,
    Sighting,
    Template,
)
from .upright import Upright
from .visit import SeenFrames

__all__ = [
    "CLEAR",
    "RETRIED",
    "AccessAttempt",
    "Ask",
    "Asking",
    "Bundle",
    "BundleError",
    "BundleFormatError",
    "BundleInfo",
    "BundleIntegrityError",
    "ChallengeState",
    "Circumstances",
    "Decider",
    "DecisionPolicy",
    "Evidence",
    "Face",
    "FaceQuality",
    "Frame",
    "Gallery",
    "GateSettings",
    "GreyImage",
    "HeadPose",
    "Judge",
    "Liveness",
    "LivenessLevel",
    "LivenessPoint",
    "LivenessScore",
    "Lockout",
    "LockoutState",
    "Match",
    "Matcher",
    "Motion",
    "MotionGate",
    "Opening",
    "OperatingPoint",
    "PictureError",
    "Portrait",
    "Pose",
    "Presence",
    "PresenceScore",
    "Problem",
    "RateUnavailableError",
    "RuntimeUnavailableError",
    "SeenFrames",
    "Shortcoming",
    "Sighting",
    "Survey",
    "Template",
    "Thresholds",
    "Turn",
    "Upright",
    "align",
    "check_bundle",
    "decode_grey",
    "decode_rgb",
    "embed_crop",
    "encode_jpeg",
    "encode_png",
    "examine",
    "find_face",
    "gallery_matcher",
    "head_pose",
    "is_in_pose",
    "is_same_person",
    "is_turned",
    "judge",
    "load_bundle",
    "load_fastest_bundle",
    "load_thresholds",
    "picture_size",
    "portray",
    "recognise",
    "survey",
    "with_boxes",
]
