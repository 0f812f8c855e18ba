"""Names that several modules of the integration share."""

from typing import Final

DOMAIN: Final = "face_lock"

SUBENTRY_DOOR: Final = "door"
SUBENTRY_PERSON: Final = "person"

CONF_CAMERAS: Final = "cameras"
CONF_LOCK: Final = "lock"
CONF_ENROLLED_AT: Final = "enrolled_at"

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
ISSUE_CONTACT_MISSING: Final = "contact_missing"
ISSUE_NOT_RELOCKED: Final = "not_relocked"
ISSUE_DOOR_UNUSABLE: Final = "door_unusable"
ISSUE_OLD_ENTRY: Final = "old_entry"
ISSUE_PERSON_MISSING: Final = "person_missing"
