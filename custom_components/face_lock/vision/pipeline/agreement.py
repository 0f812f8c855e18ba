"""Whose pictures are these? The face that most of them show, in whatever order they came.

No single picture can be the judge: it may be the wrong file, and of several faces in it the widest
may be a passer-by's. So all pictures of an enrolment vote, and each counts once however often it is
given. Where no majority agrees on one face, nothing is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from ..matching.similarity import centre, cosine, score
from ..networks.bundle import Bundle
from ..types import FloatArray, Template
from .enrolment import Candidate, Faces, same_person_threshold

SAME_PICTURE: Final = 0.9
"""Cosine of two embeddings from which two pictures count as one: a copy, or the same moment.

Of 690 webcam frames of nine people, no two from different days exceeded 0.865 (13,629 pairs), and
two thirds of those within a second reach 0.9. So do their copies: all at JPEG quality 75, 99 % at
quality 40 or at half the size, two thirds at half the size and quality 60.
"""
_ROUNDS: Final = 4
"""The members of a group settle after one or two."""


class Objection(StrEnum):
    """Why a picture is not kept; the values are translation keys."""

    SAME_PICTURE = "same_picture"
    SEVERAL_FACES = "several_faces"
    OTHER_PERSON = "other_person"
    DISAGREE = "pictures_disagree"
    """The pictures show different people, and no majority agrees on one."""


Outcome = Candidate | Objection
Group = dict[int, int]
"""Picture -> which of its candidates it shares with the others of the group."""


def agree(
    bundle: Bundle, pictures: Sequence[Faces], known: Sequence[Template] = ()
) -> list[Outcome]:
    """Say for each picture which of its faces is the person's, or why it is not kept.

    ``known`` templates are enrolled already: they settle who the person is, and a picture is kept
    if exactly one of its faces resembles them. Without any, it is the one face that more than half
    of the different pictures show. A face that cannot be compared may be anybody's: it leaves the
    question open unless a picture shows the person alone.
    """
    anchors = [t.embedding for t in known if t.model == bundle.verifier.model]
    limit = same_person_threshold(bundle)
    voting = _different(pictures, anchors)
    person = centre(anchors) if anchors else _elect(pictures, voting, limit)
    outcomes: list[Outcome] = [Objection.SAME_PICTURE] * len(pictures)
    kept = list(anchors)
    for n in voting:
        outcome = _judge(pictures[n], person, limit)
        if isinstance(outcome, Candidate):
            embedding = outcome.portrait.template.embedding
            if any(_is_copy(embedding, other) for other in kept):
                continue
            kept.append(embedding)
        outcomes[n] = outcome
    return outcomes


def _is_copy(one: FloatArray, other: FloatArray) -> bool:
    return cosine(one, other) >= SAME_PICTURE


def _embeddings(faces: Faces) -> list[FloatArray]:
    return [candidate.portrait.template.embedding for candidate in faces.candidates]


def _different(pictures: Sequence[Faces], anchors: Sequence[FloatArray]) -> list[int]:
    """Return the pictures that are copies of no other, those with fewest faces first.

    Of two copies the one with fewer faces tells more: the other shows all of it, and somebody else.
    """
    kept = [[anchor] for anchor in anchors]
    different = []
    for n in sorted(range(len(pictures)), key=lambda n: (pictures[n].number, n)):
        mine = _embeddings(pictures[n])
        if not any(
            all(any(_is_copy(one, other) for one in mine) for other in before) for before in kept
        ):
            different.append(n)
            kept.append(mine)
    return different


def _elect(pictures: Sequence[Faces], voting: Sequence[int], limit: float) -> FloatArray | None:
    """Return the centre of the one face that most pictures show, None without such a face."""
    groups = [
        _gather(pictures, voting, embedding, limit)
        for n in voting
        for embedding in _embeddings(pictures[n])
    ]
    large = sorted((g for g in groups if 2 * len(g) > len(voting)), key=len, reverse=True)
    if not large:
        return None
    winner = large[0]
    # Two majorities share a picture, so that they are one only if they see one face in it.
    if any(winner[n] != group[n] for group in large for n in winner.keys() & group.keys()):
        return None
    strange = sum(pictures[n].others > 0 for n in voting)
    if 2 * strange > len(voting) and all(pictures[n].number > 1 for n in winner):
        return None
    return centre([_embeddings(pictures[n])[k] for n, k in winner.items()])


def _gather(
    pictures: Sequence[Faces], voting: Sequence[int], start: FloatArray, limit: float
) -> Group:
    """Return the group of faces, one of each picture at most, that resemble their own centre."""
    group: Group = {}
    middle = start
    for _ in range(_ROUNDS):
        before, group = group, {}
        for n in voting:
            scores = [score(middle, embedding) for embedding in _embeddings(pictures[n])]
            best = max(range(len(scores)), key=scores.__getitem__)
            if scores[best] >= limit:
                group[n] = best
        if group in ({}, before):
            break
        middle = centre([_embeddings(pictures[n])[k] for n, k in group.items()])
    return group


def _judge(faces: Faces, person: FloatArray | None, limit: float) -> Outcome:
    if person is None:
        return Objection.SEVERAL_FACES if faces.number > 1 else Objection.DISAGREE
    alike = [
        candidate
        for candidate, embedding in zip(faces.candidates, _embeddings(faces), strict=True)
        if score(person, embedding) >= limit
    ]
    if len(alike) == 1:
        return alike[0]
    return Objection.SEVERAL_FACES if alike else Objection.OTHER_PERSON
