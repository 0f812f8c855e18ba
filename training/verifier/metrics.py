"""Error rates of verification, with intervals from a bootstrap over people.

A trial is one probe picture against one enrolled person. Pairs share people, so people are
drawn, not pairs: a person drawn twice counts twice, as enrolled and as probe.

A door compares a probe with a whole gallery and takes the best: `size` is how many people are
enrolled. The rates are means over all galleries of that size, counted, not drawn (ISO/IEC 19795-1
calls them false and true positive identification rates).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from vision.matching.similarity import pairwise_scores

# Trials of a few people that must lie above a threshold for its rate to have been counted.
LEAST_COUNTED = 5
# Lower than any score.
NO_SCORE = -4.0


@dataclass(frozen=True)
class Trials:
    """Scores of one condition. People are numbers 0..`people`-1.

    Of the impostor trials only the highest (the tail) are kept one by one, highest first; the
    totals per person say how many there were in all.
    """

    genuine: np.ndarray  # float32 [G]
    genuine_person: np.ndarray  # int [G]
    tail: np.ndarray  # float32 [T], descending
    tail_enrolled: np.ndarray  # int [T]
    tail_probe: np.ndarray  # int [T]
    enrolled: np.ndarray  # templates of each person, float64 [people]
    probes: np.ndarray  # probe pictures of each person, float64 [people]
    tail_picture: np.ndarray  # int [T], which probe picture it was
    genuine_picture: np.ndarray  # int [G]
    genuine_beaten: np.ndarray  # int [G], templates of others that score higher

    @property
    def people(self) -> int:
        """Number of people, enrolled or not."""
        return len(self.enrolled)

    def shortened(self, share: float) -> "Trials":
        """Keep `share` of the impostor trials as the tail, 200 at least, or what there is of it."""
        kept = slice(0, max(200, int(share * self.impostors)))
        tails = ("tail", "tail_enrolled", "tail_probe", "tail_picture")
        return replace(self, **{name: getattr(self, name)[kept] for name in tails})

    @cached_property
    def by_picture(self) -> tuple[np.ndarray, np.ndarray]:
        """Order that sorts the tail by probe picture, and the start of each picture's run."""
        order = np.argsort(self.tail_picture, kind="stable")
        pictures = self.tail_picture[order]
        starts = np.nonzero(np.diff(pictures, prepend=-1))[0]
        return order, np.repeat(starts, np.diff(np.append(starts, len(pictures))))

    @property
    def impostors(self) -> float:
        """Number of impostor trials, the tail and the rest."""
        return self.impostor_weight(np.ones(self.people))

    def impostor_weight(self, weights: np.ndarray) -> float:
        """Impostor trials when person k counts `weights[k]` times."""
        enrolled, probes = weights * self.enrolled, weights * self.probes
        return float(enrolled.sum() * probes.sum() - (enrolled * probes).sum())


def collect(
    templates: np.ndarray,
    template_person: np.ndarray,
    probes: np.ndarray,
    probe_person: np.ndarray,
    *,
    people: int | None = None,
    tail_share: float = 0.05,
) -> Trials:
    """Score every probe float32 [M, D + 1] with every template float32 [P, D + 1] (`vision`).

    `people` is the number of people, by default one more than the highest number given. The tail
    is the highest `tail_share` of the impostor trials, and 200 of them at least.
    """
    scores = pairwise_scores(templates.astype(np.float32), probes.astype(np.float32))
    return collect_scores(
        scores, template_person, probe_person, people=people, tail_share=tail_share
    )


def collect_scores(
    scores: np.ndarray,
    template_person: np.ndarray,
    probe_person: np.ndarray,
    *,
    people: int | None = None,
    tail_share: float = 0.05,
) -> Trials:
    """Make trials of scores float32 [P, M], template against probe, as `collect` does."""
    if people is None:
        people = int(max(template_person.max(), probe_person.max())) + 1
    scores = scores.copy()
    same = template_person[:, None] == probe_person[None, :]
    enrolled_index, probe_index = np.nonzero(same)
    genuine = scores[enrolled_index, probe_index]
    scores[same] = NO_SCORE
    beaten = [
        (scores[:, probe_index[start : start + 256]] > genuine[start : start + 256]).sum(axis=0)
        for start in range(0, len(genuine), 256)
    ]
    flat = scores.reshape(-1)
    impostors = flat.size - len(genuine)
    keep = max(1, min(impostors, max(200, int(tail_share * impostors))))
    top = np.argpartition(flat, flat.size - keep)[flat.size - keep :]
    top = top[np.argsort(-flat[top], kind="stable")]
    rows, columns = np.divmod(top, scores.shape[1])
    return Trials(
        genuine=genuine,
        genuine_person=template_person[enrolled_index],
        tail=flat[top],
        tail_enrolled=template_person[rows],
        tail_probe=probe_person[columns],
        enrolled=np.bincount(template_person, minlength=people).astype(float),
        probes=np.bincount(probe_person, minlength=people).astype(float),
        tail_picture=columns,
        genuine_picture=probe_index,
        genuine_beaten=np.concatenate(beaten) if beaten else np.zeros(0, int),
    )


def draw_people(people: int, draws: int, seed: int) -> np.ndarray:
    """Return bootstrap weights float64 [draws, people]; every row sums to `people`."""
    rng = np.random.default_rng(seed)
    return rng.multinomial(people, np.full(people, 1.0 / people), size=draws).astype(float)


def _just_above(scores: np.ndarray) -> np.ndarray:
    """Return the next float32 up: a threshold there refuses the score itself."""
    return np.nextafter(scores.astype(np.float32), np.float32(np.inf))


def _missed(others: np.ndarray, above: np.ndarray, size: int) -> np.ndarray:
    """Share of the galleries of `size` drawn from `others` people that hold none of `above`."""
    share = np.ones(np.broadcast(others, above).shape)
    for drawn in range(size):
        # Where fewer people are left than the gallery takes, all of them are in it.
        left = np.maximum(others - drawn, 1e-12)
        share *= np.where(others > drawn, np.clip(1.0 - above / left, 0.0, 1.0), 1.0)
    return share


def _accepted(trials: Trials, weights: np.ndarray, size: int) -> np.ndarray:
    """Impostor trials accepted at each score of the tail, float64 [T], out of `impostor_weight`.

    Against a gallery every picture counts as many trials as there are others enrolled, so that
    the rate for one person is the plain one. Then N people never cost more than N times it.
    """
    if size == 1:
        return np.cumsum(weights[trials.tail_enrolled] * weights[trials.tail_probe])
    order, starts = trials.by_picture
    copies = weights * trials.enrolled
    person = trials.tail_probe[order]
    others = copies.sum() - copies[person]
    running = np.concatenate([[0.0], np.cumsum(weights[trials.tail_enrolled[order]])])
    before, after = running[:-1] - running[starts], running[1:] - running[starts]
    gained = _missed(others, before, size) - _missed(others, after, size)
    accepted = np.empty(len(order))
    accepted[order] = weights[person] * others * gained
    return np.cumsum(accepted)


def thresholds_at(
    trials: Trials, rates: ArrayLike, weights: np.ndarray | None = None, *, size: int = 1
) -> np.ndarray:
    """Lowest thresholds whose false accept rate (score >= threshold) is at most each rate.

    NaN where the tail kept is too short for the rate.
    """
    weights = np.ones(trials.people) if weights is None else weights
    accepted = _accepted(trials, weights, size)
    allowed = np.asarray(rates) * trials.impostor_weight(weights)
    # The first trial too many must be refused, so the threshold lies just above its score.
    first_refused = np.searchsorted(accepted, allowed * (1 + 1e-12), side="right")
    inside = first_refused < len(trials.tail)
    chosen = _just_above(trials.tail[np.minimum(first_refused, len(trials.tail) - 1)])
    return np.where(inside, chosen, np.nan)


def false_accept_rates(
    trials: Trials, thresholds: ArrayLike, weights: np.ndarray | None = None, *, size: int = 1
) -> np.ndarray:
    """Share of impostor trials at or above each threshold (which must lie inside the tail)."""
    weights = np.ones(trials.people) if weights is None else weights
    accepted = np.concatenate([[0.0], _accepted(trials, weights, size)])
    # `tail` descends; searchsorted wants it to ascend.
    number = np.searchsorted(-trials.tail, -np.asarray(thresholds, np.float32), side="right")
    return accepted[number] / max(trials.impostor_weight(weights), 1e-12)


def true_accept_rates(
    trials: Trials, thresholds: ArrayLike, weights: np.ndarray | None = None, *, size: int = 1
) -> np.ndarray:
    """Share of genuine trials at or above each threshold, the person being the gallery's best.

    For a gallery, who else is in it is drawn from all enrolled people, whatever the weights.
    """
    weights = np.ones(trials.people) if weights is None else weights
    counted = weights[trials.genuine_person]
    others = trials.enrolled.sum() - trials.enrolled[trials.genuine_person]
    first = _missed(others, trials.genuine_beaten, size - 1)
    accepted = trials.genuine[None, :] >= np.asarray(thresholds, np.float32)[:, None]
    return (accepted * (counted * first)).sum(axis=1) / max(counted.sum(), 1e-12)


def best_accuracy(trials: Trials) -> float:
    """Best accuracy over all thresholds with genuine and impostor trials weighing the same.

    Below the tail kept, the false accept rate is not known and no threshold is tried.
    """
    candidates = np.concatenate([_just_above(trials.tail), np.sort(trials.genuine)])
    candidates = candidates[candidates > trials.tail[-1]]
    if not candidates.size:
        return 0.5
    candidates = np.sort(candidates)[:: max(1, candidates.size // 2000)]
    accepted = true_accept_rates(trials, candidates)
    return float((0.5 * (accepted + 1.0 - false_accept_rates(trials, candidates))).max())


@dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


def tar_at_far(
    trials: Trials, rates: tuple[float, ...], *, draws: int = 200, seed: int = 7, size: int = 1
) -> dict[float, Estimate]:
    """Estimate the true accept rate at each FAR; threshold and rate are drawn together."""

    def at(weights: np.ndarray | None) -> np.ndarray:
        thresholds = thresholds_at(trials, np.array(rates), weights, size=size)
        return true_accept_rates(trials, thresholds, weights, size=size)

    values = at(None)
    found = interval([at(weights) for weights in draw_people(trials.people, draws, seed)])
    return {
        rate: Estimate(float(values[k]), float(found[0][k]), float(found[1][k]))
        for k, rate in enumerate(rates)
    }


def share_of(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return accepted over all, of counts by person [people, 2], for weights [draws, people]."""
    totals = weights @ counts
    return totals[:, 0] / np.maximum(totals[:, 1], 1e-12)


def interval(drawn: np.ndarray | list[np.ndarray]) -> np.ndarray:
    """95 % interval float64 [2, ...] of bootstrap draws [draws, ...]; NaN draws are left out."""
    return np.nanquantile(np.asarray(drawn, float), [0.025, 0.975], axis=0)


def none_in(pairs: float) -> float:
    """Upper end of the 95 % interval of a rate of which nothing was seen in so many pairs."""
    return 1.0 - 0.025 ** (1.0 / max(pairs, 1.0))


def estimate(value: float, drawn: np.ndarray | list[float]) -> Estimate:
    """Return a figure with the 95 % interval of its bootstrap draws [draws]."""
    low, high = interval(np.asarray(drawn, float))
    return Estimate(float(value), float(low), float(high))
