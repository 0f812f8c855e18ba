"""A decider with a clock, and made-up faces for it."""

import itertools

import numpy as np

from vision import (
    CLEAR,
    AccessAttempt,
    Decider,
    DecisionPolicy,
    Evidence,
    Face,
    FaceQuality,
    Look,
    Match,
    OperatingPoint,
    Problem,
    Sighting,
    Thresholds,
)

POLICY = DecisionPolicy()
POINT = OperatingPoint(1e-4, 0.5, 0.0, 1e-4, True, 0.98)
LOOSE = OperatingPoint(1e-3, 0.375, 0.0, 1e-3, True, 0.99)
THRESHOLDS = Thresholds([LOOSE, POINT], slope=20.0, offset=-8.0)
GOOD = FaceQuality(80, 120, 200)
serial = itertools.count()


def random_embedding():
    vector = np.random.default_rng(next(serial)).normal(size=64).astype(np.float32)
    return np.append(vector / np.linalg.norm(vector), np.float32(0.0))


def evidence(
    person="anna",
    similarity=0.8,
    *,
    x=100.0,
    problem=None,
    embedding=None,
    runner_up=-1.0,
    quality=GOOD,
    look=None,
):
    """One face, 80 pixels wide, at `x`; without a `person` nobody is enrolled."""
    face = Face((x, 50, x + 80, 130), np.zeros((5, 2), np.float32), 0.9)
    if problem is not None:
        return Evidence(face, quality, problem=problem)
    match = None if person is None else Match(person, similarity, runner_up)
    if embedding is None:
        embedding = random_embedding()
    return Evidence(face, quality, embedding=embedding, match=match, look=look)


def stack(times, person="anna", similarity=0.8, *, older=None, newer=None, runner_up=-1.0):
    """Whom the mean of the frames of these times resembles, and both halves by default."""
    match = Match(person, similarity, runner_up)
    return Look(match, older or match, newer or match, tuple(times))


class Door:
    """A decider with a clock of its own, a power of two so that short times add up exactly."""

    def __init__(self, policy=POLICY, **options):
        self.now = 1024.0
        self.decider = Decider(policy, THRESHOLDS, POINT, **options)
        self.circumstances = CLEAR
        self.attempts: list[AccessAttempt] = []

    def see(self, *seen, after=0.4, age=0.1, digest=None):
        self.now += after
        digest = digest or str(next(serial)).encode()
        sighting = Sighting(digest, self.now - age, tuple(seen))
        return self._note(self.decider.observe(sighting, self.now, self.circumstances))

    def wait(self, seconds):
        self.now += seconds
        return self._note(self.decider.tick(self.now))

    def visit(self, *seen, frames=3, after=0.4):
        """Show the same people in this many frames, then nobody; return the visit's attempt."""
        before = len(self.attempts)
        for _ in range(frames):
            self.see(*(make() for make in seen), after=after)
        self.wait(POLICY.absence)
        (attempt,) = self.attempts[before:]
        return attempt

    def refusal(self):
        """Empty the door; return the refusal of its only visit."""
        self.wait(POLICY.absence)
        (attempt,) = self.attempts
        assert not attempt.granted
        return attempt

    def _note(self, attempt):
        if attempt is not None:
            self.attempts.append(attempt)
        return attempt


def stranger():
    return evidence(similarity=0.2)


def unusable():
    return evidence(problem=Problem.BLURRED)
