"""Curves of error rates, with bands that are 95 % intervals over people."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import norm

from training.verifier import metrics
from training.verifier.metrics import Trials

# Points of a curve, and bootstrap draws of its band.
POINTS = 60
DRAWS = 60


def curve(trials: Trials, *, draws: int = DRAWS, seed: int = 7) -> np.ndarray:
    """Return FAR, TAR and the TAR's interval, float64 [4, n], from ten trials to the tail's end."""
    highest = len(trials.tail) / trials.impostors
    far = np.geomspace(min(10.0 / trials.impostors, highest / 2), highest * 0.98, POINTS)

    def tar(weights: np.ndarray | None) -> np.ndarray:
        thresholds = metrics.thresholds_at(trials, far, weights)
        # Where a draw's tail is too short nothing is known, which is not a TAR of nothing.
        found = metrics.true_accept_rates(trials, np.nan_to_num(thresholds, nan=2.0), weights)
        return np.where(np.isnan(thresholds), np.nan, found)

    drawn = [tar(weights) for weights in metrics.draw_people(trials.people, draws, seed)]
    low, high = metrics.interval(drawn)
    known = np.isfinite(low)
    return np.stack([far, tar(None), low, high])[:, known]


def draw_curves(curves: dict[str, np.ndarray], title: str) -> tuple[Figure, Figure]:
    """Draw ROC (TAR over FAR) and DET (misses over FAR, both on normal deviates) of `curve`s."""
    roc, det = (
        Figure(figsize=(8, 5.5), layout="constrained"),
        Figure((6.5, 6), layout="constrained"),
    )
    left, right = roc.subplots(), det.subplots()
    for name, (far, tar, low, high) in curves.items():
        (line,) = left.plot(far, 100 * tar, label=name, linewidth=1.4)
        left.fill_between(far, 100 * low, 100 * high, color=line.get_color(), alpha=0.12)
        x = norm.ppf(far)
        missed = [norm.ppf(np.clip(1.0 - rate, 1e-4, 0.999)) for rate in (tar, low, high)]
        right.plot(x, missed[0], label=name, color=line.get_color(), linewidth=1.4)
        right.fill_between(x, missed[1], missed[2], color=line.get_color(), alpha=0.12)
    left.set_xscale("log")
    left.set_xlabel("false accept rate")
    left.set_ylabel("true accept rate, %")
    rates = [10.0**-exponent for exponent in range(6, 0, -1)]
    right.set_xticks(norm.ppf(rates), [f"{rate:g}" for rate in rates])
    misses = [0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8]
    right.set_yticks(norm.ppf(misses), [f"{100 * miss:g}" for miss in misses])
    right.set_xlabel("false accept rate (normal deviate)")
    right.set_ylabel("false reject rate, % (normal deviate)")
    for axis in (left, right):
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3)
        if curves:
            axis.legend(fontsize=8)
    return roc, det


def save_curves(folder: Path, name: str, trials: dict[str, Trials], title: str) -> None:
    """Write `roc-NAME.png` and `det-NAME.png` into `folder`."""
    roc, det = draw_curves({key: curve(one) for key, one in trials.items()}, title)
    roc.savefig(folder / f"roc-{name}.png", dpi=110)
    det.savefig(folder / f"det-{name}.png", dpi=110)
