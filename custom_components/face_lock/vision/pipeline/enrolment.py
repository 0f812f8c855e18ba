"""Turns a reference picture into a template, or says why it cannot.

A bad picture that is accepted here costs security at the door: one blurred or wrong picture among
the templates permanently widens what counts as this person.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..matching.similarity import centre, score
from ..networks.bundle import Bundle
from ..networks.detector import PORTRAIT_SIDE
from ..types import Face, FloatArray, PictureError, Problem, RgbImage, Template
from .usable import is_turned, look_at

SAME_PERSON_FPR: Final = 1e-3
"""The rate at which two pictures of one enrolment must show the same person. It is looser than a
door's, because the owner vouches for them and this check only catches the wrong file."""
BYSTANDER: Final = 0.5
"""Share of the largest face's width from which a second face makes the picture one of several."""


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """An accepted reference picture: its aligned ``crop`` uint8[112, 112, 3] and the template.

    The crop is kept so that a later model can embed it again; None if the owner keeps no pictures.
    """

    crop: RgbImage | None
    template: Template


def examine(bundle: Bundle, rgb: RgbImage, others: Sequence[Template] = ()) -> Portrait:
    """Make a template of the one face in uint8[H, W, 3].

    ``others`` are the templates already made of the same person.

    Raises:
        PictureError: no face, several, too small, too dark, blurred, turned, or not the same
            person.

    """
    return portray(bundle, rgb, find_face(bundle, rgb), others)


def find_face(bundle: Bundle, rgb: RgbImage) -> Face:
    """Find the one face in uint8[H, W, 3].

    Raises:
        PictureError: no face, one only if the picture is turned, or several.

    """
    faces = sorted(bundle.detector.detect(rgb, PORTRAIT_SIDE), key=lambda face: -face.width)
    if not faces:
        raise PictureError(
            Problem.TURNED if is_turned(bundle, rgb, PORTRAIT_SIDE) else Problem.NO_FACE
        )
    if len(faces) > 1 and faces[1].width >= BYSTANDER * faces[0].width:
        # In a turned picture cloth, too, may pass for a face.
        problems = {look_at(bundle, rgb, face).problem for face in faces[:2]}
        is_wrong = Problem.TURNED in problems and None not in problems
        raise PictureError(Problem.TURNED if is_wrong else Problem.SEVERAL_FACES)
    return faces[0]


def portray(bundle: Bundle, rgb: RgbImage, face: Face, others: Sequence[Template] = ()) -> Portrait:
    """Make a template of a ``face`` that was found in uint8[H, W, 3].

    Raises:
        PictureError: too small, too dark, blurred, turned, or not the same person as the
            ``others``.

    """
    crop, _, problem = look_at(bundle, rgb, face)
    if problem is not None:
        raise PictureError(problem)
    template = embed_crop(bundle, crop)
    if not is_same_person(bundle, template.embedding, others):
        raise PictureError(Problem.OTHER_PERSON)
    return Portrait(crop, template)


def embed_crop(bundle: Bundle, crop: RgbImage) -> Template:
    """Embed an aligned crop uint8[112, 112, 3], for example again after a change of model."""
    return Template(bundle.verifier.embed(crop[np.newaxis])[0], bundle.verifier.model)


def is_same_person(bundle: Bundle, embedding: FloatArray, others: Sequence[Template]) -> bool:
    """Whether ``embedding`` agrees with the ``others`` of the same model; true without any."""
    comparable = [t.embedding for t in others if t.model == bundle.verifier.model]
    if not comparable:
        return True
    similarity = score(centre(comparable), embedding)
    return similarity >= bundle.thresholds.operating_point(SAME_PERSON_FPR).threshold
