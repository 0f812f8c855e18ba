"""One frame -> faces -> embeddings -> evidence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .align import CROP_SIZE, align
from .bundle import Bundle
from .gallery import Matcher
from .pad import measure_cues
from .quality import measure
from .types import Evidence, Face, FloatArray, Frame, Gallery, Problem, RgbImage, Sighting

MAX_FACES = 8
"""Faces looked at in one frame, surest first: a poster full of faces must not stall the door."""


def recognise(
    bundle: Bundle, matcher: Matcher, frame: Frame, *, cues_from: float | None = None
) -> Sighting:
    """Find the faces of ``frame``, embed those of sufficient quality, and match them.

    Where a match is at least ``cues_from`` (a cosine), whether the face is alive is measured too;
    ``None`` measures it nowhere.
    """
    faces = bundle.detector.detect(frame.rgb)[:MAX_FACES]
    looked_at = [_look(bundle, frame.rgb, face) for face in faces]
    crops = [crop for crop, evidence in looked_at if evidence.problem is None]
    # One batch for all faces; an empty batch is answered without running the network.
    batch = np.stack(crops) if crops else np.empty((0, CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
    embeddings = iter(list(bundle.verifier.embed(batch)))
    evidence = tuple(
        item if item.problem is not None else _compare(matcher, item, next(embeddings))
        for _, item in looked_at
    )
    if cues_from is not None:
        evidence = tuple(_with_cues(bundle, frame.rgb, item, cues_from) for item in evidence)
    return Sighting(digest=frame.digest, taken_at=frame.taken_at, evidence=evidence)


def gallery_matcher(bundle: Bundle, gallery: Gallery) -> Matcher:
    """Prepare ``gallery`` for ``recognise``; templates of other models are left out."""
    return Matcher(gallery, model=bundle.verifier.model)


def _look(bundle: Bundle, rgb: RgbImage, face: Face) -> tuple[RgbImage, Evidence]:
    try:
        crop = align(rgb, face.landmarks)
    except ValueError:
        # Landmarks on one point: whatever that is, no face can be read from it.
        crop = np.zeros((CROP_SIZE, CROP_SIZE, 3), dtype=np.uint8)
        return crop, Evidence(face=face, quality=measure(face, crop), problem=Problem.NO_FACE)
    quality, problem = bundle.judge(face, crop)
    return crop, Evidence(face=face, quality=quality, problem=problem)


def _with_cues(bundle: Bundle, rgb: RgbImage, evidence: Evidence, cues_from: float) -> Evidence:
    match = evidence.match
    if match is None or not match.similarity >= cues_from:
        return evidence
    return replace(evidence, cues=measure_cues(bundle.liveness, rgb, evidence.face))


def _compare(matcher: Matcher, evidence: Evidence, embedding: FloatArray) -> Evidence:
    return replace(evidence, embedding=embedding, match=matcher.match(embedding))
