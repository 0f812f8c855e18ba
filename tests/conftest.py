"""What all suites share."""

import os

from hypothesis import settings

# What passes today passes tomorrow: always the same examples, and no test may fail because the
# machine is busy. FACE_LOCK_NEW_EXAMPLES draws others, to look for what was not found yet.
settings.register_profile(
    "face_lock", deadline=None, derandomize="FACE_LOCK_NEW_EXAMPLES" not in os.environ
)
settings.load_profile("face_lock")
