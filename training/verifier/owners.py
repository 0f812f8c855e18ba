"""Visits of willing owners, by day and by night: what a row of the table costs whoever lives there.

Everybody before the webcam is enrolled with frames of one session and comes in the others, which
were days or weeks apart: ten frames in order of time, each with landmarks of its own and, by night,
with noise. The
product decides: its stacks, its votes, its quorum. Strangers' visits are everybody else's at the
same doors. So few people give wide intervals, and say nothing of age: `tries.py` does.

`film` makes the visits, `figures` counts what each row of the table opens.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

import vision
from training.common.pictures import centre
from training.verifier import gallery, metrics
from training.verifier.augment import CONDITIONS, jitter
from training.verifier.conditions import CLEAN
from training.verifier.config import Config
from training.verifier.embedders import Embed
from training.verifier.gallery import qualities
from training.verifier.webcam import Webcam, enrolment
from vision.imaging.quality import QualityLimits

# Frames of a visit, frames from the start of one to that of the next, and seconds between two.
FRAMES, STRIDE, INTERVAL = 10, 5, 0.25


@dataclass(frozen=True)
class Seen:
    """One frame: its embedding [D + 1] if it is evidence, and those of its stack if it has one."""

    problem: "vision.Problem | None"
    embedding: np.ndarray | None
    stack: np.ndarray | None
    taken_at: tuple[float, ...]


def visits_of(people: Webcam) -> list[np.ndarray]:
    """Return the rows of every visit: `FRAMES` frames of one session, in order of time."""
    found = []
    for subject in np.unique(people.subject):
        for session in np.unique(people.session[people.subject == subject]):
            rows = np.nonzero((people.subject == subject) & (people.session == session))[0]
            found += [
                rows[start : start + FRAMES] for start in range(0, len(rows) - FRAMES + 1, STRIDE)
            ]
    return found


def film(
    config: Config, embed: Embed, crops: list[np.ndarray], widths: list[np.ndarray], condition: str
) -> list[list[Seen]]:
    """Show visits, uint8 [K, 128, 128, 3] each, in a condition, through the product's stacks."""
    return [
        _visit(config, embed, shown, face_px, condition, number)
        for number, (shown, face_px) in enumerate(zip(crops, widths, strict=True))
    ]


def _visit(
    config: Config, embed: Embed, crops: np.ndarray, widths: np.ndarray, condition: str, number: int
) -> list[Seen]:
    limits = QualityLimits(
        config.calibrate.min_face_px,
        config.calibrate.min_brightness,
        config.calibrate.min_sharpness,
    )
    stacker = vision.Stacker()
    problems, stacks, batch = [], [], []
    for frame, (crop, width) in enumerate(zip(crops, widths, strict=True)):
        rng = np.random.default_rng((config.evaluate.seed, number, frame))
        # By day the landmarks are those that were found in the frame; in darkness that was put on
        # it afterwards they would have erred more.
        view = centre(crop) if condition == CLEAN else jitter(crop, rng)
        shown = CONDITIONS[condition](view, rng)
        brightness, sharpness = (float(one[0]) for one in qualities(shown[None]))
        quality = vision.FaceQuality(float(width), brightness, sharpness)
        problem = limits.problem(quality)
        usable = None if problem is not None else (shown, quality)
        (stack,) = stacker.add([FACE], [usable], frame * INTERVAL, bytes([frame]))
        problems.append(problem)
        stacks.append(stack)
        batch += [] if problem is not None else [shown]
        batch += [] if stack is None else [stack.whole, stack.older, stack.newer]
    embeddings = iter(embed(np.stack(batch)) if batch else ())
    seen: list[Seen] = []
    for problem, stack in zip(problems, stacks, strict=True):
        own = None if problem is not None else next(embeddings)
        three: np.ndarray | None = None
        if stack is not None:
            three = np.stack([next(embeddings) for _ in range(3)])
        seen.append(Seen(problem, own, three, () if stack is None else stack.taken_at))
    return seen


FACE = vision.Face((0.0, 0.0, 112.0, 112.0), np.zeros((5, 2), np.float32), 1.0)
QUALITY = vision.FaceQuality(112.0, 128.0, 100.0)


def opens(visit: list[Seen], template: np.ndarray, threshold: float, loosest: float) -> bool:
    """Whether the product opens for a visit where only `template` [D + 1] is enrolled."""
    rows = [vision.OperatingPoint(0.5, threshold, 0.0, 0.5, True, 1.0)]
    if loosest < threshold:
        rows.insert(0, vision.OperatingPoint(0.6, loosest, 0.0, 0.6, True, 1.0))
    table = vision.Thresholds(rows, slope=1.0, offset=0.0)
    decider = vision.Decider(vision.DecisionPolicy(), table, rows[-1])
    matcher = vision.Matcher({"owner": (vision.Template(template, "m"),)}, model="m")
    for frame, one in enumerate(visit):
        now = frame * INTERVAL
        evidence = vision.Evidence(FACE, QUALITY, vision.Problem.TOO_DARK)
        if one.embedding is not None:
            look = None
            if one.stack is not None:
                whole, older, newer = (matcher.match(row) for row in one.stack)
                if whole and older and newer:
                    look = vision.Look(whole, older, newer, one.taken_at)
            match = matcher.match(one.embedding)
            evidence = vision.Evidence(FACE, QUALITY, None, one.embedding, match, look)
        attempt = decider.observe(vision.Sighting(bytes([frame]), now, (evidence,)), now)
        if attempt is not None:
            return attempt.granted
    return False


def figures(
    config: Config, embed: Embed, people: Webcam, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """Count owners' visits that stay shut and strangers' that open: condition -> figures.

    Of each: `people`, `visits`, `stranger_visits`, and by RATE `missed` and `opened`, estimates
    with intervals over people.
    """
    shown = visits_of(people)
    person = np.array([people.subject[one[0]] for one in shown])
    session = np.array([people.session[one[0]] for one in shown])
    doors = [
        (subject, one, _template(embed, people, subject, one))
        for subject in np.unique(people.subject)
        for one in np.unique(people.session[people.subject == subject])
    ]
    loosest = rows[0]["threshold"]
    found = {}
    for condition in config.calibrate.owner_conditions:
        filmed = film(
            config,
            embed,
            [people.stored[one] for one in shown],
            [people.face_px[one] for one in shown],
            condition,
        )
        found[condition] = _count(filmed, person, session, doors, rows, loosest, config)
    return found


def _template(embed: Embed, people: Webcam, subject: int, session: int) -> np.ndarray:
    chosen = enrolment(people, (people.subject == subject) & (people.session == session))
    templates, _ = gallery.templates(embed(people.crops[chosen]), people.subject[chosen])
    return templates[0]


def _count(
    filmed: list[list[Seen]],
    person: np.ndarray,
    session: np.ndarray,
    doors: list[tuple[int, int, np.ndarray]],
    rows: list[dict[str, Any]],
    loosest: float,
    config: Config,
) -> dict[str, Any]:
    own: dict[str, list[float]] = {f"{row['fpr']:.0e}": [] for row in rows}
    other: dict[str, list[float]] = {rate: [] for rate in own}
    owners: list[str] = []
    strangers: list[str] = []
    for subject, enrolled, template in doors:
        for number, visit in enumerate(filmed):
            if person[number] == subject and session[number] == enrolled:
                continue
            mine = person[number] == subject
            (owners if mine else strangers).append(person[number])
            for row in rows:
                opened = opens(visit, template, row["threshold"], loosest)
                (own if mine else other)[f"{row['fpr']:.0e}"].append(float(opened))
    draws, seed = config.evaluate.bootstrap, config.evaluate.seed
    return {
        "people": len(set(owners)),
        "visits": len(owners),
        "stranger_visits": len(strangers),
        "missed": {
            rate: vars(share_of_visits(1.0 - np.array(opened), np.array(owners), draws, seed))
            for rate, opened in own.items()
        },
        "opened": {
            rate: vars(share_of_visits(np.array(opened), np.array(strangers), draws, seed))
            for rate, opened in other.items()
        },
    }


def share_of_visits(
    happened: np.ndarray, person: np.ndarray, draws: int, seed: int
) -> metrics.Estimate:
    """Share of visits, float [V], with its interval over the people int [V] who made them."""
    _, number = np.unique(person, return_inverse=True)
    weights = metrics.draw_people(int(number.max()) + 1, draws, seed)[:, number]
    drawn = (weights * happened).sum(axis=1) / np.maximum(weights.sum(axis=1), 1e-12)
    found = metrics.estimate(float(happened.mean()), drawn)
    if found.value == 0.0:
        return metrics.Estimate(0.0, 0.0, metrics.none_in(len(happened)))
    return found
