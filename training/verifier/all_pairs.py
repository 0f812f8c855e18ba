"""Every picture of a folder of people against every other: what a long tail of strangers shows.

The folder has LFW's layout, NAME/PICTURE: whole pictures, each named after the person in its
middle. No picture is enrolled with another: a pair is two single pictures, as papers
count it, so that FAR 1e-6 can be counted where some thousand people are at hand.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from training.verifier.embedders import Embed
from training.verifier.pairs import align_all
from vision.matching.similarity import MAX_SCORE, MIN_SCORE, pairwise_scores

RATES = (1e-3, 1e-4, 1e-5, 1e-6)
# Impostor pairs that must lie above a threshold for its rate to be counted.
COUNTED = 10
# Scores are counted in steps of this; thresholds are edges of steps.
STEP = 1e-4
_EDGES = round((MAX_SCORE - MIN_SCORE) / STEP) + 1
BLOCK = 1024


def count_scores(embeddings: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count pairs by score: genuine and impostor, int64 each, in steps of `STEP` from MIN_SCORE.

    `embeddings` float32 [N, D + 1], `person` int [N]; a pair counts once.
    """
    genuine, impostor = np.zeros(_EDGES, np.int64), np.zeros(_EDGES, np.int64)
    columns = np.arange(len(embeddings))
    for start in range(0, len(embeddings), BLOCK):
        rows = columns[start : start + BLOCK]
        scores = pairwise_scores(embeddings[rows], embeddings)
        places = ((scores - MIN_SCORE) / STEP).astype(np.int64).clip(0, _EDGES - 1)
        later = columns[None] > rows[:, None]
        same = person[rows, None] == person[None]
        genuine += np.bincount(places[later & same], minlength=_EDGES)
        impostor += np.bincount(places[later & ~same], minlength=_EDGES)
    return genuine, impostor


def all_pairs_figures(
    genuine: np.ndarray, impostor: np.ndarray, thresholds: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """Say what counted scores show.

    `tar`: FAR -> share of genuine pairs above the threshold of that rate, where it can be counted;
    `rows`: rate of a row -> `threshold`, `far`, `tar` at each (rate, threshold) of `thresholds`.
    Raises ValueError without pairs of both kinds.
    """
    if not genuine.sum() or not impostor.sum():
        raise ValueError("people with one picture and with several are needed")
    # Share of the pairs in each step or above it.
    accepted, passed = (
        np.append(np.cumsum(counts[::-1])[::-1] / counts.sum(), 0.0)
        for counts in (genuine, impostor)
    )
    tar = {
        f"{rate:.0e}": float(accepted[int(np.argmax(passed <= rate))])
        for rate in RATES
        if rate * impostor.sum() >= COUNTED
    }
    rows = {}
    for rate, threshold in thresholds:
        place = int(np.ceil((threshold - MIN_SCORE) / STEP - 1e-6))
        place = min(max(place, 0), len(passed) - 1)
        rows[f"{rate:.0e}"] = {
            "threshold": threshold,
            "far": float(passed[place]),
            "tar": float(accepted[place]),
        }
    return {
        "genuine": int(genuine.sum()),
        "impostors": int(impostor.sum()),
        "tar": tar,
        "rows": rows,
    }


def measure_all_pairs(
    embed: Embed, folder: Path, thresholds: Sequence[tuple[float, float]]
) -> dict[str, Any]:
    """Align and compare all pictures below `folder`; adds `people`, `pictures`, `without_face`."""
    names = sorted(
        str(path.relative_to(folder)) for path in folder.glob("*/*") if path.suffix == ".jpg"
    )
    if not names:
        raise ValueError(f"{folder} holds no NAME/PICTURE.jpg")
    _, owner = np.unique([Path(name).parent.name for name in names], return_inverse=True)
    crops = list(align_all(folder, names))
    shown = np.array([crop is not None for crop in crops])
    embeddings = embed(np.stack([crop for crop in crops if crop is not None]))
    figures = all_pairs_figures(*count_scores(embeddings, owner[shown]), thresholds)
    return {
        "people": int(owner.max()) + 1,
        "pictures": len(names),
        "without_face": int((~shown).sum()),
        **figures,
    }
