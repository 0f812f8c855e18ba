"""What a false positive rate costs: how often the door stays shut for somebody who is enrolled.

A *try* is what an owner experiences: an enrolled person comes, looks at the camera, and the door
opens or does not. Here it is one photograph that was not enrolled, shown as a visit (`visits.py`):
several frames, each with landmarks and noise of its own, of which a quorum must pass the quality
limits and reach the threshold. Counted are people enrolled with `owner_pictures` or more, as guided
capture leaves them, and photographs that look at the camera from near enough to be used: who wants
in does so. A frame too dark or too blurred to be evidence counts against the try.

Why not several photographs for the frames of one try: they were taken years apart, so that light,
age, glasses and make-up would change from frame to frame, and three good ones among them would
hide what a whole bad evening costs. Why not single frames: the door never decides on one (they are
given beside it, and come out nearly the same, since the frames of a visit fail together).

What it leaves out makes it too high: a real visit lasts up to ten seconds, in which people move and
turn to the camera until half of their frames agree; and an owner is enrolled at the same door and
in the same year, a celebrity is not. What makes it too low: detection, liveness and the camera's
own faults are not in it, and night is simulated. `anybody` is the bound without the conditions
above: whoever is enrolled, with a single picture too, in any pose.

By night is the worse of the simulations in `calibrate.night`; people are enrolled by day.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from training.common.pictures import with_border
from training.verifier import measures, metrics, visits
from training.verifier.conditions import CLEAN, acceptable
from training.verifier.config import Config
from training.verifier.embedders import Embed
from training.verifier.gallery import Protocol
from training.verifier.inspect_data import LOOKING_AWAY, kinds_of
from training.verifier.record import COSTS

# Who is counted: an owner as described above, or everybody enrolled in any pose.
OWNER, ANYBODY = "owner", "anybody"


@dataclass(frozen=True)
class Tries:
    """Tries by enrolled people, scored with their own template.

    `reached` float32 [N] is the threshold up to which a try opens the door, `frames` [N, K] that of
    its frames; `NO_EVIDENCE` where no frame, or too few, are evidence. `person` int [N] says whose
    tries they are, `owner` bool [N] which are such as an owner's.
    """

    reached: np.ndarray
    frames: np.ndarray
    person: np.ndarray
    owner: np.ndarray
    people: int


def choose_tries(config: Config, shown: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Choose probe rows int [N] of enrolled people, and which are such as an owner's, bool [N].

    At most `calibrate.tries`, one of everybody before a second of anybody. Faces further away than
    the limit are nobody's try: who wants in comes nearer. A picture on which no face is found
    again, so that its pose is unknown, stays.
    """
    settings = config.calibrate
    known = np.nonzero(shown.enrolled)[0]
    known = known[acceptable(config, shown.crops[known], shown.face_px[known])]
    pictures = np.bincount(shown.person[known], minlength=len(shown.names))
    near = ~(shown.face_px < settings.min_face_px)
    rows = visits.choose_probes(
        shown, settings.tries, config.evaluate.seed, among=near & (pictures[shown.person] > 0)
    )
    enough = pictures[shown.person[rows]] >= settings.owner_pictures
    # Only of these is the pose asked for; it takes the detector.
    asked = np.nonzero(enough)[0]
    stored = with_border(shown.crops[rows[asked]])
    kinds = kinds_of(measures.measure(stored), shown.face_px[rows[asked]], config.inspect)
    owner = enough.copy()
    owner[asked] = ~np.any([kinds[name][0] for name in LOOKING_AWAY], axis=0)
    return rows, owner


def film(config: Config, embed: Embed, shown: Protocol) -> dict[str, Tries]:
    """Make the tries of the day and of every simulated night: condition -> tries.

    Empty where `calibrate.tries` is 0 or nobody enrolled has another picture.
    """
    if not config.calibrate.tries:
        return {}
    rows, owner = choose_tries(config, shown)
    if not len(rows):
        return {}
    found = {}
    quorum = visits.default_quorum()
    every = np.arange(len(rows))
    for condition in (CLEAN, *config.calibrate.night):
        filmed = visits.film(config, embed, shown, condition, rows)
        own = np.searchsorted(filmed.owner, filmed.person)
        reached = visits.quorum_scores(filmed, quorum)[own, every]
        frames = filmed.scores[own, every]
        found[condition] = Tries(reached, frames, filmed.person, owner, filmed.people)
    return found


def missed(refused: np.ndarray, person: np.ndarray, weights: np.ndarray) -> metrics.Estimate:
    """Share of tries that did not open, of the share refused by try, float [N], with its interval.

    `weights` float64 [draws, people] draw people. Where nothing was refused, or nothing else, a
    bootstrap says nothing, and the tries of one person count as one.
    """
    of = weights[:, person]
    drawn = (of * refused).sum(axis=1) / np.maximum(of.sum(axis=1), 1e-12)
    found = metrics.estimate(refused.mean(), drawn)
    none = metrics.none_in(len(np.unique(person)))
    if found.value == 0.0:
        return metrics.Estimate(0.0, 0.0, none)
    if found.value == 1.0:
        return metrics.Estimate(1.0, 1.0 - none, 1.0)
    return found


def figures(
    tries: dict[str, Tries], rows: list[dict[str, Any]], *, draws: int, seed: int
) -> dict[str, Any]:
    """Measure what every row of the table misses: condition -> who -> figures.

    Of each: `people`, `tries`, `unusable` (the share in which too few frames were evidence, missed
    at any rate), `missed` and `missed_by_one_frame`: RATE -> estimate. Who has no try is left out.
    """
    at = {f"{row['fpr']:.0e}": np.float32(row["threshold"]) for row in rows}
    found: dict[str, Any] = {}
    for condition, one in tries.items():
        weights = metrics.draw_people(one.people, draws, seed)
        found[condition] = {}
        for who, chosen in ((OWNER, one.owner), (ANYBODY, np.ones(len(one.person), bool))):
            if not chosen.any():
                continue
            person, best, single = one.person[chosen], one.reached[chosen], one.frames[chosen]
            found[condition][who] = {
                "people": len(np.unique(person)),
                "tries": len(person),
                "unusable": float((best == visits.NO_EVIDENCE).mean()),
                "missed": {
                    name: vars(missed((best < t).astype(float), person, weights))
                    for name, t in at.items()
                },
                "missed_by_one_frame": {
                    name: vars(missed((single < t).mean(axis=1), person, weights))
                    for name, t in at.items()
                },
            }
    return found


def costs(found: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Return `aged_day` and `aged_night`: RATE -> estimate, an owner's, by night the worst one.

    What was not measured is left out.
    """
    owners = {condition: one[OWNER]["missed"] for condition, one in found.items() if OWNER in one}
    return worst_by_light(owners, "aged")


def worst_by_light(
    missed: dict[str, dict[str, dict[str, float]]], name: str
) -> dict[str, dict[str, dict[str, float]]]:
    """Return NAME_day and NAME_night of CONDITION -> RATE -> estimate; the worst of each rate."""
    day = [one for condition, one in missed.items() if condition == CLEAN]
    night = [one for condition, one in missed.items() if condition != CLEAN]
    return {
        f"{name}_{when}": {
            rate: max((one[rate] for one in measured), key=lambda share: share["value"])
            for rate in measured[0]
        }
        for when, measured in (("day", day), ("night", night))
        if measured
    }


def with_costs(
    rows: list[dict[str, Any]], measured: dict[str, dict[str, dict[str, float]]]
) -> list[dict[str, Any]]:
    """Give every row of the table what `costs` found, as shares; None where it was not measured."""

    def share(when: str, rate: float) -> float | None:
        found = measured.get(when)
        return None if found is None else round(found[f"{rate:.0e}"]["value"], 4)

    return [row | {when: share(when, row["fpr"]) for when in COSTS} for row in rows]
