"""The table false positive rate -> threshold, for one enrolled person and for galleries.

Every threshold is the upper 95 % bound over a bootstrap of people, in the worst of the domains
(a condition, and a source in it) that have enough people.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from scipy.optimize import minimize

from training.verifier import metrics
from training.verifier.conditions import Measured
from training.verifier.config import CalibrateSettings, Config
from training.verifier.tails import Tail, tail_of

# The bound of a two-sided 95 % interval.
UPPER = 0.975


@dataclass(frozen=True)
class Column:
    """Thresholds of one domain for galleries of one size, at every rate of the table."""

    thresholds: np.ndarray
    measured: np.ndarray


@dataclass(frozen=True)
class Domain:
    """One condition and source; `columns` by gallery size, the tails one a bootstrap draw.

    `loosest` is the highest rate of the table.
    """

    name: str
    trials: metrics.Trials
    columns: dict[int, Column]
    draws: np.ndarray
    tails: list[Tail]
    loosest: float

    def rates(self, thresholds: np.ndarray, measured: bool, size: int = 1) -> np.ndarray:
        """Return the false positive rates at [R] thresholds in every draw: float64 [draws, R].

        Where the tail stands in for counts, a gallery gets the union bound.
        """
        if not measured:
            return np.array(
                [[min(1.0, size * tail.rate(at)) for at in thresholds] for tail in self.tails]
            )
        short = shortened(self.trials, self.loosest, size)
        return np.array(
            [metrics.false_accept_rates(short, thresholds, w, size=size) for w in self.draws]
        )

    def bounds(self, thresholds: np.ndarray, size: int = 1) -> np.ndarray:
        """Return the 95 % interval of the rate at every row's threshold: float64 [2, R]."""
        counted = self.columns[size].measured
        by_count, by_tail = (
            metrics.interval(self.rates(thresholds, measured, size)) for measured in (True, False)
        )
        return np.where(counted, by_count, by_tail)


def shortened(trials: metrics.Trials, loosest: float, size: int) -> metrics.Trials:
    """Keep what galleries of `size` need of the tail; counting all of it would take minutes."""
    return trials.shortened(4.0 * loosest / size) if size > 1 else trials


def people_pairs(trials: metrics.Trials, threshold: float) -> int:
    """Count different (enrolled, probe) pairs of people at or above `threshold`."""
    above = trials.tail >= np.float32(threshold)
    pairs = trials.tail_enrolled[above] * trials.people + trials.tail_probe[above]
    return len(np.unique(pairs))


def largest_share(trials: metrics.Trials, threshold: float) -> float:
    """Share of the impostor trials at or above `threshold` that two people alone make up.

    Near one, a single pair of people who look alike is what a small domain shows.
    """
    above = trials.tail >= np.float32(threshold)
    if not above.any():
        return 0.0
    both = np.sort(np.stack([trials.tail_enrolled[above], trials.tail_probe[above]]), axis=0)
    _, counts = np.unique(both, axis=1, return_counts=True)
    return float(counts.max() / above.sum())


def domain(
    name: str,
    trials: metrics.Trials,
    settings: CalibrateSettings,
    draws: np.ndarray,
    sizes: tuple[int, ...] = (1,),
) -> Domain:
    """Bound the threshold of every rate from above, by counts or by the tail.

    A gallery of N is counted as such; where that takes the tail, each person gets rate / N.
    """
    rates = np.array(settings.rates)
    share = max(settings.tail_share, 50.0 / trials.impostors)
    tails = [tail_of(trials, weights, share) for weights in draws]
    columns = {}
    for size in sizes:
        short = shortened(trials, float(rates.max()), size)
        counted = np.array(
            [metrics.thresholds_at(short, rates, weights, size=size) for weights in draws]
        )
        thresholds, measured = [], []
        for column, rate in enumerate(rates):
            by_count = float(np.quantile(counted[:, column], UPPER))
            enough = np.isfinite(by_count) and (
                people_pairs(trials, by_count) >= settings.min_people_pairs
            )
            of_tails = [tail.threshold(min(rate / size, tail.share)) for tail in tails]
            # Of a handful of pairs a bootstrap says little, and a pair drawn thrice counts nine
            # times; but what was counted must not lie above the rate.
            counted_at = float(metrics.thresholds_at(short, rates[[column]], size=size)[0])
            by_tail = float(np.nanmax([np.quantile(of_tails, UPPER), counted_at]))
            thresholds.append(by_count if enough else by_tail)
            measured.append(bool(enough))
        columns[size] = Column(np.array(thresholds), np.array(measured))
    return Domain(name, trials, columns, draws, tails, float(rates.max()))


def make_table(
    domains: list[Domain],
    clean: metrics.Trials,
    settings: CalibrateSettings,
    size: int = 1,
    few: Mapping[str, metrics.Trials] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Return the rows for galleries of `size`: for each rate the highest threshold of all domains.

    Of `few` people no bound can be told, but what was counted of them must not be above the rate
    either. `worst` names the domain that sets a threshold. `fpr_low` and `fpr_high` bound the rate
    in the domain whose upper bound is highest at that threshold; `tar` is what the threshold
    accepts of the clean genuine trials, the person being the best of the gallery.
    """

    def setter(column: int) -> Domain:
        return max(domains, key=lambda one: float(one.columns[size].thresholds[column]))

    setting = [setter(column) for column in range(len(settings.rates))]
    names = [one.name for one in setting]
    counted = {}
    for name, trials in few.items():
        each = np.array(settings.rates) / size
        enough = each * trials.impostors >= metrics.LEAST_COUNTED
        counted[name] = np.where(enough, metrics.thresholds_at(trials, each), np.nan)
    thresholds: list[float] = []
    for column, one in enumerate(setting):
        above = thresholds[-1] + 1e-4 if thresholds else metrics.NO_SCORE
        threshold = max(float(one.columns[size].thresholds[column]), above)
        for name, needed in counted.items():
            if needed[column] > threshold:
                threshold, names[column] = float(needed[column]), name
        thresholds.append(round(float(np.ceil(threshold * 1e4) / 1e4), 4))
    at = np.array(thresholds)
    bounds = np.stack([one.bounds(at, size) for one in domains])
    tars = metrics.true_accept_rates(clean, at, size=size)
    rows = []
    for column, (rate, worst, name) in enumerate(zip(settings.rates, setting, names, strict=True)):
        low, high = bounds[int(np.argmax(bounds[:, 1, column])), :, column]
        rows.append(
            {
                "fpr": float(f"{rate:.3g}"),
                "threshold": thresholds[column],
                "fpr_low": float(f"{low:.3g}"),
                "fpr_high": min(float(f"{high:.3g}"), float(f"{rate:.3g}")),
                "measured": bool(worst.columns[size].measured[column]),
                "tar": round(float(tars[column]), 4),
                "worst": name,
            }
        )
    return rows


def by_source(measured_sets: list[Measured]) -> Iterator[tuple[str, metrics.Trials]]:
    """Yield the trials of every condition, of all sources together and of each."""
    for measured in measured_sets:
        sources = sorted(
            {name.split("_")[0] for name in measured.shown.source[measured.enrolled_row]}
        )
        for source in ["", *(sources if len(sources) > 1 else [])]:
            name = f"{measured.condition}, {source or 'all sources'}"
            yield name, measured.trials(source=source)


def make_domains(
    config: Config, named: Iterable[tuple[str, metrics.Trials]], sizes: tuple[int, ...] = (1,)
) -> tuple[list[Domain], dict[str, metrics.Trials]]:
    """Return the domains that set thresholds, and the trials of those too small to do so."""
    domains: list[Domain] = []
    watched: dict[str, metrics.Trials] = {}
    for name, trials in named:
        if (trials.enrolled > 0).sum() < config.calibrate.min_people:
            watched[name] = trials
            continue
        draws = metrics.draw_people(trials.people, config.evaluate.bootstrap, config.evaluate.seed)
        domains.append(domain(name, trials, config.calibrate, draws, sizes))
    if not domains:
        raise ValueError(f"no condition has {config.calibrate.min_people} enrolled people")
    return domains, watched


def watch(config: Config, trials: metrics.Trials, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what a small domain shows of false positives at the table's thresholds.

    `fpr_high` is the bootstrap's bound over people. Where no pair of people lies above, a
    bootstrap can only say nothing, and the bound is that of none in so many pairs of people.
    """
    thresholds = np.array([row["threshold"] for row in rows])
    # Below the tail kept there is nothing to count.
    inside = thresholds >= trials.tail[-1]
    draws = metrics.draw_people(trials.people, config.evaluate.bootstrap, config.evaluate.seed)
    drawn = [metrics.false_accept_rates(trials, thresholds[inside], w) for w in draws]
    high = np.quantile(drawn, UPPER, axis=0)
    found = metrics.false_accept_rates(trials, thresholds[inside])
    kept = [row for row, counted in zip(rows, inside, strict=True) if counted]
    enrolled, probes = trials.enrolled > 0, trials.probes > 0
    pairs = int(enrolled.sum() * probes.sum() - (enrolled & probes).sum())
    none = metrics.none_in(pairs)
    return {
        "people": int(enrolled.sum()),
        "impostors": int(trials.impostors),
        "pairs of people": pairs,
        "highest": float(trials.tail[0]),
        "fpr at threshold": {
            f"{row['fpr']:.0e}": {
                "threshold": row["threshold"],
                "fpr": float(rate),
                "fpr_high": float(max(bound, none if rate == 0.0 else 0.0)),
                "pairs of people": people_pairs(trials, row["threshold"]),
                "of one pair": largest_share(trials, row["threshold"]),
            }
            for row, rate, bound in zip(kept, found, high, strict=True)
        },
    }


def worst_cases(
    rows: list[dict[str, Any]], watched: dict[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Return for each rate the highest bound of any domain, those too small to set it included.

    A watched domain in which no false positive was seen is left out: its bound says how small it
    is, not how bad.
    """
    found = {}
    for row in rows:
        name = f"{row['fpr']:.0e}"
        bounds = {"the table": row["fpr_high"]}
        for domain_name, one in watched.items():
            seen = one["fpr at threshold"].get(name)
            if seen is not None and seen["fpr"] > 0.0:
                bounds[domain_name] = seen["fpr_high"]
        worst = max(bounds, key=lambda one: bounds[one])
        found[name] = {
            "threshold": row["threshold"],
            "fpr_high": bounds[worst],
            "where": worst,
            "pairs_of_people": _seen(watched, worst, name, "pairs of people"),
            "of_one_pair": _seen(watched, worst, name, "of one pair"),
        }
    return found


def _seen(watched: dict[str, Any], domain_name: str, rate: str, what: str) -> Any:
    if domain_name not in watched:
        return None
    return watched[domain_name]["fpr at threshold"][rate][what]


def fit_confidence(genuine: np.ndarray, impostor: np.ndarray) -> tuple[float, float]:
    """Logistic slope and offset: cosine -> probability of one person, at even odds."""

    def loss(parameters: np.ndarray) -> float:
        slope, offset = parameters
        same = np.logaddexp(0.0, -(slope * genuine + offset)).mean()
        other = np.logaddexp(0.0, slope * impostor + offset).mean()
        return float(same + other)

    slope, offset = minimize(loss, [20.0, -8.0], method="Nelder-Mead").x
    return float(slope), float(offset)
