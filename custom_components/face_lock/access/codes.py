"""The code that may be asked for as a second factor, kept as a slow salted hash."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import Final

_COST: Final = {"n": 2**14, "r": 8, "p": 1}
"""scrypt's parameters for interactive use (RFC 7914, section 2); 16 MiB and some tens of ms."""


def hash_code(code: str) -> str:
    """Return a salted hash of ``code``, as text; blocks."""
    salt = secrets.token_bytes(16)
    return f"{_text(salt)}${_text(_scrypt(code, salt))}"


def is_code(code: str, hashed: str) -> bool:
    """Whether ``code`` is the hashed one; False for a hash that cannot be read. Blocks."""
    try:
        salt, digest = (base64.b64decode(part, validate=True) for part in hashed.split("$"))
    except ValueError:
        return False
    return hmac.compare_digest(_scrypt(code, salt), digest)


def _scrypt(code: str, salt: bytes) -> bytes:
    return hashlib.scrypt(code.encode(), salt=salt, dklen=32, **_COST)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
