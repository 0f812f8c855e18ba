"""What the owner says of a visit, and handing that over for training. No template changes by it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import probatio
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse
from homeassistant.util import dt as dt_util

from ..coordinator import DoorCoordinator
from ..household import Household
from ..storage.feedback import Feedback, Verdict
from ..vision import Bundle, PictureError, Template, align, decode_rgb, embed_crop
from ..vision.matching.similarity import centre, score
from ..vision.types import RgbImage
from ..visit import Visit
from .common import (
    DOOR_FIELD,
    allowed_path,
    async_door,
    async_household,
    async_person,
    refusal,
    text,
)

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
        probatio.Optional(ATTR_VISIT): text,
    }
)
EXPORT_SCHEMA: Final = probatio.Schema({probatio.Required(ATTR_FOLDER): text})


async def async_feedback(call: ServiceCall) -> ServiceResponse:
    """Keep what the owner says of the last visit, or of the one that is meant."""
    household = async_household(call)
    door, visit = _find(call, household)
    verdict = Verdict(call.data[ATTR_VERDICT])
    person = visit.person if visit.person in household.residents.rules else None
    if ATTR_PERSON in call.data:
        person, _ = async_person(household, call.data[ATTR_PERSON])
    if person is None and verdict is Verdict.THAT_WAS_ME:
        raise refusal("visit_of_nobody", door=door.title)
    crop, similarity = None, None
    kept = door.records.picture
    if kept is not None and (picture := await kept.async_load(visit.id)) is not None:
        album = () if person is None else household.store.album(person)
        crop, similarity = await household.worker.async_run(
            _look, household.bundle, picture, tuple(p.template for p in album)
        )
    await household.records.feedback.async_add(
        Feedback(
            visit=visit.id,
            door=door.id,
            when=visit.ended,
            person=person,
            verdict=verdict,
            decision=visit.reason or visit.outcome,
            similarity=similarity,
            model=household.bundle.verifier.model,
            crop=crop,
        )
    )
    return {
        "visit": visit.id,
        "door": door.title,
        "ended": dt_util.as_local(visit.ended).isoformat(timespec="milliseconds"),
        "person": household.residents.name_of(person),
        "person_id": person,
        "verdict": verdict.value,
        "picture": crop is not None and household.settings.keep_pictures,
    }


def _find(call: ServiceCall, household: Household) -> tuple[DoorCoordinator, Visit]:
    """Return the visit that is meant: by its id at any door, else the last one of the door."""
    wanted = call.data.get(ATTR_VISIT)
    if wanted is None:
        door = async_door(call)
        if (visit := door.records.history.find()) is not None:
            return door, visit
        raise refusal("visit_unknown")
    for door in household.doors.values():
        if (visit := door.records.history.find(wanted)) is not None:
            return door, visit
    raise refusal("visit_unknown")


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


async def async_export_feedback(call: ServiceCall) -> ServiceResponse:
    """Write all feedback, not encrypted, into a new folder."""
    household = async_household(call)
    folder = await call.hass.async_add_executor_job(
        _export_folder, call.hass, call.data[ATTR_FOLDER]
    )
    try:
        number = await household.records.feedback.async_export(folder)
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
