"""Names as people read them, whatever characters they are written with."""

from __future__ import annotations

import unicodedata
from typing import Final

from homeassistant.const import MAX_LENGTH_STATE_STATE, STATE_UNAVAILABLE, STATE_UNKNOWN

MAX_NAME: Final = MAX_LENGTH_STATE_STATE
"""Characters: names are shown as states, and a longer one could not be."""

_RESERVED: Final = (STATE_UNAVAILABLE, STATE_UNKNOWN)
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that nothing is drawn for."""
_SELECTORS: Final = (range(0x180B, 0x1810), range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
"""Variation selectors: they choose how the character before them is drawn."""


def folded(name: str) -> str:
    """Return what two names have in common that look alike; empty for one that shows nothing.

    Compatible forms, case, spaces and characters that cannot be seen make no difference.
    """
    # Normalised once more, because folding the case can take a normal form apart.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    # What separates is a control character too, so the spaces are found first.
    words = ("".join(filter(_is_visible, word)) for word in text.split())
    return " ".join(word for word in words if word)


def name_objection(name: str) -> str | None:
    """Say, as a translation key, why nobody can be called ``name``; None where somebody can."""
    if not folded(name):
        return "name_missing"
    if len(name.strip()) > MAX_NAME:
        return "name_too_long"
    return "name_reserved" if folded(name) in _RESERVED else None


def _is_visible(character: str) -> bool:
    return (
        unicodedata.category(character) not in ("Cc", "Cf", "Cn", "Co", "Cs")
        and character not in _BLANK
        and not any(ord(character) in selectors for selectors in _SELECTORS)
    )
