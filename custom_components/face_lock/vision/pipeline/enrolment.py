"""Turns a reference picture into templates of the faces in it, or says why it cannot.

A bad picture that is accepted here costs security at the door: one blurred or wrong picture among
the templates permanently widens what counts as this person. Which of several faces is the person's
no single picture can tell: see ``agreement.py``.
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


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """An accepted reference picture: its aligned ``crop`` uint8[112, 112, 3] and the template.

    The crop is kept so that a later model can embed it again; None if the owner keeps no pictures.
    """

    crop: RgbImage | None
    template: Template


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A face that can be compared, where it was found, and the portrait it would make."""

    face: Face
    portrait: Portrait


@dataclass(frozen=True, slots=True, eq=False)
class Faces:
    """All faces of one picture, the widest first, however small or far behind.

    ``others`` is the number of those that cannot be compared: each may be the person's own.
    """

    candidates: tuple[Candidate, ...]
    others: int = 0

    @property
    def number(self) -> int:
        """How many faces the picture shows."""
        return len(self.candidates) + self.others


def examine(bundle: Bundle, rgb: RgbImage, others: Sequence[Template] = ()) -> Portrait:
    """Make a template of the one face in uint8[H, W, 3].

    ``others`` are templates that are known to be of the same person; among several faces, the one
    that resembles them is taken.

    Raises:
        PictureError: no face, several, too small, too dark, blurred, turned, or not the same
            person.

    """
    faces = find_faces(bundle, rgb)
    known = [template for template in others if template.model == bundle.verifier.model]
    if not known:
        if faces.number > 1:
            raise PictureError(Problem.SEVERAL_FACES)
        return faces.candidates[0].portrait
    alike = [
        candidate.portrait
        for candidate in faces.candidates
        if is_same_person(bundle, candidate.portrait.template.embedding, known)
    ]
    if len(alike) != 1:
        raise PictureError(Problem.SEVERAL_FACES if alike else Problem.OTHER_PERSON)
    return alike[0]


def find_faces(bundle: Bundle, rgb: RgbImage) -> Faces:
    """Find every face in uint8[H, W, 3], and embed those that can be compared.

    Raises:
        PictureError: there is no face that can be compared; it says why.

    """
    found = sorted(bundle.detector.detect(rgb, PORTRAIT_SIDE), key=lambda face: -face.width)
    looked_at = [(face, look_at(bundle, rgb, face)) for face in found]
    usable = [(face, looked.crop) for face, looked in looked_at if looked.problem is None]
    if not usable:
        raise PictureError(
            _why(bundle, rgb, [looked.problem for _, looked in looked_at if looked.problem])
        )
    embeddings = bundle.verifier.embed(np.stack([crop for _, crop in usable]))
    candidates = tuple(
        Candidate(face, Portrait(crop, Template(embedding, bundle.verifier.model)))
        for (face, crop), embedding in zip(usable, embeddings, strict=True)
    )
    return Faces(candidates, others=len(found) - len(usable))


def _why(bundle: Bundle, rgb: RgbImage, problems: Sequence[Problem]) -> Problem:
    if not problems:
        turned = is_turned(bundle, rgb, PORTRAIT_SIDE)
        return Problem.TURNED if turned else Problem.NO_FACE
    if len(problems) == 1:
        return problems[0]
    # In a turned picture cloth, too, may pass for a face.
    return Problem.TURNED if Problem.TURNED in problems else Problem.SEVERAL_FACES


def embed_crop(bundle: Bundle, crop: RgbImage) -> Template:
    """Embed an aligned crop uint8[112, 112, 3], for example again after a change of model."""
    return Template(bundle.verifier.embed(crop[np.newaxis])[0], bundle.verifier.model)


def is_same_person(bundle: Bundle, embedding: FloatArray, others: Sequence[Template]) -> bool:
    """Whether ``embedding`` agrees with the ``others`` of the same model; true without any."""
    comparable = [t.embedding for t in others if t.model == bundle.verifier.model]
    if not comparable:
        return True
    return score(centre(comparable), embedding) >= same_person_threshold(bundle)


def same_person_threshold(bundle: Bundle) -> float:
    """Return the score from which two pictures of one enrolment show the same person."""
    return bundle.thresholds.operating_point(SAME_PERSON_FPR).threshold
