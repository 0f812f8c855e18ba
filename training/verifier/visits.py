"""A visit: several frames of one face, each with landmarks and noise of its own.

The door opens when a quorum of frames agrees (`vision/decision/`), so one good frame does not open
it and one bad one does not keep it shut. Frames here are copies of one picture, turned and
shifted as landmarks err and with independent noise: expression and pose stay, which makes them
more alike than those of a real visit, for the person and for the stranger.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

import vision
from training.common.pictures import with_border
from training.verifier import gallery, metrics
from training.verifier.augment import in_condition, jitter
from training.verifier.conditions import acceptable
from training.verifier.config import Config
from training.verifier.embedders import Embed
from training.verifier.gallery import Protocol
from vision import Decider, DecisionPolicy
from vision.matching.similarity import pairwise_scores

# Seconds between two frames: within the policy's window there is room for all of a visit.
INTERVAL = 0.4
# The score of a frame that is no evidence, and of a visit with too few that are.
NO_EVIDENCE = metrics.NO_SCORE


@dataclass(frozen=True)
class Visits:
    """Visits of one condition: scores float32 [P, V, K] of templates, visits and frames.

    `usable` bool [V, K] says which frames pass the quality limits (others `NO_EVIDENCE`); `owner`
    int [P] and `person` int [V] say whose templates and visits they are. `templates` float32
    [P, D + 1] and `frames` float32 [V, K, D + 1] are the embeddings.
    """

    scores: np.ndarray
    usable: np.ndarray
    owner: np.ndarray
    person: np.ndarray
    templates: np.ndarray
    frames: np.ndarray
    people: int


def choose_probes(
    shown: Protocol, most: int, seed: int, *, among: np.ndarray | None = None
) -> np.ndarray:
    """Choose up to `most` probe rows, one of everybody before a second of anybody.

    `among` bool [N] says which of the rows may be chosen.
    """
    free = ~shown.enrolled if among is None else ~shown.enrolled & among
    rows = np.random.default_rng(seed).permutation(np.nonzero(free)[0])
    turn = np.zeros(len(rows), int)
    seen: dict[int, int] = {}
    for place, person in enumerate(shown.person[rows].tolist()):
        turn[place] = seen.get(person, 0)
        seen[person] = turn[place] + 1
    return np.sort(rows[np.argsort(turn, kind="stable")][:most])


def frames_of(crops: np.ndarray, condition: str, number: int, seed: int) -> np.ndarray:
    """Show every crop uint8 [N, 112, 112, 3] as frame `number` of its visit."""
    stored = with_border(crops)
    moved = np.stack(
        [
            jitter(crop, np.random.default_rng((seed, number, place)))
            for place, crop in enumerate(stored)
        ]
    )
    return in_condition(moved, condition, seed * 1000 + number)


def film(
    config: Config,
    embed: Embed,
    shown: Protocol,
    condition: str,
    rows: np.ndarray | None = None,
) -> Visits:
    """Make and embed the visits of one condition; clean pictures are enrolled.

    `rows` are the probes that come, by default `evaluate.visits` of them.
    """
    settings = config.evaluate
    known = np.nonzero(shown.enrolled)[0]
    known = known[acceptable(config, shown.crops[known], shown.face_px[known])]
    templates, owner = gallery.templates(embed(shown.crops[known]), shown.person[known])
    if rows is None:
        rows = choose_probes(shown, settings.visits, settings.seed)
    usable, frames = [], []
    for number in range(settings.visit_frames):
        # Noise of enrolled and probe pictures comes from the seeds just above `seed`.
        crops = frames_of(shown.crops[rows], condition, number, settings.seed + 2)
        usable.append(acceptable(config, crops, shown.face_px[rows]))
        frames.append(embed(crops))
    passes, embeddings = np.stack(usable, axis=1), np.stack(frames, axis=1)
    flat = embeddings.reshape(-1, embeddings.shape[-1])
    scores = pairwise_scores(templates, flat).reshape(-1, *embeddings.shape[:2])
    scores[:, ~passes] = NO_EVIDENCE
    return Visits(
        scores, passes, owner, shown.person[rows], templates, embeddings, len(shown.names)
    )


def default_quorum() -> int:
    """Return how many frames must agree at the door."""
    return DecisionPolicy().quorum


def quorum_scores(visits: Visits, quorum: int) -> np.ndarray:
    """Score that `quorum` frames of a visit reach, float32 [P, V].

    At a threshold up to it the visit opens a door where only that person is enrolled.
    """
    ordered = np.sort(visits.scores, axis=2)
    return (
        ordered[:, :, -quorum]
        if ordered.shape[2] >= quorum
        else np.full_like(ordered[:, :, 0], NO_EVIDENCE)
    )


def visit_trials(visits: Visits, quorum: int) -> metrics.Trials:
    """Return one trial for every visit and template, scored by its quorum.

    Against a gallery of several the rates of `metrics` take the best of them. The door is
    stricter: a visit whose frames look like two people opens for neither.
    """
    scores = quorum_scores(visits, quorum)
    return metrics.collect_scores(scores, visits.owner, visits.person, people=visits.people)


def decide(
    visits: Visits, visit: int, enrolled: np.ndarray, threshold: float
) -> tuple[bool, int | None]:
    """Let the product decide one visit: whether it opens, and for whom.

    `enrolled` int [N] are rows of the templates. Matcher, tracker and decider are the product's.
    """
    point = vision.OperatingPoint(0.5, threshold, 0.0, 0.5, True, 1.0)
    decider = Decider(DecisionPolicy(), vision.Thresholds([point], slope=1.0, offset=0.0), point)
    people = {
        str(visits.owner[row]): (vision.Template(visits.templates[row], "measured"),)
        for row in enrolled
    }
    matcher = vision.Matcher(people, model="measured")
    face = vision.Face((0.0, 0.0, 112.0, 112.0), np.zeros((5, 2), np.float32), 1.0)
    quality = vision.FaceQuality(112.0, 128.0, 100.0)
    for number, embedding in enumerate(visits.frames[visit]):
        now = number * INTERVAL
        if visits.usable[visit, number]:
            seen = vision.Evidence(face, quality, None, embedding, matcher.match(embedding))
        else:
            seen = vision.Evidence(face, quality, vision.Problem.TOO_DARK)
        sighting = vision.Sighting(bytes([number]), now, (seen,))
        attempt = decider.observe(sighting, now)
        if attempt is not None and attempt.granted:
            return True, None if attempt.person is None else int(attempt.person)
    return False, None


def figures(
    visits: Visits, thresholds: dict[int, float], *, quorum: int, draws: int, seed: int
) -> dict[str, dict[str, Any]]:
    """Measure visits at one threshold for each gallery size, the product deciding the genuine.

    `tar` is the share of visits by enrolled people that open for them, `fpr` that of visits by
    strangers that open at all, `wrong_person` that of visits by enrolled people that open for
    somebody else, `frame_tar` that of single frames of the same visits that are above the
    threshold; intervals draw people.
    """
    trials = visit_trials(visits, quorum)
    own = {person: row for row, person in enumerate(visits.owner.tolist())}
    genuine = [visit for visit, person in enumerate(visits.person.tolist()) if person in own]
    weights = metrics.draw_people(visits.people, draws, seed)
    found: dict[str, dict[str, Any]] = {}
    for size, threshold in thresholds.items():
        if size > len(visits.owner):
            continue
        rng = np.random.default_rng(seed)
        opened, wrong = np.zeros(len(genuine)), np.zeros(len(genuine))
        for place, visit in enumerate(genuine):
            person = int(visits.person[visit])
            others = np.delete(np.arange(len(visits.owner)), own[person])
            enrolled = np.append(rng.choice(others, size - 1, replace=False), own[person])
            granted, who = decide(visits, visit, enrolled, threshold)
            opened[place], wrong[place] = granted and who == person, granted and who != person
        of = weights[:, visits.person[genuine]]
        total = np.maximum(of.sum(axis=1), 1e-12)
        at = np.array([threshold])
        rates = [metrics.false_accept_rates(trials, at, w, size=size)[0] for w in weights]
        rate = metrics.estimate(metrics.false_accept_rates(trials, at, size=size)[0], rates)
        if rate.value == 0.0:
            # A bootstrap of nothing says nothing; visits of one person count as one.
            pairs = len(visits.owner) * (len(set(visits.person.tolist())) - 1)
            rate = metrics.Estimate(0.0, 0.0, min(1.0, size * metrics.none_in(pairs)))
        accepted = visits.scores[[own[int(visits.person[v])] for v in genuine], genuine]
        frame = (accepted >= threshold).mean(axis=1)
        found[str(size)] = {
            "threshold": threshold,
            "visits": len(genuine),
            "impostor_visits": int(trials.impostors),
            "tar": vars(metrics.estimate(opened.mean(), (of * opened).sum(axis=1) / total)),
            "wrong_person": vars(metrics.estimate(wrong.mean(), (of * wrong).sum(axis=1) / total)),
            "fpr": vars(rate),
            "frame_tar": vars(metrics.estimate(frame.mean(), (of * frame).sum(axis=1) / total)),
        }
    return found
