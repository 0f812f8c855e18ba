"""From one frame to its faces, their embeddings and the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ..imaging.align import CROP_SIZE
from ..matching.gallery import Matcher
from ..networks.bundle import Bundle
from ..pad import measure_cues
from ..tracking.focus import Focus, Share
from ..tracking.stacking import Stack, Stacker
from ..types import (
    Evidence,
    Face,
    FloatArray,
    Frame,
    Gallery,
    Look,
    RgbImage,
    Sighting,
)
from .usable import look_at

MAX_FACES = 8
"""Faces examined per frame, most certain first: a poster full of faces must not stall the door."""


def recognise(
    bundle: Bundle,
    matcher: Matcher,
    frame: Frame,
    *,
    cues_from: float | None = None,
    stacker: Stacker | None = None,
    focus: Focus | None = None,
    moved: Share | None = None,
) -> Sighting:
    """Find the faces in ``frame``, embed those of sufficient quality, and match them.

    If the match of a frame or of its stack reaches the score ``cues_from``, the liveness cues are
    measured as well; ``None`` never measures them. With a ``stacker``, which has seen the earlier
    frames, a face in poor light is also recognised by the mean of its frames. With a ``focus``,
    which has seen them too, only part of the picture may be searched; ``moved`` is what changed.
    """
    faces = find_faces(bundle, frame, focus, moved)[:MAX_FACES]
    looked_at = [_look(bundle, frame.rgb, face) for face in faces]
    stacks: Sequence[Stack | None] = [None] * len(faces)
    if stacker is not None:
        usable = [
            None if evidence.problem is not None else (crop, evidence.quality)
            for crop, evidence in looked_at
        ]
        stacks = stacker.add(faces, usable, frame.taken_at, frame.digest)
    crops = [crop for crop, evidence in looked_at if evidence.problem is None]
    for stack in stacks:
        crops += [] if stack is None else [stack.whole, stack.older, stack.newer]
    # One batch for all of them; the network does not run for an empty one.
    batch = np.stack(crops) if crops else np.empty((0, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    embeddings = iter(list(bundle.verifier.embed(batch)))
    evidence = [
        item if item.problem is not None else _compare(matcher, item, next(embeddings))
        for _, item in looked_at
    ]
    evidence = [
        item if stack is None else _stacked(matcher, item, stack, embeddings)
        for item, stack in zip(evidence, stacks, strict=True)
    ]
    if cues_from is not None:
        evidence = [_with_cues(bundle, frame.rgb, item, cues_from) for item in evidence]
    return Sighting(digest=frame.digest, taken_at=frame.taken_at, evidence=tuple(evidence))


def gallery_matcher(bundle: Bundle, gallery: Gallery) -> Matcher:
    """Prepare ``gallery`` for ``recognise``; templates of other models are left out."""
    return Matcher(gallery, model=bundle.verifier.model)


def find_faces(
    bundle: Bundle, frame: Frame, focus: Focus | None = None, moved: Share | None = None
) -> list[Face]:
    """Find all faces in a frame; with a ``focus`` where it chooses to look."""
    if focus is None:
        return bundle.detector.detect(frame.rgb)
    size = (frame.rgb.shape[0], frame.rgb.shape[1])
    regions = focus.choose(size, moved, frame.taken_at)
    if regions is not None:
        found = [f for part in regions for f in bundle.detector.detect(frame.rgb, region=part)]
        faces = sorted(found, key=lambda face: -face.score)
        if focus.suffices(regions, faces):
            focus.note(size, faces, frame.taken_at, whole=False)
            return faces
    faces = bundle.detector.detect(frame.rgb)
    focus.note(size, faces, frame.taken_at, whole=True)
    return faces


def _look(bundle: Bundle, rgb: RgbImage, face: Face) -> tuple[RgbImage, Evidence]:
    crop, quality, problem = look_at(bundle, rgb, face)
    return crop, Evidence(face=face, quality=quality, problem=problem)


def _with_cues(bundle: Bundle, rgb: RgbImage, evidence: Evidence, cues_from: float) -> Evidence:
    # The decision may use either, because it does not count every stack.
    looks = (evidence.match, None if evidence.look is None else evidence.look.match)
    if not any(match is not None and match.similarity >= cues_from for match in looks):
        return evidence
    return replace(
        evidence, cues=measure_cues(bundle.liveness, rgb, evidence.face, bundle.antispoofing)
    )


def _compare(matcher: Matcher, evidence: Evidence, embedding: FloatArray) -> Evidence:
    return replace(evidence, embedding=embedding, match=matcher.match(embedding))


def _stacked(
    matcher: Matcher, evidence: Evidence, stack: Stack, embeddings: Iterator[FloatArray]
) -> Evidence:
    whole, older, newer = (matcher.match(next(embeddings)) for _ in range(3))
    if whole is None or older is None or newer is None:
        return evidence
    return replace(evidence, look=Look(whole, older, newer, stack.taken_at))
