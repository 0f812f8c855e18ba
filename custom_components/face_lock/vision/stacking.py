"""The former place of ``tracking/stacking.py``, until ``training/verifier/augment.py`` follows."""

from .tracking.stacking import MOST, offset, shifted

__all__ = ["MOST", "offset", "shifted"]
