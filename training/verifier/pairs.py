"""Verification of listed pairs, by the protocol of Labeled Faces in the Wild (Huang et al. 2007).

Accuracy comes from folds: the threshold that is best on all other folds judges the one left out.
Mean and standard error of the folds are what papers print.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.common import product
from training.verifier.embedders import Embed
from training.verifier.metrics import NO_SCORE
from vision.imaging.align import align
from vision.matching.similarity import score

RATES = (1e-2, 1e-3, 1e-4)
# Impostor pairs that must lie above a threshold for its rate to be told from none.
COUNTED = 3
# Score of a pair one of whose faces was not found: no threshold accepts it.
NOT_FOUND = NO_SCORE


@dataclass(frozen=True)
class Pair:
    """Two pictures, by file name relative to the pictures' folder, and whether they are of one."""

    left: str
    right: str
    same: bool


def read_pairs(path: Path) -> tuple[list[Pair], int]:
    """Read pairs.txt: `folds n`, then in each fold n lines `name i j`, n lines `name i name j`.

    A header of `n` alone is one fold. Names may hold spaces where columns are tabs. Returns the
    pairs and the number of folds; raises ValueError for a line of another form.
    """
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    header = [int(word) for word in lines[0].split()] if lines else []
    if len(header) not in {1, 2}:
        raise ValueError(f"{path} does not begin with the numbers of folds and pairs")
    folds, number = (1, header[0]) if len(header) == 1 else header
    pairs = [_pair(line) for line in lines[1:]]
    expected = ([True] * number + [False] * number) * folds
    if [pair.same for pair in pairs] != expected:
        raise ValueError(f"{path} does not hold {folds} folds of {number} and {number} pairs")
    return pairs, folds


def _pair(line: str) -> Pair:
    words = line.split("\t") if "\t" in line else line.split()
    if len(words) == 3:
        return Pair(_file(words[0], words[1]), _file(words[0], words[2]), True)
    if len(words) == 4:
        return Pair(_file(words[0], words[1]), _file(words[2], words[3]), False)
    raise ValueError(f"{line!r} is no pair")


def _file(name: str, number: str) -> str:
    return f"{name.strip()}/{name.strip()}_{int(number):04d}.jpg"


def crop_of(path: Path, detect: Any) -> np.ndarray | None:
    """Align the face nearest to the picture's middle: uint8 [112, 112, 3], or None without one.

    `detect` is `vision.Detector.detect`. In LFW the named person is in the middle.
    """
    with Image.open(path) as picture:
        rgb = np.asarray(picture.convert("RGB"))
    middle = np.array([rgb.shape[1], rgb.shape[0]]) / 2.0

    def distance(face: Any) -> float:
        x1, y1, x2, y2 = face.box
        return float(np.hypot(*(np.array([x1 + x2, y1 + y2]) / 2.0 - middle)))

    for face in sorted(detect(rgb), key=distance):
        try:
            return align(rgb, face.landmarks)
        except ValueError:
            # Landmarks on one point are no face.
            continue
    return None


def align_all(folder: Path, names: list[str]) -> Iterator[np.ndarray | None]:
    """Detect and align pictures of `folder` with the bundle, as at the door."""
    detector = product.detector()
    for name in names:
        yield crop_of(folder / name, detector.detect)


def similarities(embed: Embed, folder: Path, pairs: list[Pair]) -> tuple[np.ndarray, int]:
    """Score of every pair float32 [N], and how many pictures show no face.

    Of a pair with such a picture the score is `NOT_FOUND`.
    """
    names = sorted({name for pair in pairs for name in (pair.left, pair.right)})
    aligned = zip(names, align_all(folder, names), strict=True)
    crops = {name: crop for name, crop in aligned if crop is not None}
    if not crops:
        raise ValueError(f"no picture in {folder} shows a face")
    rows = {name: row for row, name in enumerate(crops)}
    embeddings = embed(np.stack(list(crops.values())))
    values = [
        score(embeddings[rows[pair.left]], embeddings[rows[pair.right]])
        if pair.left in rows and pair.right in rows
        else NOT_FOUND
        for pair in pairs
    ]
    return np.array(values, np.float32), len(names) - len(crops)


def pair_figures(
    scores: np.ndarray, same: np.ndarray, *, folds: int = 10, draws: int = 200
) -> dict[str, Any]:
    """Measure pairs by their scores float32 [N] and whether they are of one person, bool [N].

    Returns `accuracy`, its `standard_error` over the folds, and `tar` at each FAR that counts.
    Pairs of a fold stand together, in files' order. A TAR's interval draws pairs, not people: a
    list of pairs does not always say who they are. Raises ValueError for fewer pairs than folds
    or pairs of one kind only.
    """
    same = np.asarray(same, bool)
    if len(scores) < folds or same.all() or not same.any():
        raise ValueError("pairs of both kinds are needed, and one at least for every fold")
    accuracies = fold_accuracies(scores, same, folds)
    error = float(np.std(accuracies, ddof=1) / np.sqrt(folds)) if folds > 1 else None
    genuine, impostor = scores[same], scores[~same]
    rng = np.random.default_rng(0)
    tar = {}
    for rate in RATES:
        if rate * len(impostor) < COUNTED:
            continue
        drawn = [
            _tar(rng.choice(genuine, len(genuine)), rng.choice(impostor, len(impostor)), rate)
            for _ in range(draws)
        ]
        low, high = np.quantile(drawn, [0.025, 0.975])
        tar[f"{rate:.0e}"] = {
            "value": _tar(genuine, impostor, rate),
            "low": float(low),
            "high": float(high),
        }
    return {
        "pairs": len(scores),
        "folds": folds,
        "accuracy": float(np.mean(accuracies)),
        "standard_error": error,
        "tar": tar,
    }


def fold_accuracies(scores: np.ndarray, same: np.ndarray, folds: int) -> list[float]:
    """Accuracy of every fold at the threshold that is best on the others (one fold: on itself)."""
    parts = np.array_split(np.arange(len(scores)), folds)
    found = []
    for part in parts:
        others = np.setdiff1d(np.arange(len(scores)), part) if folds > 1 else part
        threshold = _best_threshold(scores[others], same[others])
        found.append(float(((scores[part] >= threshold) == same[part]).mean()))
    return found


def _best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    right = np.concatenate([[0], np.cumsum(np.where(same[order], 1, -1))])
    # A threshold cannot part equal scores.
    right[1:-1][ordered[:-1] == ordered[1:]] = -len(scores)
    taken = int(np.argmax(right))
    if taken == 0:
        return float(np.nextafter(np.float32(ordered[0]), np.float32(np.inf)))
    if taken == len(ordered):
        return float(ordered[-1])
    # Half way: neither side of the gap is favoured on pictures not seen.
    return float((ordered[taken - 1] + ordered[taken]) / 2.0)


def _tar(genuine: np.ndarray, impostor: np.ndarray, rate: float) -> float:
    allowed = int(rate * len(impostor) * (1 + 1e-12))
    refused = np.partition(impostor, len(impostor) - 1 - allowed)[len(impostor) - 1 - allowed]
    return float((genuine > refused).mean())
