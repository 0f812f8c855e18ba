"""What all suites share."""

import os

from hypothesis import settings

# What passes today must pass tomorrow: the examples are always the same, and no test may fail
# because the machine is busy. FACE_LOCK_NEW_EXAMPLES draws others, to find what has not been found
# yet.
settings.register_profile(
    "face_lock", deadline=None, derandomize="FACE_LOCK_NEW_EXAMPLES" not in os.environ
)
settings.load_profile("face_lock")
