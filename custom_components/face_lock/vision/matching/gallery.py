"""Compares an embedding with everybody enrolled."""

from __future__ import annotations

import numpy as np

from ..types import FloatArray, Gallery, Match
from .similarity import MIN_SCORE, centre, pairwise_scores


class Matcher:
    """Compares embeddings with a gallery; made once for each change of the gallery.

    A face's similarity to a person is its score with the centre of that person's templates.
    """

    def __init__(self, gallery: Gallery, *, model: str) -> None:
        """Use the templates made by ``model``; those of another model cannot be compared."""
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
        """Find the person whom float32[D + 1] resembles most; None while nobody is enrolled."""
        if self._centres is None:
            return None
        similarities = pairwise_scores(self._centres, embedding[np.newaxis])[:, 0]
        order = np.argsort(-similarities, kind="stable")
        return Match(
            person=self._people[order[0]],
            similarity=float(similarities[order[0]]),
            runner_up=float(similarities[order[1]]) if len(order) > 1 else MIN_SCORE,
        )
