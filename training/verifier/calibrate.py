"""Step `calibrate`: the table false positive rate -> threshold, and what a cosine is worth.

Every threshold is the upper 95 % bound over a bootstrap of people, in the worst of the
conditions and sources measured. Where counts run out, a generalised Pareto tail goes on
(ISO/IEC 19795-1 speaks of the counts, Pickands 1975 of the tail).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize

from training.common import bundle
from training.common.runs import open_run, write_json
from training.verifier import metrics
from training.verifier.config import CalibrateSettings, Config
from training.verifier.evaluate import Measured, bundled_embedder, measure, measure_lighting

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


def people_pairs(trials: metrics.Trials, threshold: float) -> int:
    """Count different (enrolled, probe) pairs of people at or above `threshold`."""
    above = trials.tail >= np.float32(threshold)
    pairs = trials.tail_enrolled[above] * trials.people + trials.tail_probe[above]
    return len(np.unique(pairs))


@dataclass(frozen=True)
class Domain:
    """Thresholds of one condition and source, at every rate of the table."""

    name: str
    trials: metrics.Trials
    thresholds: np.ndarray
    measured: np.ndarray
    draws: np.ndarray
    tails: list[Tail]

    def rates(self, threshold: float, measured: bool) -> np.ndarray:
        """Return the false positive rate at `threshold` in every bootstrap draw."""
        if measured:
            found = [metrics.false_accept_rates(self.trials, [threshold], w) for w in self.draws]
            return np.concatenate(found)
        return np.array([tail.rate(threshold) for tail in self.tails])


def domain(
    name: str, trials: metrics.Trials, settings: CalibrateSettings, draws: np.ndarray
) -> Domain:
    """Bound the threshold of every rate from above, by counts or by the tail."""
    rates = np.array(settings.rates)
    counted = np.array([metrics.thresholds_at(trials, rates, weights) for weights in draws])
    share = max(settings.tail_share, 50.0 / trials.impostors)
    tails = [tail_of(trials, weights, share) for weights in draws]
    thresholds, measured = [], []
    for column, rate in enumerate(rates):
        by_count = float(np.quantile(counted[:, column], 0.975))
        enough = np.isfinite(by_count) and (
            people_pairs(trials, by_count) >= settings.min_people_pairs
        )
        by_tail = max(
            float(np.quantile([tail.threshold(min(rate, tail.share)) for tail in tails], 0.975)),
            by_count if np.isfinite(by_count) else -1.0,
        )
        thresholds.append(by_count if enough else by_tail)
        measured.append(bool(enough))
    return Domain(name, trials, np.array(thresholds), np.array(measured), draws, tails)


def make_table(
    domains: list[Domain], clean: metrics.Trials, settings: CalibrateSettings
) -> list[dict[str, Any]]:
    """Return models.json's rows: for each rate the highest threshold of all domains.

    `tar` is what that threshold accepts of the clean genuine trials.
    """
    rows: list[dict[str, Any]] = []
    last = -1.0
    for column, rate in enumerate(settings.rates):
        worst = max(domains, key=lambda one: one.thresholds[column])
        threshold = max(float(worst.thresholds[column]), last + 1e-4)
        threshold = float(np.ceil(threshold * 1e4) / 1e4)
        last = threshold
        measured = bool(worst.measured[column])
        low, high = np.quantile(worst.rates(threshold, measured), [0.025, 0.975])
        rows.append(
            {
                "fpr": float(f"{rate:.3g}"),
                "threshold": round(threshold, 4),
                "fpr_low": float(f"{low:.3g}"),
                "fpr_high": min(float(f"{high:.3g}"), float(f"{rate:.3g}")),
                "measured": measured,
                "tar": round(float(metrics.true_accept_rates(clean, [threshold])[0]), 4),
                "worst": worst.name,
            }
        )
    return rows


def fit_confidence(genuine: np.ndarray, impostor: np.ndarray) -> tuple[float, float]:
    """Logistic slope and offset: cosine -> probability of one person, at even odds."""

    def loss(parameters: np.ndarray) -> float:
        slope, offset = parameters
        same = np.logaddexp(0.0, -(slope * genuine + offset)).mean()
        other = np.logaddexp(0.0, slope * impostor + offset).mean()
        return float(same + other)

    slope, offset = minimize(loss, [20.0, -8.0], method="Nelder-Mead").x
    return float(slope), float(offset)


def make_domains(
    config: Config, measured_sets: list[Measured]
) -> tuple[list[Domain], dict[str, metrics.Trials]]:
    """Return the domains that set thresholds, and the trials of those too small to do so."""
    domains: list[Domain] = []
    watched: dict[str, metrics.Trials] = {}
    for measured in measured_sets:
        sources = sorted({name.split("_")[0] for name in measured.enrolled_source})
        for source in ["", *(sources if len(sources) > 1 else [])]:
            trials = measured.trials(source=source)
            name = f"{measured.condition}, {source or 'all sources'}"
            if (trials.enrolled > 0).sum() < config.calibrate.min_people:
                watched[name] = trials
                continue
            draws = metrics.draw_people(
                trials.people, config.evaluate.bootstrap, config.evaluate.seed
            )
            domains.append(domain(name, trials, config.calibrate, draws))
    if not domains:
        raise ValueError(f"no condition has {config.calibrate.min_people} enrolled people")
    return domains, watched


def _watch(config: Config, trials: metrics.Trials, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a small domain shows of false positives at the table's thresholds."""
    thresholds = np.array([row["threshold"] for row in rows])
    # Below the tail kept there is nothing to count.
    inside = thresholds >= trials.tail[-1]
    draws = metrics.draw_people(trials.people, config.evaluate.bootstrap, config.evaluate.seed)
    drawn = [metrics.false_accept_rates(trials, thresholds[inside], w) for w in draws]
    high = np.quantile(drawn, 0.975, axis=0)
    found = metrics.false_accept_rates(trials, thresholds[inside])
    kept = [row for row, counted in zip(rows, inside, strict=True) if counted]
    return {
        "people": int((trials.enrolled > 0).sum()),
        "impostors": int(trials.impostors),
        "fpr at threshold": {
            f"{row['fpr']:.0e}": {
                "fpr": float(rate),
                "fpr_high": float(bound),
                "pairs of people": people_pairs(trials, row["threshold"]),
            }
            for row, rate, bound in zip(kept, found, high, strict=True)
        },
    }


def calibrate(config: Config) -> None:
    """Measure the bundled verifier through `vision` and write thresholds into models.json."""
    torch.set_num_threads(config.evaluate.threads)
    folder = open_run(config, "calibrate")
    settings = config.calibrate
    embed = bundled_embedder(config)
    measured_sets = list(measure(config, embed, "validation"))
    try:
        clean_set = next(one for one in measured_sets if one.condition == "clean")
    except StopIteration:
        raise ValueError("evaluate.conditions must name clean") from None
    if (lighting := measure_lighting(config, embed)) is not None:
        measured_sets.append(lighting)
    domains, watched = make_domains(config, measured_sets)
    clean = clean_set.trials()
    rows = make_table(domains, clean, settings)
    slope, offset = fit_confidence(clean.genuine, _impostor_sample(clean_set))
    write_json(
        folder / "calibrate.json",
        {
            "table": rows,
            "domains": {
                one.name: {
                    "people": int((one.trials.enrolled > 0).sum()),
                    "impostors": int(one.trials.impostors),
                    "thresholds": [round(float(value), 4) for value in one.thresholds],
                    "measured": one.measured.tolist(),
                }
                for one in domains
            },
            "watched": {name: _watch(config, trials, rows) for name, trials in watched.items()},
        },
    )
    for row in rows:
        print(row, flush=True)
    bundle.update_entry(
        Path(config.export.models),
        "verifier",
        thresholds=[{k: v for k, v in row.items() if k != "worst"} for row in rows],
        confidence={"slope": round(slope, 3), "offset": round(offset, 3)},
        quality={
            "min_face_px": settings.min_face_px,
            "min_brightness": settings.min_brightness,
            "min_sharpness": settings.min_sharpness,
        },
    )


def _impostor_sample(measured: Measured, most: int = 200_000) -> np.ndarray:
    """Draw a sample of all impostor scores, not of the tail alone."""
    rng = np.random.default_rng(0)
    one = rng.integers(len(measured.enrolled), size=most)
    other = rng.integers(len(measured.probe), size=most)
    different = measured.enrolled_person[one] != measured.probe_person[other]
    scores = (measured.enrolled[one] * measured.probe[other]).sum(axis=1)
    return scores[different]
