"""The level "with a challenge", asked of living people and of pictures of them, frame by frame.

The door's own decision draws the question, judges and decides; what is simulated is that it is put
at once, that a living visitor does as asked, and a lamp that is switched when it should be.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from multiprocessing import get_context
from typing import Any

import numpy as np

from training.liveness.settings import LivenessConfig
from training.liveness.visits import run
from training.liveness.visits.camera import PERIOD
from training.liveness.visits.head import Look, living
from training.liveness.visits.kinds import Lamp, Looks, Visit, render
from training.liveness.visits.limits import halves
from training.liveness.visits.observe import RATE, enrolled
from vision import (
    Ask,
    Decider,
    DecisionPolicy,
    Frame,
    LivenessLevel,
    Turn,
    gallery_matcher,
    judge,
    recognise,
)
from vision.networks.bundle import Bundle
from vision.types import Template

_FRAMES = 30
_LATER = 0.05
"""Seconds from a frame to when it has been looked at."""
# The visitor hears the question, then turns by this much and back.
_HEARS = (0.7, 1.6)
_LASTS = (1.0, 1.8)
_DEGREES = (24, 36)
_SWITCHES = ((1.0, True), (2.0, False), (3.0, True), (4.0, False))
"""Seconds from the question, and what the light does then."""
KINDS = ("living", "print", "still", "video", "cutout")
ASKS = {
    "turn": Ask(Turn.LEFT),
    "flash": Ask(flash=True),
    "both": Ask(Turn.LEFT, flash=True),
}


@dataclass(frozen=True)
class Asked:
    """One challenge: which, of what kind of visit, by what light, of whom."""

    challenge: str
    kind: str
    light: str
    who: str
    seed: int


@dataclass
class _Moment:
    """When the question was put, in seconds of the visit."""

    put_at: float = float("inf")


def ask_all(config: LivenessConfig, living_people: int, attacks: int) -> list[dict[str, Any]]:
    """Ask each challenge of each kind of visit.

    Returns `challenge`, `kind`, `light`, `who`, whether the face was `recognised` (it would have
    opened at level off), whether the door `opened`, and the `reason` why not, None if it was left
    waiting.
    """
    seen = run.read_visits(config)
    half = halves(seen)
    # None of those who chose the bundle's limits.
    people = [one.who for one in run.people(config, "test") if half.get(one.who) == 1]
    jobs = [
        Asked(challenge, kind, light, who, 1000 * number + len(kind))
        for challenge in ASKS
        for kind in KINDS
        for light in _lights(challenge, kind)
        for number, who in enumerate(people[: living_people if kind == "living" else attacks])
    ]
    with get_context("fork").Pool(max(1, config.threads), run.begin, (config,)) as pool:
        return list(pool.imap_unordered(_ask, jobs))


def _lights(challenge: str, kind: str) -> tuple[str, ...]:
    """Return the lights to ask by: the turn by day; the lamp when it is dim, of the living both."""
    if challenge == "turn":
        return ("day", "dim") if kind == "living" else ("day",)
    return ("dim", "day") if kind == "living" and challenge == "flash" else ("dim",)


def _turning(generator: np.random.Generator, asked: _Moment, *, answers: bool) -> Looks:
    """Return a look with one turn there and back: to the left where it answers the question.

    Somebody in a video turns to either side, at any time: nobody told them when.
    """
    around = living(generator)
    after = generator.uniform(*_HEARS) if answers else generator.uniform(-1.0, 4.0)
    lasts = generator.uniform(*_LASTS)
    angle = np.deg2rad(generator.uniform(*_DEGREES))
    angle *= 1.0 if answers else generator.choice([-1.0, 1.0])

    def look(t: float) -> Look:
        starts = asked.put_at + after if answers else after
        x = np.clip((t - starts) / lasts, 0, 1)
        one = around(t)
        return replace(one, yaw=0.5 * one.yaw + angle * float(np.sin(np.pi * x) ** 2))

    return look


def _lamp(gain: float, asked: _Moment) -> Lamp:
    def lamp(t: float) -> float:
        before = [on for at, on in _SWITCHES if asked.put_at + at <= t]
        return gain if before and before[-1] else 1.0

    return lamp


def _ask(job: Asked) -> dict[str, Any]:
    config, bundle = run.worker()
    person = run.person(config, job.who)
    template = enrolled(bundle, person.rgb, person.landmarks)
    generator = np.random.default_rng(job.seed)
    ask, asked = ASKS[job.challenge], _Moment()
    visit = Visit(job.kind, person, job.light, generator, _FRAMES)
    if ask.turn is not None and job.kind in {"living", "video"}:
        answers = job.kind == "living"
        visit = replace(visit, looks=_turning(generator, asked, answers=answers))
    if ask.flash:
        gain = generator.uniform(1.5, 4.0) if job.light == "dim" else generator.uniform(1.0, 1.15)
        visit = replace(visit, lamp=_lamp(float(gain), asked))
    return {**job.__dict__, **_decide(bundle, template, visit, ask, asked)}


def _decide(
    bundle: Bundle, template: Template, visit: Visit, ask: Ask, asked: _Moment
) -> dict[str, Any]:
    """Let the door decide, with the question and at level off."""
    point = bundle.thresholds.operating_point(RATE)
    points = bundle.liveness.points if bundle.liveness else ()
    judged = judge(LivenessLevel.CHALLENGE, points, bundle.score_limits)
    door = Decider(DecisionPolicy(), bundle.thresholds, point, judge=judged, ask=lambda: ask)
    off = Decider(DecisionPolicy(), bundle.thresholds, point)
    matcher = gallery_matcher(bundle, {"visitor": (template,)})
    recognised, attempt = False, None
    switches = list(_SWITCHES)
    for number, rgb in enumerate(render(visit)):
        taken_at = number * PERIOD
        now = taken_at + _LATER
        sighting = recognise(bundle, matcher, Frame(rgb, taken_at), cues_from=point.threshold)
        while door.asking is not None and switches and asked.put_at + switches[0][0] <= taken_at:
            after, on = switches.pop(0)
            door.asking.switched(asked.put_at + after, on=on)
        plain = off.observe(sighting, now)
        recognised = recognised or (plain is not None and plain.granted)
        attempt = attempt or door.observe(sighting, now)
        if door.asking is not None and asked.put_at > now:
            asked.put_at = now
            door.asking.put(now)
        if attempt is not None and recognised:
            break
    opened = attempt is not None and attempt.granted
    reason = None if attempt is None or attempt.problem is None else attempt.problem.value
    return {"recognised": recognised, "opened": opened, "reason": reason}
