# ruff: noqa: INP001 - a folder of modules for PYTHONPATH, no package
"""Stands where `pymicro-vad` would, so that Home Assistant loads; the demo has no microphone.

Home Assistant imports the package for its voice assistant, which it always loads, and the frontend
fails without it. On PyPI it is source for a C++ compiler, which not every machine has.
"""


class MicroVad:
    """Voice activity detection, not to be had here."""

    def __init__(self) -> None:
        """Refuse."""
        raise NotImplementedError("the demo does not listen")
