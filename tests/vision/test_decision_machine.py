"""Random events against the oracle: from Hypothesis, which shrinks failures, and at random.

FACE_LOCK_EVENTS sets how many, for example 5000000 for a night; `python -m
tests.vision.drive_decision --events 5000000` also prints how visits ended.
"""

import os

from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.vision.doorstep import GOOD, evidence, stack
from tests.vision.drive_decision import EMBEDDINGS, PEOPLE, POLICIES, drive
from tests.vision.oracle import BARRED, FAKE, NOD, PLACES_APART, SHAKE, Oracle
from vision import Circumstances, Match, Problem, Sighting

EVENTS = int(os.environ.get("FACE_LOCK_EVENTS", "20000"))
NAN = float("nan")
MEAN = ("anna", 0.8, ("anna", 0.8), ("anna", 0.8))
"""Whom a stack and its halves resemble."""

means = st.builds(
    lambda wrong, who, score, older, newer: (wrong, who, score, older, newer),
    st.sampled_from(["none"] * 6 + ["turned", "twice", "before", "after", "few", "another place"]),
    st.sampled_from(PEOPLE),
    st.sampled_from([0.499, 0.5, 0.8, 0.8, NAN]),
    *[st.tuples(st.sampled_from(PEOPLE), st.sampled_from([0.374, 0.375, 0.8, NAN]))] * 2,
)

faces = st.builds(
    lambda who, score, other, problem, picture, live, at, look: (
        at,
        who,
        score,
        other,
        problem,
        picture,
        live,
        look,
    ),
    st.sampled_from(["anna", "anna", "ben", None]),
    st.sampled_from([0.1, 0.499, 0.5, 0.8, 0.8, NAN, 7.0]),
    st.sampled_from([-1.0, -1.0, 0.46, 0.5, NAN]),
    st.sampled_from([None, None, None, Problem.BLURRED]),
    st.integers(0, 40),
    st.sampled_from([GOOD, GOOD, GOOD, NOD, SHAKE, FAKE]),
    st.sampled_from([0, 30]),
    st.sampled_from([None, None, ("none", *MEAN), ("another place", *MEAN), ("before", *MEAN)]),
)


class DoorMachine(RuleBasedStateMachine):
    @initialize(policy=st.sampled_from(POLICIES), asks=st.booleans())
    def begin(self, policy, asks):
        self.now = 1024.0
        self.oracle = Oracle(policy, self.now, asks=asks)
        self.circumstances = Circumstances()
        self.frames = 0
        self.times = {place: [] for place in range(3)}

    @rule(
        shown=st.dictionaries(st.integers(0, 2), faces, max_size=2),
        after=st.sampled_from([0.125, 0.25, 0.5, 1.5, 3.0]),
        age=st.sampled_from([0.0, 0.25, 0.25, 2.5, -1.0, NAN]),
        digest=st.sampled_from([None, None, None, b"a", b"b"]),
    )
    def see(self, shown, after, age, digest):
        self.now += after
        self.frames += 1
        for place, face in shown.items():
            if face[4] is None:
                self.times[place].append(self.now - age)
        seen = tuple(
            evidence(
                who,
                score,
                x=place * PLACES_APART + at,
                problem=problem,
                embedding=EMBEDDINGS[picture],
                runner_up=other,
                quality=live,
                look=None if look is None else self.look(place, self.now - age, *look),
            )
            for place, (at, who, score, other, problem, picture, live, look) in shown.items()
        )
        name = digest or str(self.frames).encode()
        self.oracle.observe(Sighting(name, self.now - age, seen), self.now, self.circumstances)

    @rule(
        who=st.sampled_from(PEOPLE),
        picture=st.integers(0, 36),
        place=st.integers(0, 2),
        answer=st.sampled_from([GOOD, NOD]),
    )
    def come_closer(self, who, picture, place, answer):
        """Show a person well for as long as a quorum takes, which is rare at random."""
        for number in range(4):
            face = (0, who, 0.8, -1.0, None, picture + number, GOOD if number < 3 else answer, None)
            self.see({place: face}, 0.25, 0.0, None)
            if number == 0 and answer is NOD:
                self.ask(0.0)

    @rule(
        picture=st.integers(0, 2000),
        place=st.integers(0, 2),
        looks=st.lists(means, min_size=1, max_size=3),
        frames=st.integers(7, 12),
        by_itself=st.sampled_from([0.1, 0.1, 0.499, 0.8]),
    )
    def come_in_the_dark(self, picture, place, looks, frames, by_itself):
        """Show a face whose stacks may say what its frames do not, or vice versa."""
        for number in range(frames):
            look = looks[number % len(looks)]
            face = (0, "anna", by_itself, -1.0, None, picture + number, GOOD, look)
            self.see({place: face}, 0.25, 0.0, None)

    def look(self, place, taken_at, wrong, who, score, older, newer):
        """Stack the frames of the last seconds, rightly or with something wrong."""
        before = {at for at in self.times[place] if taken_at - 3.0 <= at < taken_at}
        times = [*sorted(before)[-9:], taken_at]
        others = [at for other in self.times if other != place for at in self.times[other]]
        match wrong:
            case "turned":
                times.reverse()
            case "twice":
                times.insert(0, times[0])
            case "before":
                times.insert(0, taken_at - 3.5)
            case "after":
                times.append(taken_at + 0.25)
            case "few":
                times = times[-3:]
            case "another place":
                times = sorted({*times, *others[-2:]})
        return stack(times, who, score, older=Match(*older), newer=Match(*newer))

    @precondition(lambda self: self.oracle.decider.asking is not None)
    @rule(after=st.sampled_from([0.0, 0.0, 0.0, -1.0, NAN]))
    def ask(self, after):
        self.oracle.put(self.now + after)

    @precondition(lambda self: self.oracle.decider.asking is not None)
    @rule()
    def cannot_ask(self):
        self.oracle.lose()

    @rule(seconds=st.sampled_from([0.0, 0.5, 2.0, 11.0, 40.0, -5.0, NAN, float("-inf")]))
    def wait(self, seconds):
        if not (0 <= seconds < float("inf")):
            self.oracle.tick(self.now + seconds)
        else:
            self.now += seconds
            self.oracle.tick(self.now)

    @rule(
        barred=st.dictionaries(st.sampled_from(PEOPLE), st.sampled_from(BARRED), max_size=2),
        missing=st.booleans(),
    )
    def circumstances_change(self, barred, missing):
        self.circumstances = Circumstances(barred, factor_missing=missing)

    @rule()
    def circumstances_clear(self):
        self.circumstances = Circumstances()

    @rule(times=st.integers(1, 6))
    def wrong_codes(self, times):
        for _ in range(times):
            self.oracle.wrong_code(self.now)

    @rule()
    def owner_clears(self):
        self.oracle.clear()

    @precondition(lambda self: self.oracle.decider.in_visit)
    @rule(why=st.sampled_from([Problem.STOPPED, Problem.CAMERA_LOST]))
    def stop(self, why):
        self.oracle.stop(self.now, why)

    @precondition(lambda self: self.oracle.last_grant is not None)
    @rule(
        problem=st.sampled_from([None, Problem.LOCK_FAILED, Problem.LOCK_TIMEOUT]),
        momentary=st.booleans(),
    )
    def hear_of_the_lock(self, problem, momentary):
        self.oracle.outcome(problem, momentary=momentary)

    @rule()
    def door_opens(self):
        self.oracle.open_door(self.now)

    @rule()
    def door_closes(self):
        self.oracle.close_door(self.now)

    @rule()
    def restart(self):
        self.oracle.restart(self.now)


DoorMachine.TestCase.settings = settings(
    max_examples=max(20, EVENTS // 200),
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestDoorMachine = DoorMachine.TestCase


def test_random_events_break_no_promise(capsys):
    total, broken = drive(EVENTS, seed=5)
    assert broken == 0, capsys.readouterr().err
    if EVENTS < 20000:
        return
    # What is checked did occur.
    ends = {"granted", "unknown_face", "not_live", "locked_out", "second_factor_missing"}
    ends |= {"too_few_frames", "stopped", "static_picture", "stale_frames", "suspended"}
    ends |= {"challenge_failed", "challenge_unavailable", "stacked", "hosted", "tried_again"}
    assert ends <= {reason for reason, count in total.items() if count}
