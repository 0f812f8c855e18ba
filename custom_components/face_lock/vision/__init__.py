"""Face Lock's eyes and judgement: plain Python, NumPy, Pillow and an inference runtime.

Nothing here imports Home Assistant. The integration imports this package relatively, and
``training/`` imports it as the top-level package ``vision``, so that what is measured is what runs
at the door.

    frame -> motion gate -> faces -> embedding -> evidence -> decision

Its rooms, from the ground up: ``types``, ``imaging``, ``matching``, ``networks``, ``tracking``,
``pad``, ``decision``, ``pipeline``. A module imports only from its own room and from those below.
"""

from .decision.challenge import Ask, Asking
from .decision.cool_down import CoolDown
from .decision.decider import Decider
from .decision.lockout import Lockout, LockoutState
from .decision.policy import CLEAR, Circumstances, DecisionPolicy, Judge
from .decision.unlock import RETRIED, Opening
from .imaging.align import align
from .imaging.decode import decode_grey, decode_rgb, encode_jpeg, encode_png, picture_size
from .imaging.motion import GateSettings, MotionGate
from .imaging.pose import HeadPose, Pose, head_pose, is_in_pose
from .matching.gallery import Matcher
from .matching.similarity import MAX_CROWDING, MIN_SCORE, centre, cosine, pairwise_scores, score
from .matching.thresholds import OperatingPoint, RateUnavailableError, Thresholds
from .networks.antispoofing import Antispoofing
from .networks.bundle import (
    Bundle,
    BundleError,
    BundleFormatError,
    BundleInfo,
    BundleIntegrityError,
    check_bundle,
    load_bundle,
    load_thresholds,
)
from .networks.fastest import load_fastest_bundle
from .networks.liveness import Liveness, LivenessPoint, LivenessScore
from .networks.presence import Presence, PresenceScore
from .networks.runtime import RuntimeUnavailableError
from .networks.score_limits import Light, NetworkLimits, ScoreLimit, ScoreLimits
from .pad import ChallengeState, LivenessLevel, Turn, judge
from .pipeline.agreement import SAME_PICTURE, Objection, agree
from .pipeline.camera import Pipeline, Seen
from .pipeline.enrolment import (
    Candidate,
    Faces,
    Portrait,
    embed_crop,
    examine,
    find_faces,
    is_same_person,
)
from .pipeline.recognition import gallery_matcher, recognise
from .pipeline.survey import Shortcoming, Survey, survey, with_boxes
from .tracking.fixture import Fixture
from .tracking.scene import MOST as MAX_FIXTURES, Scene
from .tracking.seen_frames import SeenFrames
from .tracking.stacking import Stacker
from .types import (
    AccessAttempt,
    Evidence,
    Face,
    FaceQuality,
    Frame,
    Gallery,
    GreyImage,
    Look,
    Match,
    Motion,
    PictureError,
    Problem,
    Sighting,
    Template,
)

__all__ = [
    "CLEAR",
    "MAX_CROWDING",
    "MAX_FIXTURES",
    "MIN_SCORE",
    "RETRIED",
    "SAME_PICTURE",
    "AccessAttempt",
    "Antispoofing",
    "Ask",
    "Asking",
    "Bundle",
    "BundleError",
    "BundleFormatError",
    "BundleInfo",
    "BundleIntegrityError",
    "Candidate",
    "ChallengeState",
    "Circumstances",
    "CoolDown",
    "Decider",
    "DecisionPolicy",
    "Evidence",
    "Face",
    "FaceQuality",
    "Faces",
    "Fixture",
    "Frame",
    "Gallery",
    "GateSettings",
    "GreyImage",
    "HeadPose",
    "Judge",
    "Light",
    "Liveness",
    "LivenessLevel",
    "LivenessPoint",
    "LivenessScore",
    "Lockout",
    "LockoutState",
    "Look",
    "Match",
    "Matcher",
    "Motion",
    "MotionGate",
    "NetworkLimits",
    "Objection",
    "Opening",
    "OperatingPoint",
    "PictureError",
    "Pipeline",
    "Portrait",
    "Pose",
    "Presence",
    "PresenceScore",
    "Problem",
    "RateUnavailableError",
    "RuntimeUnavailableError",
    "Scene",
    "ScoreLimit",
    "ScoreLimits",
    "Seen",
    "SeenFrames",
    "Shortcoming",
    "Sighting",
    "Stacker",
    "Survey",
    "Template",
    "Thresholds",
    "Turn",
    "agree",
    "align",
    "centre",
    "check_bundle",
    "cosine",
    "decode_grey",
    "decode_rgb",
    "embed_crop",
    "encode_jpeg",
    "encode_png",
    "examine",
    "find_faces",
    "gallery_matcher",
    "head_pose",
    "is_in_pose",
    "is_same_person",
    "judge",
    "load_bundle",
    "load_fastest_bundle",
    "load_thresholds",
    "pairwise_scores",
    "picture_size",
    "recognise",
    "score",
    "survey",
    "with_boxes",
]
