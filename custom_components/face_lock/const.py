"""Names that several modules of the integration share."""

from typing import Final

DOMAIN: Final = "face_lock"

SUBENTRY_PERSON: Final = "person"

CONF_CAMERA: Final = "camera"
CONF_LOCK: Final = "lock"
CONF_FALSE_POSITIVE_RATE: Final = "false_positive_rate"
CONF_RELOCK_AFTER: Final = "relock_after"
CONF_ENROLLED_AT: Final = "enrolled_at"
CONF_KEEP_PICTURES: Final = "keep_pictures"
CONF_KEEP_LAST_VISIT: Final = "keep_last_visit"
CONF_LAST_VISIT_DAYS: Final = "last_visit_days"

FALSE_POSITIVE_RATES: Final[dict[str, float]] = {
    "one_in_1000": 1e-3,
    "one_in_10000": 1e-4,
    "one_in_100000": 1e-5,
    "one_in_1000000": 1e-6,
}
"""What the owner can choose, as translation keys -> rate. A similarity is never asked for."""
DEFAULT_FALSE_POSITIVE_RATE: Final = "one_in_10000"
DEFAULT_RELOCK_AFTER: Final = 5
"""Seconds after which a lock of our own locks again."""

DEFAULT_KEEP_PICTURES: Final = True
DEFAULT_KEEP_LAST_VISIT: Final = False
DEFAULT_LAST_VISIT_DAYS: Final = 7

EVENT_ACCESS_GRANTED: Final = "access_granted"
EVENT_ACCESS_DENIED: Final = "access_denied"

ISSUE_RUNTIME_MISSING: Final = "runtime_missing"
ISSUE_MODELS_DAMAGED: Final = "models_damaged"
ISSUE_PICTURES_MISSING: Final = "pictures_missing"
ISSUE_STORAGE_LOCKED: Final = "storage_locked"
ISSUE_CAMERA_MISSING: Final = "camera_missing"
ISSUE_LOCK_MISSING: Final = "lock_missing"
