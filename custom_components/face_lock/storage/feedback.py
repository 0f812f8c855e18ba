"""What the owner said of past visits: material to measure the door by, and to train with.

It never changes who is let in: nothing here reaches a template or a threshold.
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from homeassistant.core import HomeAssistant

from ..const import DOMAIN
from ..vision import encode_png
from ..vision.types import RgbImage
from .encrypted_store import EncryptedStore
from .key import DamagedError, Vault

MAX_RECORDS: Final = 300
"""The newest are kept; each is at most some 30 KB, and all are written anew for each."""
CSV_FILE: Final = "feedback.csv"
COLUMNS: Final = (
    "file",
    "when",
    "person",
    "verdict",
    "decision",
    "similarity",
    "model",
    "door",
    "visit",
)

_SAFE_NAME: Final = re.compile(r"[0-9A-Za-z][0-9A-Za-z_-]{0,63}")


class Verdict(StrEnum):
    """What the owner says of a visit."""

    THAT_WAS_ME = "that_was_me"
    THAT_WAS_NOT_ME = "that_was_not_me"


@dataclass(frozen=True, slots=True, eq=False)
class Feedback:
    """One visit and the owner's word on it.

    ``visit`` and ``door`` are ids; ``when`` is an aware time; ``person`` the id of whom the verdict
    speaks, None for nobody known;
    ``decision`` what the lock did (``access_granted`` or the reason of the refusal); ``similarity``
    the cosine -1..1 that ``model`` found; ``crop`` uint8[112, 112, 3], where there is one.
    """

    visit: str
    door: str
    when: datetime
    person: str | None
    verdict: Verdict
    decision: str
    similarity: float | None
    model: str
    crop: RgbImage | None = None


def feedback_file(entry_id: str) -> str:
    """Name a household's file."""
    return f"{DOMAIN}.{entry_id}.feedback"


class FeedbackStore:
    """The feedback of a household, on disk only: it is seldom wanted."""

    def __init__(
        self, hass: HomeAssistant, vault: Vault, entry_id: str, *, keep_pictures: bool = True
    ) -> None:
        self._hass = hass
        self._keep_pictures = keep_pictures
        self._file = EncryptedStore(hass, vault, feedback_file(entry_id))
        self._lock = asyncio.Lock()

    async def async_add(self, feedback: Feedback) -> None:
        """Keep ``feedback``, its crop only where pictures may be kept.

        Raises:
            VaultError: what is there already cannot be decrypted; it is left as it is.
            DamagedError: it holds something else than records; it is left as it is.

        """
        record = await self._hass.async_add_executor_job(_record, feedback, self._keep_pictures)
        async with self._lock:
            records = await self._async_read()
            await self._async_write([*records, record][-MAX_RECORDS:])

    async def async_count(self) -> int:
        """Count the records; raises VaultError or DamagedError."""
        async with self._lock:
            return len(await self._async_read())

    async def async_settle(self, people: Collection[str]) -> None:
        """Delete the records of everybody but ``people``, and crops that may not be kept.

        Raises:
            VaultError, DamagedError: the file cannot be read; it is left as it is.

        """
        async with self._lock:
            records = await self._async_read()
            kept = [
                record if self._keep_pictures else record | {"crop": None}
                for record in records
                if record["person"] is None or record["person"] in people
            ]
            if kept != records:
                await self._async_write(kept)

    async def async_export(self, folder: Path) -> int:
        """Write all records, not encrypted, below ``folder``; return how many.

        Crops that the owner confirmed lie in a folder per person, named by the person's id; every
        other one in a folder of its own, since nobody knows whether two of them show the same
        person. ``training``'s ``prepare`` reads that as a source of aligned pictures. A table,
        ``feedback.csv``, tells of every record. Everything is readable by Home Assistant's user
        alone; the caller chooses a folder that may be written to.

        Raises:
            VaultError, DamagedError: the records cannot be read.
            FileExistsError: the folder holds something already.
            OSError: the folder cannot be written.

        """
        async with self._lock:
            records = await self._async_read()
        await self._hass.async_add_executor_job(_export, folder, records)
        return len(records)

    async def async_remove(self) -> None:
        """Delete all records."""
        async with self._lock:
            await self._file.async_remove()

    async def _async_read(self) -> list[dict[str, Any]]:
        stored = await self._file.async_load()
        return [] if stored is None else _records(stored)

    async def _async_write(self, records: list[dict[str, Any]]) -> None:
        if records:
            await self._file.async_save({"records": records})
        else:
            await self._file.async_remove()


def _record(feedback: Feedback, keep_pictures: bool) -> dict[str, Any]:
    crop = feedback.crop if keep_pictures else None
    return {
        "visit": feedback.visit,
        "door": feedback.door,
        "when": feedback.when.astimezone(UTC).isoformat(),
        "person": feedback.person,
        "verdict": feedback.verdict.value,
        "decision": feedback.decision,
        "similarity": feedback.similarity,
        "model": feedback.model,
        "crop": None if crop is None else base64.b64encode(encode_png(crop)).decode(),
    }


def _records(stored: Any) -> list[dict[str, Any]]:
    """Return the records of a file; raises DamagedError unless each is as `_record` makes them."""
    records = stored.get("records") if isinstance(stored, dict) else None
    if not isinstance(records, list) or not all(map(_is_record, records)):
        raise DamagedError
    return records


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    try:
        datetime.fromisoformat(record["when"])
        Verdict(record["verdict"])
        return (
            isinstance(record["visit"], str)
            and isinstance(record["door"], str)
            and isinstance(record["person"], str | None)
            and isinstance(record["decision"], str)
            and isinstance(record["similarity"], float | int | None)
            and isinstance(record["model"], str)
            and isinstance(record["crop"], str | None)
        )
    except (KeyError, TypeError, ValueError):
        return False


def _export(folder: Path, records: list[dict[str, Any]]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        # Pictures of people who were removed since would stay among the new ones.
        raise FileExistsError(f"{folder} is not empty")
    with io.TextIOWrapper(_create(folder / CSV_FILE), "utf-8", newline="") as table:
        writer = csv.DictWriter(table, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        for number, record in enumerate(records):
            file = ""
            if record["crop"] is not None:
                file = f"{_identity(record, number)}/{_file_name(record, number)}"
                (folder / file).parent.mkdir(mode=0o700, exist_ok=True)
                with _create(folder / file) as picture:
                    picture.write(_crop(record["crop"]))
            writer.writerow(record | {"file": file})


def _crop(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise DamagedError from error


def _identity(record: dict[str, Any], number: int) -> str:
    person = record["person"]
    if person is None or record["verdict"] != Verdict.THAT_WAS_ME:
        return f"unknown-{number:04}"
    # Ids are ours and harmless; that they stay inside the folder must not depend on it.
    return person if _SAFE_NAME.fullmatch(person) else f"person-{person.encode().hex()[:48]}"


def _file_name(record: dict[str, Any], number: int) -> str:
    moment = datetime.fromisoformat(record["when"]).strftime("%Y%m%dT%H%M%S")
    return f"{moment}-{number:04}.png"


def _create(path: Path) -> BinaryIO:
    """Open a new file for its owner alone."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
