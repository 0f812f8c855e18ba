"""Groups of probes at one threshold, and how the worst of them fares beside all.

The pictures carry no labels of sex, age or origin, and none are guessed here: a group is a source,
or what can be measured on the picture. `strangers` is the one exception that needs no labels of
its own: All-Age-Faces (mostly Asian, age 2 to 80) has no identities, so it can only come as
strangers.
"""

from typing import Any

import numpy as np

from training.common.pictures import with_border
from training.verifier import gallery, measures, metrics
from training.verifier.conditions import Measured
from training.verifier.config import Config
from training.verifier.gallery import Protocol
from training.verifier.inspect_data import kinds_of
from vision.matching.similarity import pairwise_scores

SOURCE = "from "
ONE_ENROLLED = "of people with one enrolled picture"
# Genuine trials, and people they are of, below which nothing is said of a group.
TRIALS = 30
PEOPLE = 10


def flags_of(
    config: Config, shown: Protocol, probe_row: np.ndarray, enrolled_row: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each group, bool [M]: which clean probes are of it, and of which it is known."""
    # Stored crops have a border; what is measured was read without it.
    stored = with_border(shown.crops[probe_row])
    found = dict(kinds_of(measures.measure(stored), shown.face_px[probe_row], config.inspect))
    every = np.ones(len(probe_row), bool)
    source = shown.source[probe_row]
    names = sorted(set(source.tolist()))
    if len(names) > 1:
        found |= {f"{SOURCE}{name}": (source == name, every) for name in names}
    enrolled = np.bincount(shown.person[enrolled_row], minlength=len(shown.names))
    found[ONE_ENROLLED] = (enrolled[shown.person[probe_row]] == 1, every)
    return found


def rates_of(
    measured: Measured, trials: metrics.Trials, flag: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Count accepted and all trials of flagged probes by person: float64 [people, 2] each.

    The genuine trials come first, the impostor trials second.
    """
    of_it = flag[trials.genuine_picture]
    accepted = trials.genuine >= np.float32(threshold)
    person = trials.genuine_person
    genuine = np.stack(
        [
            np.bincount(person[of_it & accepted], minlength=trials.people),
            np.bincount(person[of_it], minlength=trials.people),
        ],
        axis=1,
    )
    above = (trials.tail >= np.float32(threshold)) & flag[trials.tail_picture]
    probes = np.bincount(measured.probe_person[flag], minlength=trials.people)
    others = trials.enrolled.sum() - trials.enrolled
    impostor = np.stack(
        [np.bincount(trials.tail_probe[above], minlength=trials.people), probes * others], axis=1
    )
    return genuine.astype(float), impostor.astype(float)


def figures(
    config: Config, measured: Measured, threshold: float
) -> dict[str, dict[str, dict[str, Any]]]:
    """Return `groups` by name, and `fairness`: the worst group's TAR and FPR over everybody's.

    A group has `people`, `genuine`, `share` of the probes, `tar`, `fpr` and `tar_ratio` (its TAR
    over that of all probes), each with the interval of one bootstrap over people. FPR draws the
    probes' people only, and its interval is too narrow where a few enrolled people draw them.
    """
    trials = measured.trials()
    weights = metrics.draw_people(trials.people, config.evaluate.bootstrap, config.evaluate.seed)
    plain = np.ones((1, trials.people))
    every = np.ones(len(measured.probe_row), bool)
    all_genuine, _ = rates_of(measured, trials, every, threshold)
    overall = metrics.share_of(all_genuine, weights)
    found: dict[str, dict[str, Any]] = {}
    drawn: dict[str, np.ndarray] = {}
    candidates = {"all": (every, every)} | flags_of(
        config, measured.shown, measured.probe_row, measured.enrolled_row
    )
    for name, (flag, known) in candidates.items():
        genuine, impostor = rates_of(measured, trials, flag & known, threshold)
        people = int((genuine[:, 1] > 0).sum())
        if genuine[:, 1].sum() < TRIALS or people < PEOPLE:
            continue
        drawn[name] = metrics.share_of(genuine, weights) / np.maximum(overall, 1e-12)
        value = float(metrics.share_of(genuine, plain)[0])
        whole = float(metrics.share_of(all_genuine, plain)[0])
        found[name] = {
            "people": people,
            "genuine": int(genuine[:, 1].sum()),
            "share": float(genuine[:, 1].sum() / all_genuine[:, 1].sum()),
            "tar": vars(metrics.estimate(value, metrics.share_of(genuine, weights))),
            "tar_ratio": vars(metrics.estimate(value / max(whole, 1e-12), drawn[name])),
            "fpr": vars(
                metrics.estimate(
                    metrics.share_of(impostor, plain)[0], metrics.share_of(impostor, weights)
                )
            ),
        }
    return {"groups": found, "fairness": _fairness(found, drawn)}


def _fairness(found: dict[str, dict[str, Any]], drawn: dict[str, np.ndarray]) -> dict[str, Any]:
    """Name the worst group and its ratio; the second interval lets every draw name its own."""
    names = [name for name in found if name != "all"]
    if not names:
        return {}
    worst = min(names, key=lambda name: found[name]["tar_ratio"]["value"])
    often = max(names, key=lambda name: found[name]["fpr"]["value"])
    of_draws = metrics.interval(np.min([drawn[name] for name in names], axis=0))
    return {
        "worst_tar_group": worst,
        "worst_over_overall": found[worst]["tar_ratio"],
        "worst_of_each_draw": {"low": float(of_draws[0]), "high": float(of_draws[1])},
        "worst_fpr_group": often,
        "worst_fpr": found[often]["fpr"],
        "demographic_labels": False,
    }


def stranger_figures(
    measured: Measured, embeddings: np.ndarray, threshold: float, *, draws: int, seed: int
) -> dict[str, Any]:
    """Measure pictures of unknown people float32 [N, D + 1] as strangers.

    `fpr` is against everybody enrolled. `among_themselves` compares them with one another, every
    picture enrolled alone: an upper bound, since two pictures may be of one person, and a harder
    protocol than enrolling several. Intervals of the first draw strangers and enrolled people.
    """
    known, _ = gallery.templates(measured.enrolled, measured.enrolled_person)
    above = (pairwise_scores(known, embeddings) >= threshold).astype(float)
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(draws):
        rows = rng.multinomial(len(above), np.full(len(above), 1 / len(above)))
        columns = rng.multinomial(above.shape[1], np.full(above.shape[1], 1 / above.shape[1]))
        drawn.append(float(rows @ above @ columns) / above.size)
    own = pairwise_scores(embeddings, embeddings) >= threshold
    pairs = len(embeddings) * (len(embeddings) - 1) / 2
    return {
        "pictures": len(embeddings),
        "trials": int(above.size),
        "fpr": vars(metrics.estimate(float(above.mean()), drawn)),
        "among_themselves": {
            "pairs": int(pairs),
            "fpr_at_most": float(np.triu(own, 1).sum() / max(pairs, 1)),
        },
    }
