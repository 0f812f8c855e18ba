"""What all suites share."""

from hypothesis import settings

# No test may fail because the machine is busy.
settings.register_profile("face_lock", deadline=None)
settings.load_profile("face_lock")
