"""The two challenges, asked of living people and of pictures of them: simulated, frame by frame."""

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
from training.liveness.visits.observe import enrolled
from vision import Frame, gallery_matcher, recognise
from vision.pad import ChallengeState, HeadTurn, LightFlash, Turn

_FRAMES = 24
_ASKED_AT = 0.1
# The visitor hears the question, then turns by this much and back.
_HEARS = (0.7, 1.6)
_LASTS = (1.0, 1.8)
_DEGREES = (24, 36)
_SWITCHES = ((1.0, True), (2.0, False), (2.9, True), (3.9, False))
KINDS = ("living", "print", "still", "video")


@dataclass(frozen=True)
class Asked:
    """One challenge: which, of what kind of visit, by what light, of whom."""

    challenge: str
    kind: str
    light: str
    who: str
    seed: int


def ask_all(config: LivenessConfig, living_people: int, attacks: int) -> list[dict[str, Any]]:
    """Ask both challenges of each kind; return `challenge`, `kind`, `light`, `who`, `passed`."""
    people = [one.who for one in run.people(config, "test")]
    jobs = [
        Asked(challenge, kind, light, who, 1000 * number + len(kind))
        for challenge, lights in (("turn", ("day",)), ("flash", ("dim", "day")))
        for kind in KINDS
        for light in lights
        # By day the lamp is the question whether the living pass; pictures are no better then.
        if challenge == "turn" or light == "dim" or kind == "living"
        for number, who in enumerate(people[: living_people if kind == "living" else attacks])
    ]
    with get_context("fork").Pool(max(1, config.threads), run.begin, (config,)) as pool:
        return list(pool.imap_unordered(_ask, jobs))


def _turning(generator: np.random.Generator, *, answers: bool) -> Looks:
    """Return a look with one turn there and back: to the left where it answers the question.

    Somebody in a video turns to either side, at any time: nobody told them when.
    """
    around = living(generator)
    starts = generator.uniform(*_HEARS) if answers else generator.uniform(-1.0, 4.0)
    lasts = generator.uniform(*_LASTS)
    angle = np.deg2rad(generator.uniform(*_DEGREES))
    angle *= 1.0 if answers else generator.choice([-1.0, 1.0])

    def look(t: float) -> Look:
        x = np.clip((t - starts) / lasts, 0, 1)
        one = around(t)
        return replace(one, yaw=0.5 * one.yaw + angle * float(np.sin(np.pi * x) ** 2))

    return look


def _lamp(gain: float) -> Lamp:
    def lamp(t: float) -> float:
        before = [on for at, on in _SWITCHES if at <= t]
        return gain if before and before[-1] else 1.0

    return lamp


def _ask(job: Asked) -> dict[str, Any]:
    config, bundle = run.worker()
    person = run.person(config, job.who)
    template = enrolled(bundle, person.rgb, person.landmarks)
    generator = np.random.default_rng(job.seed)
    visit = Visit(job.kind, person, job.light, generator, _FRAMES)
    challenge: HeadTurn | LightFlash
    if job.challenge == "turn":
        answers = job.kind == "living"
        if job.kind in {"living", "video"}:
            visit = replace(visit, looks=_turning(generator, answers=answers))
        challenge = HeadTurn(Turn.LEFT, _ASKED_AT, template.embedding)
    else:
        gain = generator.uniform(1.5, 4.0) if job.light == "dim" else generator.uniform(1.0, 1.15)
        visit = replace(visit, lamp=_lamp(float(gain)))
        challenge = LightFlash(_ASKED_AT)
        for at, on in _SWITCHES:
            challenge.switched(at, on=on)
    matcher = gallery_matcher(bundle, {"visitor": (template,)})
    state = ChallengeState.WAITING
    for number, rgb in enumerate(render(visit)):
        # A face that turns matches less; its place is measured whatever it resembles.
        taken_at = number * PERIOD
        sighting = recognise(bundle, matcher, Frame(rgb, taken_at), cues_from=-1.0)
        faces = [one for one in sighting.evidence if one.match is not None]
        if faces:
            best = max(faces, key=lambda one: one.match.similarity if one.match else -1.0)
            state = challenge.observe(best, taken_at)
            if state is not ChallengeState.WAITING:
                break
    return {**job.__dict__, "passed": state is ChallengeState.PASSED}
