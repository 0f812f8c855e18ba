"""Names that several modules of the integration share."""

from typing import Final

DOMAIN: Final = "face_lock"

SUBENTRY_PERSON: Final = "person"

CONF_CAMERA: Final = "camera"
CONF_LOCK: Final = "lock"
CONF_ENROLLED_AT: Final = "enrolled_at"

EVENT_ACCESS_GRANTED: Final = "access_granted"
EVENT_ACCESS_DENIED: Final = "access_denied"
EVENT_UNKNOWN_FACE: Final = "unknown_face"
EVENT_LIVENESS_FAILED: Final = "liveness_failed"
EVENT_LOCKED_OUT: Final = "locked_out"

EVENT_ACCESS: Final = f"{DOMAIN}_access"
"""On the bus, for the logbook alone: see ``logbook.py``."""

ISSUE_RUNTIME_MISSING: Final = "runtime_missing"
ISSUE_MODELS_DAMAGED: Final = "models_damaged"
ISSUE_MODELS_UNKNOWN: Final = "models_unknown"
ISSUE_OWN_MODELS: Final = "own_models_unusable"
ISSUE_STORAGE_TOO_NEW: Final = "storage_too_new"
ISSUE_STORAGE_UNREADABLE: Final = "storage_unreadable"
ISSUE_PICTURES_MISSING: Final = "pictures_missing"
ISSUE_PICTURES_NOT_SAVED: Final = "pictures_not_saved"
ISSUE_STORAGE_LOCKED: Final = "storage_locked"
ISSUE_CAMERA_MISSING: Final = "camera_missing"
ISSUE_LOCK_MISSING: Final = "lock_missing"
ISSUE_NOT_RELOCKED: Final = "not_relocked"
