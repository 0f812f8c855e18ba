"""A detector's figures under one condition, with intervals from a bootstrap over pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from training.detector.data import Labels
from training.detector.matching import false_faces, landmark_error, match
from vision.types import Face

WIDTHS = (16, 24, 40, 60)
"""Recall is reported for faces at least this wide, in pixels of the picture that is searched."""

# Below this width landmarks are not measured: a pixel is a tenth of the distance of the eyes.
_MEASURED_WIDTH = 24
_DRAWS = 1000
_SEED = 1


@dataclass(frozen=True)
class Result:
    """What was found in one picture: its `labels` and the `faces`, surest first."""

    labels: Labels
    faces: list[Face]

    def above(self, score: float) -> list[Face]:
        """Return the faces of at least this score."""
        return [face for face in self.faces if face.score >= score]


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % interval; NaN where there is nothing to measure."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Figures:
    """One condition's figures.

    `recall` (0..1, at an overlap of 0.5) and `faces` (how many) by least width in pixels; false
    faces a picture; `landmark_error` by whose landmarks are taken for right: the median over found
    faces of 24 px and wider of the mean distance of the five, over the distance of the eyes.
    """

    pictures: int
    faces: dict[int, int]
    recall: dict[int, Interval]
    false_per_picture: Interval
    landmark_error: dict[str, Interval]


def answered(labels: Labels, faces: Sequence[Face]) -> Labels:
    """Return the labels with the landmarks of the faces that match them, NaN where none does."""
    landmarks = np.full_like(labels.landmarks, np.nan)
    for label, face in match(faces, labels).items():
        landmarks[label] = faces[face].landmarks
    return replace(labels, landmarks=landmarks)


def figures(
    results: Sequence[Result],
    threshold: float,
    references: Mapping[str, Sequence[Labels]] | None = None,
    draws: int = _DRAWS,
) -> Figures:
    """Summarise one condition at one score threshold.

    `references` are the same labels with others' landmarks (NaN: not measured), by whose they are;
    the labels' own are measured as "labels".
    """
    sides = {"labels": [result.labels for result in results], **(references or {})}
    false = np.zeros(len(results))
    widths: list[float] = []
    hits: list[bool] = []
    owners: list[int] = []
    errors: dict[str, list[tuple[int, float]]] = {name: [] for name in sides}
    for picture, result in enumerate(results):
        faces = result.above(threshold)
        pairs = match(faces, result.labels)
        false[picture] = len(false_faces(faces, result.labels))
        for label in np.flatnonzero(result.labels.sure).tolist():
            box = result.labels.boxes[label]
            widths.append(float(box[2] - box[0]))
            hits.append(label in pairs)
            owners.append(picture)
            if label not in pairs or widths[-1] < _MEASURED_WIDTH:
                continue
            for name, labels in sides.items():
                wanted = labels[picture].landmarks[label]
                if np.isfinite(wanted).all():
                    error = landmark_error(faces[pairs[label]], wanted)
                    errors[name].append((picture, error))

    # How often each picture is drawn, the first time each once.
    generator = np.random.default_rng(_SEED)
    count = max(1, len(results))
    times = np.vstack(
        [np.ones(count), generator.multinomial(count, np.full(count, 1 / count), draws)]
    )
    found, owner = np.array(hits, dtype=bool), np.array(owners, dtype=int)
    wide = {least: np.array(widths) >= least for least in WIDTHS}
    return Figures(
        pictures=len(results),
        faces={least: int(chosen.sum()) for least, chosen in wide.items()},
        recall={
            least: _ratio(times, owner[chosen & found], owner[chosen])
            for least, chosen in wide.items()
        },
        false_per_picture=_interval(times[:, : len(false)] @ false / count),
        landmark_error={name: _median(times, pairs) for name, pairs in errors.items()},
    )


def _ratio(times: np.ndarray, part: np.ndarray, whole: np.ndarray) -> Interval:
    """Return the share of faces in `part` among those in `whole`, both given by their pictures."""
    total = times[:, whole].sum(axis=1)
    with np.errstate(invalid="ignore"):
        return _interval(times[:, part].sum(axis=1) / total)


def _median(times: np.ndarray, errors: list[tuple[int, float]]) -> Interval:
    """Return the median of (picture, error)."""
    if not errors:
        return Interval(np.nan, np.nan, np.nan)
    errors = sorted(errors, key=lambda one: one[1])
    values = np.array([error for _, error in errors])
    weights = times[:, [picture for picture, _ in errors]].cumsum(axis=1)
    # As `np.median` does it: the mean of the two in the middle where the number is even.
    total = weights[:, -1:]
    low = (weights < np.floor((total + 1) / 2)).sum(axis=1)
    high = (weights < np.floor(total / 2) + 1).sum(axis=1)
    last = len(values) - 1
    return _interval((values[np.minimum(low, last)] + values[np.minimum(high, last)]) / 2)


def _interval(drawn: np.ndarray) -> Interval:
    """Return the first of the draws, which is the figure itself, with the interval of the rest."""
    draws = drawn[1:][np.isfinite(drawn[1:])]
    if not len(draws):
        return Interval(float(drawn[0]), np.nan, np.nan)
    low, high = np.percentile(draws, [2.5, 97.5])
    return Interval(float(drawn[0]), float(low), float(high))
