"""What the owner says of a visit, and handing that over for training. No template changes by it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Final

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.helpers import config_validation as cv
from homeassistant.util import dt as dt_util

from ..coordinator import FaceLockCoordinator
from ..feedback import Feedback, Verdict
from ..memory import TOLERANCE, Visit
from ..people import people_of
from ..vision import (
    Bundle,
    PictureError,
    Template,
    align,
    decode_rgb,
    embed_crop,
)
from ..vision.matching.similarity import centre, score
from ..vision.types import RgbImage
from .common import DOOR_FIELD, allowed_path, async_entry, async_person, refusal, text

ATTR_VERDICT: Final = "verdict"
ATTR_PERSON: Final = "person"
ATTR_VISIT: Final = "visit"
ATTR_FOLDER: Final = "folder"

PUBLIC_FOLDER: Final = "www"
"""Home Assistant serves what lies there to everybody, without a password."""

SCHEMA: Final = probatio.Schema(
    {
        **DOOR_FIELD,
        probatio.Required(ATTR_VERDICT): probatio.Coerce(Verdict),
        probatio.Optional(ATTR_PERSON): text,
        probatio.Optional(ATTR_VISIT): probatio.All(text, cv.datetime),
    }
)
EXPORT_SCHEMA: Final = probatio.Schema({**DOOR_FIELD, probatio.Required(ATTR_FOLDER): text})


async def async_feedback(call: ServiceCall) -> ServiceResponse:
    """Keep what the owner says of the last visit, or of the one that is meant."""
    entry = async_entry(call)
    door = entry.runtime_data
    visit = door.memory.visits.at(_aware(call.data.get(ATTR_VISIT)))
    if visit is None:
        raise refusal("visit_unknown", door=entry.title)
    attempt, verdict = visit.access.attempt, Verdict(call.data[ATTR_VERDICT])
    person = attempt.person if attempt.person in people_of(entry) else None
    if ATTR_PERSON in call.data:
        person, _ = async_person(entry, call.data[ATTR_PERSON])
    if person is None and verdict is Verdict.THAT_WAS_ME:
        raise refusal("visit_of_nobody", door=entry.title)
    crop, similarity = None, None
    if (picture := await _async_picture(door, visit)) is not None:
        album = () if person is None else door.store.album(person)
        crop, similarity = await door.worker.async_run(
            _look, door.bundle, picture, tuple(p.template for p in album)
        )
    await door.records.feedback.async_add(
        Feedback(
            when=visit.when,
            person=person,
            verdict=verdict,
            decision=visit.access.event_type if attempt.problem is None else attempt.problem.value,
            similarity=similarity,
            model=door.bundle.verifier.model,
            crop=crop,
        )
    )
    return {
        "visit": dt_util.as_local(visit.when).isoformat(timespec="milliseconds"),
        "person": door.name_of(person),
        "person_id": person,
        "verdict": verdict.value,
        "picture": crop is not None and door.settings.keep_pictures,
    }


async def _async_picture(door: FaceLockCoordinator, visit: Visit) -> bytes | None:
    """Return the picture of a visit, if it is the one that the door keeps."""
    kept = door.records.visit
    taken_at = None if kept is None else await kept.async_taken_at()
    if kept is None or taken_at is None or abs(taken_at - visit.when) > TOLERANCE:
        return None
    return await kept.async_load()


def _look(
    bundle: Bundle, picture: bytes, templates: tuple[Template, ...]
) -> tuple[RgbImage | None, float | None]:
    """Cut out the largest face, and compare it with ``templates`` as recognition does; blocks."""
    try:
        rgb = decode_rgb(picture)
        face = max(bundle.detector.detect(rgb), key=lambda face: face.width, default=None)
        crop = None if face is None else align(rgb, face.landmarks)
    except (PictureError, ValueError):
        return None, None
    model = bundle.verifier.model
    comparable = [t.embedding for t in templates if t.model == model]
    if crop is None or not comparable:
        return crop, None
    return crop, score(centre(comparable), embed_crop(bundle, crop).embedding)


def _aware(when: datetime | None) -> datetime | None:
    """Take a time without a zone as Home Assistant's own."""
    if when is None or when.tzinfo is not None:
        return when
    return when.replace(tzinfo=dt_util.get_default_time_zone())


async def async_export_feedback(call: ServiceCall) -> ServiceResponse:
    """Write all feedback of a door, not encrypted, into a new folder."""
    entry = async_entry(call)
    folder = await call.hass.async_add_executor_job(
        _export_folder, call.hass, call.data[ATTR_FOLDER]
    )
    try:
        number = await entry.runtime_data.records.feedback.async_export(folder)
    except FileExistsError as error:
        raise refusal("folder_not_empty", path=str(folder)) from error
    except OSError as error:
        raise refusal("folder_unwritable", path=str(folder)) from error
    return {"folder": str(folder), "number": number}


def _export_folder(hass: HomeAssistant, path: str) -> Path:
    folder = allowed_path(hass, path)
    if folder.is_relative_to(Path(hass.config.path(PUBLIC_FOLDER)).resolve()):
        raise refusal("folder_public", path=path)
    return folder
