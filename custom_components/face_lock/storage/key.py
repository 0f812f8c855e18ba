"""The key that everything biometric is encrypted with, and the encryption itself.

One random key per installation lies in ``.storage/face_lock.key``, apart from what it protects, and
readable by Home Assistant's user alone. What is sealed is bound to the name of its file, so that no
file can be passed off as another one.

It protects a single file that leaks, a backup without the key, a disk of which parts are read, and
whoever merely looks around. It does not protect from whoever owns the host: the key lies beside the
data, because a door that must open after a power cut cannot ask anybody for a password. Home
Assistant's own backups hold both the key and the data, so they are as private as their own password
makes them. An older file under the same name and key is accepted: that somebody put back
yesterday's file is not noticed.
"""

from __future__ import annotations

import asyncio
import base64
import glob
import os
import secrets
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypedDict, TypeIs

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.storage import Store
from homeassistant.util.hass_dict import HassKey

from ..const import DOMAIN

KEY_FILE: Final = f"{DOMAIN}.key"

_VERSION: Final = 1
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_LOCK: HassKey[asyncio.Lock] = HassKey(f"{DOMAIN}_vault_lock")


class VaultError(HomeAssistantError):
    """What is sealed cannot be had; ``translation_key`` says why."""

    def __init__(self, key: str) -> None:
        super().__init__(translation_domain=DOMAIN, translation_key=key)


class KeyMissingError(VaultError):
    """Sealed data exist and the key's file does not, or holds no key."""

    def __init__(self) -> None:
        super().__init__("key_missing")


class KeyNotSavedError(VaultError):
    """A new key could not be written, so nothing may be sealed with it."""

    def __init__(self) -> None:
        super().__init__("key_not_saved")


class WrongKeyError(VaultError):
    """The data were sealed with another key."""

    def __init__(self) -> None:
        super().__init__("key_wrong")


class TamperedError(VaultError):
    """The data are not what was sealed under this name."""

    def __init__(self) -> None:
        super().__init__("storage_tampered")


class DamagedError(HomeAssistantError):
    """A file holds something else than this integration ever wrote."""

    def __init__(self) -> None:
        super().__init__(translation_domain=DOMAIN, translation_key="file_damaged")


class Sealed(TypedDict):
    """What lies in a file: the key's id, and base64 of the nonce, the ciphertext and its tag."""

    key_id: str
    sealed: str


class _StoredKey(TypedDict):
    """The key's file: a random id, which tells a wrong key from damage, and base64 of the key."""

    id: str
    key: str


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals and opens bytes with ChaCha20-Poly1305 (RFC 8439) and a random nonce for each.

    It needs no AES instructions, which many single-board computers lack. With 96 random bits, a
    nonce is not expected twice within 2**32 seals.
    """

    key_id: str
    key: bytes = field(repr=False)

    def seal(self, plain: bytes, name: str) -> Sealed:
        """Encrypt ``plain`` and bind it to ``name``."""
        nonce = os.urandom(_NONCE_BYTES)
        content = nonce + ChaCha20Poly1305(self.key).encrypt(nonce, plain, name.encode())
        return {"key_id": self.key_id, "sealed": base64.b64encode(content).decode()}

    def open(self, stored: object, name: str) -> bytes:
        """Return what was sealed under ``name``.

        Raises:
            WrongKeyError: another key sealed it.
            TamperedError: it was changed, belongs to another name, or was never sealed.

        """
        if not is_sealed(stored):
            raise TamperedError
        if stored["key_id"] != self.key_id:
            raise WrongKeyError
        try:
            content = base64.b64decode(stored["sealed"], validate=True)
            nonce, text = content[:_NONCE_BYTES], content[_NONCE_BYTES:]
            return ChaCha20Poly1305(self.key).decrypt(nonce, text, name.encode())
        except (TypeError, ValueError, InvalidTag) as error:  # binascii's error is a ValueError
            raise TamperedError from error


def is_sealed(stored: object) -> TypeIs[Sealed]:
    """Whether ``stored`` has the form of something sealed."""
    return isinstance(stored, dict) and stored.keys() == {"key_id", "sealed"}


async def async_load_vault(hass: HomeAssistant, files: Iterable[str]) -> Vault:
    """Read the installation's key, or make it where none of ``files`` is sealed yet.

    ``files`` are the names of all files that may be. The key is read anew each time, so that one
    that has gone is noticed before more is sealed with it.

    Raises:
        KeyMissingError: one of the files is sealed, and there is no key to open it.
        KeyNotSavedError: a new key could not be written.

    """
    async with _lock(hass):
        try:
            stored = await _store(hass).async_load()
        except HomeAssistantError:
            raise
        except Exception as error:  # core's reader raises whatever a file that is none of its meets
            raise KeyMissingError from error
        if stored is not None:
            return _parse(stored)
        for name in files:
            if await _async_is_sealed(hass, name):
                raise KeyMissingError
        made: _StoredKey = {
            "id": secrets.token_hex(8),
            "key": base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode(),
        }
        await _store(hass).async_save(made)
        # Core's writer only logs what the disk refused.
        if await _store(hass).async_load() != made:
            raise KeyNotSavedError
        return _parse(made)


async def async_remove_key(hass: HomeAssistant) -> None:
    """Delete the key, unless a door is left; whatever it sealed can never be read again."""
    async with _lock(hass):
        if not hass.config_entries.async_entries(DOMAIN):
            await async_erase(hass, KEY_FILE)


async def async_erase(hass: HomeAssistant, name: str) -> None:
    """Delete a file of ``.storage``, and the copies that core made where it found it broken."""
    store = Store[dict[str, Any]](hass, _VERSION, name)
    await store.async_remove()
    await hass.async_add_executor_job(_erase_copies, Path(store.path))


def _erase_copies(path: Path) -> None:
    for copy in path.parent.glob(f"{glob.escape(path.name)}.corrupt.*"):
        copy.unlink(missing_ok=True)


async def _async_is_sealed(hass: HomeAssistant, name: str) -> bool:
    try:
        return is_sealed(await _Peek(hass, name).async_load())
    except HomeAssistantError:
        raise
    except Exception:  # noqa: BLE001 - as above; what cannot be read so is reported by its reader
        return False


class _Peek(Store[dict[str, Any]]):
    """Looks into a file of any version without changing it."""

    def __init__(self, hass: HomeAssistant, name: str) -> None:
        super().__init__(hass, _VERSION, name, read_only=True, max_readable_version=sys.maxsize)

    async def _async_migrate_func(
        self,
        old_major_version: int,  # noqa: ARG002
        old_minor_version: int,  # noqa: ARG002
        old_data: Any,
    ) -> Any:
        return old_data


def _store(hass: HomeAssistant) -> Store[_StoredKey]:
    return Store(hass, _VERSION, KEY_FILE, private=True, atomic_writes=True)


def _lock(hass: HomeAssistant) -> asyncio.Lock:
    return hass.data.setdefault(_LOCK, asyncio.Lock())


def _parse(stored: _StoredKey) -> Vault:
    try:
        key = base64.b64decode(stored["key"], validate=True)
        if len(key) != _KEY_BYTES:
            raise ValueError("not a key of 256 bits")  # noqa: TRY301
        return Vault(str(stored["id"]), key)
    except (KeyError, TypeError, ValueError) as error:
        raise KeyMissingError from error
