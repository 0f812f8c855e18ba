"""An embedding against everybody enrolled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .types import FloatArray, Gallery, Match


def centre(embeddings: Sequence[FloatArray]) -> FloatArray:
    """Average one person's unit embeddings float32[D] and scale the mean to unit length.

    Calibration enrols people in the same way (`training/verifier/gallery.py`), so that its
    thresholds hold for what is compared at the door. Taking the best of several templates instead
    would multiply the false positive rate by up to their number.
    """
    mean: FloatArray = np.mean(embeddings, axis=0, dtype=np.float32)
    unit: FloatArray = mean / np.linalg.norm(mean)
    return unit


class Matcher:
    """Compares embeddings with a gallery, made once per change of the gallery.

    A face's similarity to a person is its cosine with the centre of that person's templates.
    """

    def __init__(self, gallery: Gallery, *, model: str) -> None:
        """Use the templates that ``model`` made; those of another model cannot be compared."""
        self._people: list[str] = []
        centres: list[FloatArray] = []
        for person, templates in gallery.items():
            usable = [t.embedding for t in templates if t.model == model]
            if usable:
                self._people.append(person)
                centres.append(centre(usable))
        self._centres = np.stack(centres) if centres else None

    def __len__(self) -> int:
        """Count the people who can be recognised."""
        return len(self._people)

    def match(self, embedding: FloatArray) -> Match | None:
        """Find whom float32[D] resembles most; None with nobody enrolled."""
        if self._centres is None:
            return None
        similarities = self._centres @ embedding
        order = np.argsort(-similarities, kind="stable")
        return Match(
            person=self._people[order[0]],
            similarity=float(similarities[order[0]]),
            runner_up=float(similarities[order[1]]) if len(order) > 1 else -1.0,
        )
