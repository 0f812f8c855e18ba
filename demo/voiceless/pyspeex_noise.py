# ruff: noqa: INP001 - a folder of modules for PYTHONPATH, no package
"""Stands where `pyspeex-noise` would, for the reason that `pymicro_vad.py` gives."""


class AudioProcessor:
    """Noise suppression, not to be had here."""

    def __init__(self, *_: object) -> None:
        """Refuse."""
        raise NotImplementedError("the demo does not listen")
