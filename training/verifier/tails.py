"""Where impostor counts run out: a generalised Pareto tail (Pickands 1975, ISO/IEC 5152)."""

from dataclasses import dataclass

import numpy as np

from training.verifier import metrics

# A cosine ends at 1, so its tail cannot be heavier than exponential (shape 0). Below -0.1 the fit
# would put a cosine that no impostor ever reaches within sight of the counts.
SHAPES = (-0.1, 0.0)


@dataclass(frozen=True)
class Tail:
    """Generalised Pareto distribution of the scores above `start`, which `share` of them exceed."""

    start: float
    share: float
    shape: float
    scale: float

    def threshold(self, rate: float) -> float:
        """Score exceeded by `rate` of the impostors (rate <= share)."""
        ratio = rate / self.share
        if abs(self.shape) < 1e-6:
            return self.start - self.scale * float(np.log(ratio))
        return self.start + self.scale / self.shape * (ratio**-self.shape - 1.0)

    def rate(self, threshold: float) -> float:
        """Share of impostors above `threshold` (>= start)."""
        excess = max(0.0, threshold - self.start) / self.scale
        if abs(self.shape) < 1e-6:
            return self.share * float(np.exp(-excess))
        return self.share * max(0.0, 1.0 + self.shape * excess) ** (-1.0 / self.shape)


def fit_tail(scores: np.ndarray, weights: np.ndarray, share: float) -> Tail:
    """Fit by weighted L-moments (Hosking 1990) to the descending scores that make up `share`.

    The lowest score is the start of the tail. Raises ValueError for fewer than 20 scores.
    """
    if len(scores) < 20:
        raise ValueError("too few impostor scores for a tail")
    start = float(scores[-1])
    # Small ties (a picture twice) are harmless; a weight of 0 takes a pair of people out.
    excess = (scores - start)[::-1].astype(float)
    weights = weights[::-1].astype(float)
    total = weights.sum()
    place = (np.cumsum(weights) - 0.5 * weights) / total
    mean = float((weights * excess).sum() / total)
    second = float((weights * excess * (2.0 * place - 1.0)).sum() / total)
    shape = float(np.clip(2.0 - mean / max(second, 1e-9), *SHAPES))
    return Tail(start, share, shape, mean * (1.0 - shape))


def tail_of(trials: metrics.Trials, weights: np.ndarray, share: float) -> Tail:
    """Fit the tail of one bootstrap draw of people."""
    counted = weights[trials.tail_enrolled] * weights[trials.tail_probe]
    accepted = np.cumsum(counted)
    total = trials.impostor_weight(weights)
    number = int(np.searchsorted(accepted, share * total, side="right"))
    number = min(max(number, 20), len(trials.tail))
    kept = slice(0, number)
    return fit_tail(trials.tail[kept], counted[kept], float(accepted[number - 1] / total))
