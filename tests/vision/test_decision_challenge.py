"""The question of a visit: who is asked, who answers, and that an answer alone opens nothing."""

from dataclasses import replace

import numpy as np
import pytest

from tests.vision.doorstep import GOOD, POLICY, Door, evidence, serial, unusable
from vision import Ask, ChallengeState, Circumstances, DecisionPolicy, Lockout, Problem, Turn
from vision.decision.challenge import Asking
from vision.pad import HeadTurn, LightFlash

NAN = float("nan")
THERE_AND_BACK = (0.0, 0.0, 0.0, 0.2, 0.3, 0.2, 0.0, 0.0)
FACES = {name: np.eye(64, dtype=np.float32)[number] for number, name in enumerate(("anna", "ben"))}


def looking(yaw=0.0, who="anna", similarity=0.8, x=100.0, face=None, enrolled=True):
    """Show a face turned by `yaw` to its own left; no two pictures of it are the same."""
    noise = np.random.default_rng(next(serial)).normal(0, 0.05, 64).astype(np.float32)
    embedding = FACES[face or who] + noise
    embedding /= np.linalg.norm(embedding)
    points = np.array([[-20, -20], [20, -20], [40 * yaw, 3], [-15, 20], [15, 20]], np.float32)
    shown = evidence(who if enrolled else None, similarity, x=x, embedding=embedding)
    return replace(shown, face=replace(shown.face, landmarks=points + 90))


class Asked(Door):
    """A door that asks for a turn to the left, and puts its question immediately or never."""

    def __init__(self, policy=POLICY, *, puts=True, ask=None, **options):
        self.drawn = []
        super().__init__(policy, ask=self._draw, **options)
        self.puts = puts
        self.question = ask or Ask(turn=Turn.LEFT)

    def _draw(self):
        self.drawn.append(self.now)
        return self.question

    def see(self, *seen, **options):
        before = len(self.drawn)
        attempt = super().see(*seen, **options)
        if self.puts and len(self.drawn) > before and self.decider.asking is not None:
            self.decider.asking.put(self.now)
        return attempt

    def turn(self, yaws=THERE_AND_BACK, after=0.25, **options):
        """Show a face that turns; return how the visit ended, None while it has not."""
        for yaw in yaws:
            attempt = self.see(looking(yaw, **options), after=after)
            if attempt is not None:
                return attempt
        return None


@pytest.fixture
def door():
    return Asked()


# Who is asked, and when


@pytest.mark.parametrize(
    "shown",
    [
        looking,
        lambda: looking(similarity=0.1),
        lambda: looking(enrolled=False),
    ],
)
def test_whoever_comes_is_asked_at_the_first_usable_face(door, shown):
    door.see(unusable())
    assert door.drawn == []
    assert door.decider.asking is None
    door.see(shown())
    assert door.drawn == [door.now]
    assert door.decider.asking.ask is door.question


def test_an_old_or_repeated_frame_asks_nobody(door):
    door.see(looking(), age=2.5)
    door.see(looking(), digest=b"same", age=2.5)
    door.see(looking(), digest=b"same")
    assert door.drawn == []


def test_a_visit_is_asked_once_however_many_come(door):
    for _ in range(4):
        door.see(looking(), looking(who="ben", x=600.0))
    assert len(door.drawn) == 1


def test_nobody_is_asked_in_a_lockout():
    lockout = Lockout(POLICY)
    door = Asked(lockout=lockout)
    for _ in range(5):
        lockout.fail(door.now)
    for _ in range(5):
        door.see(looking())
    assert door.drawn == []
    assert door.refusal().problem is Problem.LOCKED_OUT


def shown_for(seconds, face):
    door = Asked(DecisionPolicy(attempts=100))
    while door.now < 1024 + seconds:
        door.see(face())
    return door.drawn


def test_when_somebody_is_asked_tells_nothing_of_who_they_are():
    """For everybody who does not answer; a judge that detects a picture changes nothing."""
    known = shown_for(100, looking)
    assert len(known) > 2
    assert known == shown_for(100, lambda: looking(similarity=0.1))
    assert known == shown_for(100, lambda: looking(enrolled=False))
    door = Asked(DecisionPolicy(attempts=100), judge=lambda _: Problem.NOT_LIVE)
    while door.now < 1124:
        door.see(looking())
    assert door.drawn == known


def test_the_wrong_answer_brings_the_next_question_no_sooner(door):
    assert door.turn([-yaw for yaw in THERE_AND_BACK]).problem is Problem.CHALLENGE_FAILED
    first = door.drawn[0]
    while len(door.drawn) == 1:
        door.see(looking())
    assert POLICY.ask_again <= door.now - first < POLICY.ask_again + 1


def test_who_left_is_asked_anew(door):
    door.see(looking())
    door.wait(POLICY.absence)
    door.see(looking())
    assert len(door.drawn) == 2


def test_nobody_is_asked_at_a_door_that_asks_nothing():
    door = Door()
    assert door.decider.asking is None
    door.see(looking())
    assert door.decider.asking is None


def test_who_was_let_in_is_asked_nothing_more(door):
    assert door.turn().granted
    door.see(looking())
    assert door.decider.asking is None
    assert len(door.drawn) == 1


def test_a_known_face_that_is_refused_at_once_is_asked_all_the_same():
    door = Asked(judge=lambda _: Problem.NOT_LIVE)
    while door.attempts == []:
        door.see(looking())
    assert door.decider.asking.is_open(door.now)


# Who answers


def test_a_turn_to_the_side_that_was_asked_for_opens(door):
    attempt = door.turn()
    assert attempt.granted
    assert attempt.person == "anna"


def test_the_other_side_is_denied_and_counts(door):
    attempt = door.turn([-yaw for yaw in THERE_AND_BACK])
    assert (attempt.person, attempt.problem) == ("anna", Problem.CHALLENGE_FAILED)
    assert door.decider.lockout.failures == 1
    assert door.turn() is None


def test_no_answer_is_denied_once_the_time_is_over(door):
    attempt = door.turn([0.0] * 40)
    assert attempt.problem is Problem.CHALLENGE_FAILED
    assert 6.0 < attempt.decided_at - door.drawn[0] < 7.0
    assert door.decider.lockout.failures == 1


def test_an_answer_opens_for_nobody_who_is_not_known(door):
    assert door.turn(similarity=0.3) is None
    assert door.refusal().problem is Problem.UNKNOWN_FACE


def test_a_turn_before_the_question_was_put_does_not_count():
    door = Asked(puts=False)
    door.turn(after=0.2)
    door.decider.asking.put(door.now)
    assert door.turn([0.0] * 40).problem is Problem.CHALLENGE_FAILED


def test_a_question_that_is_never_put_lets_nobody_in():
    door = Asked(puts=False)
    attempt = door.turn([0.0] * 60)
    assert attempt.problem is Problem.CHALLENGE_UNAVAILABLE
    assert door.now - door.drawn[0] > POLICY.put_within


def test_a_question_that_cannot_be_put_denies_at_once_and_counts():
    door = Asked(puts=False)
    door.see(looking())
    door.decider.asking.lose()
    attempt = door.turn([0.0] * 3)
    assert attempt.problem is Problem.CHALLENGE_UNAVAILABLE
    assert door.decider.lockout.failures == 1


def test_nobody_answers_for_another_in_their_place(door):
    """A helper turns their head where the picture of an enrolled person was, and will be."""
    door.see(looking(), after=0.25)
    door.see(looking(), after=0.25)
    for yaw in (0.2, 0.3, 0.2, 0.0):
        door.see(looking(yaw, face="ben", similarity=0.0), after=0.25)
    attempts = [door.see(looking(), after=0.25) for _ in range(30)]
    assert [a.problem for a in attempts if a] == [Problem.CHALLENGE_FAILED]


def test_whoever_else_is_enrolled_answers_only_for_themselves(door):
    for yaw in THERE_AND_BACK[:-1]:
        door.see(looking(yaw, who="ben"), after=0.25)
        if door.attempts:
            break
    assert [a.person for a in door.attempts] == ["ben"]
    other = Asked(DecisionPolicy(share=0.2))
    for yaw in THERE_AND_BACK[:5]:
        other.see(looking(yaw, who="ben"), after=0.25)
    other.see(looking(), after=0.25)
    for _ in range(3):
        other.see(looking(), after=0.25)
    while not other.attempts:
        other.see(looking(), after=0.25)
    assert [a.problem for a in other.attempts] == [Problem.CHALLENGE_FAILED]


def test_a_face_that_comes_later_answers_the_same_question(door):
    door.see(looking(similarity=0.1, x=900.0))
    assert door.turn(who="ben", after=0.2).granted
    assert len(door.drawn) == 1


def test_a_face_that_is_lost_begins_anew(door):
    door.turn(THERE_AND_BACK[:-2])
    attempts = [door.see(looking(x=600.0), after=0.25) for _ in range(30)]
    assert [a.problem for a in attempts if a] == [Problem.CHALLENGE_FAILED]


def test_old_or_repeated_frames_are_no_answer():
    """A frame that is served again may show a turn that was made for another question."""
    for options in ({"digest": b"again"}, {"age": 2.5}):
        door = Asked()
        door.turn(THERE_AND_BACK[:3])
        for yaw in (0.2, 0.3, 0.3, 0.2):
            door.see(looking(yaw), after=0.25, **options)
        assert door.turn([0.0] * 4) is None


def test_a_lost_camera_or_a_step_of_the_clock_drops_the_answer(door):
    door.turn(THERE_AND_BACK[:-2])
    assert door.decider.stop(Problem.CAMERA_LOST, door.now).problem is Problem.CAMERA_LOST
    assert door.decider.asking is None
    other = Asked()
    other.turn(THERE_AND_BACK[:-2])
    other.now -= 5
    assert other.see(looking(), after=0.0).problem is Problem.STALE_FRAMES
    assert other.turn([0.0] * 3) is None


# What an answer cannot replace


def test_the_judge_has_the_last_word():
    shown = []

    def judge(track):
        shown.append(len(track))
        return (
            Problem.NOT_LIVE if any(abs(e.face.landmarks[2, 0] - 90) > 1 for e in track) else None
        )

    door = Asked(judge=judge)
    assert door.turn().problem is Problem.NOT_LIVE
    assert len(shown) <= 3


def test_who_is_barred_learns_it_only_after_the_answer(door):
    door.circumstances = Circumstances({"anna": Problem.SUSPENDED})
    assert door.turn([0.0] * 5) is None
    assert door.turn([0.2, 0.3, 0.2, 0.0]).problem is Problem.SUSPENDED
    assert door.decider.lockout.failures == 0


def test_the_second_factor_is_waited_for_after_the_answer():
    door = Asked(DecisionPolicy(factor_wait=8.0))
    door.circumstances = Circumstances(factor_missing=True)
    assert door.turn([*THERE_AND_BACK, *[0.0] * 20]) is None
    door.circumstances = Circumstances()
    assert door.see(looking()).granted


def test_without_the_second_factor_the_answer_opens_nothing(door):
    door.circumstances = Circumstances(factor_missing=True)
    assert door.turn().problem is Problem.SECOND_FACTOR_MISSING


def test_a_quorum_from_before_the_turn_is_not_enough(door):
    """At the grant the agreeing frames must be as fresh as ever."""
    assert door.turn(THERE_AND_BACK[:-2]) is None
    assert door.see(looking(similarity=0.2), after=1.75) is None
    assert door.see(looking(), after=1.75) is None
    assert door.see(looking(), after=0.25) is None
    assert door.see(looking(), after=0.25).granted


def test_a_visit_with_a_question_ends_all_the_same():
    door = Asked(puts=False)
    while not door.attempts:
        door.see(looking(similarity=0.1))
    (attempt,) = door.attempts
    assert attempt.problem is Problem.UNKNOWN_FACE
    assert attempt.duration <= POLICY.put_within + POLICY.max_duration


def test_who_leaves_before_the_answer_is_refused_for_that(door):
    door.turn([0.0] * 5)
    assert door.refusal().problem is Problem.CHALLENGE_FAILED


# The question itself


def test_a_question_asks_for_something():
    with pytest.raises(ValueError, match="question"):
        Ask()


@pytest.mark.parametrize(
    ("ask", "patience"),
    [(Ask(Turn.LEFT), 6.0), (Ask(flash=True), 8.0), (Ask(Turn.RIGHT, flash=True), 8.0)],
)
def test_a_question_has_the_time_of_its_longest_part(ask, patience):
    asking = Asking(ask, 0.0, 10.0)
    asking.put(1.0)
    assert asking.is_open(1.0 + patience)
    assert not asking.is_open(1.01 + patience)


@pytest.mark.parametrize(
    ("ask", "kinds"),
    [
        (Ask(Turn.LEFT), [HeadTurn]),
        (Ask(flash=True), [LightFlash]),
        (Ask(Turn.LEFT, flash=True), [HeadTurn, LightFlash]),
    ],
)
def test_a_question_begins_all_its_challenges(ask, kinds):
    assert [type(one) for one in ask.begin(1.0, FACES["anna"])] == kinds


@pytest.mark.parametrize("late", [-0.1, 10.1, NAN, float("inf")])
def test_a_question_put_at_another_time_is_lost(late):
    asking = Asking(Ask(Turn.LEFT), 0.0, 10.0)
    asking.put(late)
    assert not asking.is_open(1.0)
    asking.put(1.0)
    assert not asking.is_open(1.0)
    assert asking.shortcoming is Problem.CHALLENGE_UNAVAILABLE


@pytest.mark.parametrize("at", [0.0, 10.0])
def test_a_question_is_put_once_and_in_time(at):
    asking = Asking(Ask(Turn.LEFT), 0.0, 10.0)
    asking.put(at)
    asking.put(at + 3.0)
    assert not asking.is_open(at + 7.0)
    assert asking.shortcoming is Problem.CHALLENGE_FAILED


def test_a_question_is_open_to_the_last_moment_and_not_before_it_was_asked():
    asking = Asking(Ask(Turn.LEFT), 5.0, 10.0)
    assert not asking.is_open(4.9)
    assert asking.is_open(15.0)
    assert not asking.is_open(15.1)
    assert not asking.is_open(NAN)
    asking.put(6.0)
    assert not asking.is_open(5.9)


class Scripted(Ask):
    """A question of several parts, each answered when the test says so."""

    parts = ()

    def begin(self, put_at, face):
        return self.parts


class Part:
    def __init__(self):
        self.state = ChallengeState.WAITING
        self.switches = []
        self.seen = 0

    def observe(self, seen, taken_at):
        self.seen += 1
        return self.state

    def tick(self, now):
        return self.state

    def switched(self, at, *, on):
        self.switches.append((at, on))


@pytest.fixture
def parts(monkeypatch):
    parts = (Part(), Part())
    monkeypatch.setattr(Scripted, "parts", parts)
    return parts


def test_all_that_is_asked_for_must_be_answered(parts):
    asking = Asking(Scripted(Turn.LEFT, flash=True), 0.0, 10.0)
    asking.put(0.5)
    asking.meet(1, "anna", FACES["anna"])
    assert asking.state(1, "anna", 1.0) is ChallengeState.WAITING
    parts[0].state = ChallengeState.PASSED
    assert asking.state(1, "anna", 1.0) is ChallengeState.WAITING
    parts[1].state = ChallengeState.PASSED
    assert asking.state(1, "anna", 1.0) is ChallengeState.PASSED
    assert asking.state(2, "anna", 1.0) is ChallengeState.WAITING
    assert asking.state(1, "ben", 1.0) is ChallengeState.WAITING
    # A challenge that passed stays passed, also while the second factor is awaited.
    assert asking.state(1, "anna", 60.0) is ChallengeState.PASSED
    parts[0].state = ChallengeState.FAILED
    assert asking.state(1, "anna", 1.0) is ChallengeState.FAILED


def test_a_light_that_fails_is_no_answer(parts):
    asking = Asking(Scripted(Turn.LEFT, flash=True), 0.0, 10.0)
    asking.put(0.5)
    asking.meet(1, "anna", FACES["anna"])
    parts[0].state = ChallengeState.PASSED
    asking.lose()
    assert asking.state(1, "anna", 1.0) is ChallengeState.FAILED
    assert asking.shortcoming is Problem.CHALLENGE_UNAVAILABLE


def test_a_face_that_comes_later_hears_of_all_switches(parts):
    asking = Asking(Scripted(flash=True), 0.0, 10.0)
    asking.put(0.5)
    asking.switched(1.0, on=True)
    asking.meet(1, "anna", FACES["anna"])
    asking.switched(2.0, on=False)
    asking.meet(1, "anna", FACES["anna"])
    assert parts[0].switches == [(1.0, True), (2.0, False)]


def test_only_the_frames_of_its_track_are_an_answer(parts):
    asking = Asking(Scripted(flash=True), 0.0, 10.0)
    asking.meet(1, "anna", FACES["anna"])
    asking.observe(1, evidence(quality=GOOD), 0.2)
    assert parts[0].seen == 0
    asking.put(0.5)
    asking.meet(1, "anna", FACES["anna"])
    asking.observe(2, evidence(), 1.0)
    assert parts[0].seen == 0
    asking.observe(1, evidence(), 1.0)
    assert parts[0].seen == 1
