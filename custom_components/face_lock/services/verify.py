"""Whom does the door's recognition see in a picture? Nothing is opened, whatever the answer."""

from __future__ import annotations

from functools import partial
from typing import Final

import probatio
from homeassistant.components.camera.const import DOMAIN as CAMERA_DOMAIN
from homeassistant.core import ServiceCall, ServiceResponse
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv

from ..access.rules import objection
from ..const import DOMAIN
from ..format import percent
from ..recognition.heic import async_read
from ..recognition.snapshot import CameraError, async_take_picture
from ..vision import (
    Bundle,
    DecisionPolicy,
    Evidence,
    Frame,
    Matcher,
    PictureError,
    Problem,
    decode_rgb,
    recognise,
)
from ..vision.decision.voting import Voting
from .common import DOOR_FIELD, async_door, async_household, async_read_picture, refusal, text

ATTR_CAMERA: Final = "camera"
ATTR_FILE: Final = "file"

SCHEMA: Final = probatio.Schema(
    {
        **DOOR_FIELD,
        # Core's check of the domain takes whatever is no text for a list.
        probatio.Exclusive(ATTR_CAMERA, "picture"): probatio.All(
            text, cv.entity_domain(CAMERA_DOMAIN)
        ),
        probatio.Exclusive(ATTR_FILE, "picture"): text,
    }
)


async def async_verify(call: ServiceCall) -> ServiceResponse:
    """Say who is in a picture."""
    door = async_door(call)
    if ATTR_FILE in call.data:
        data = await async_read_picture(call.hass, call.data[ATTR_FILE])
    else:
        camera = call.data.get(ATTR_CAMERA, door.settings.cameras[0])
        try:
            data = (await async_take_picture(call.hass, camera)).data
        except CameraError as error:
            raise HomeAssistantError(
                translation_domain=DOMAIN, translation_key=error.key
            ) from error
    try:
        identify = partial(
            async_household(call).worker.async_run,
            _identify,
            door.bundle,
            door.residents.matcher,
            door.settings.false_positive_rate,
            data,
        )
        found = await async_read(call.hass, identify)
    except PictureError as error:
        raise refusal(error.problem.value) from error
    person, confidence, problem, faces = found
    if problem is None and (rules := door.residents.rules.get(person or "")) is not None:
        problem = objection(call.hass, rules, door.id)
    return {
        "person": door.residents.name_of(person),
        "person_id": person,
        "confidence": percent(confidence),
        "reason": None if problem is None else problem.value,
        "faces": faces,
    }


def _identify(
    bundle: Bundle, matcher: Matcher, rate: float, data: bytes
) -> tuple[str | None, float, Problem | None, int]:
    """Find the largest face's person: id, confidence 0..1, why not, number of faces; blocks.

    Raises:
        PictureError: the picture cannot be read.

    """
    sighting = recognise(bundle, matcher, Frame(decode_rgb(data), 0.0))
    if not sighting.evidence:
        return None, 0.0, Problem.NO_FACE, 0
    largest = max(sighting.evidence, key=lambda evidence: evidence.face.width)
    voting = Voting(
        DecisionPolicy(), bundle.thresholds.operating_point(rate, len(matcher)).threshold
    )
    return *_judge(bundle, largest, voting), len(sighting.evidence)


def _judge(
    bundle: Bundle, evidence: Evidence, voting: Voting
) -> tuple[str | None, float, Problem | None]:
    match = evidence.match
    if evidence.problem is not None or match is None:
        return None, 0.0, evidence.problem or Problem.UNKNOWN_FACE
    confidence = bundle.thresholds.confidence(match.similarity)
    problem = voting.objection(match)
    return (match.person if problem is None else None), confidence, problem
