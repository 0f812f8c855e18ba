"""A proven face is not enough if the circumstances, the other factor or liveness forbid it."""

from dataclasses import replace

import numpy as np
import pytest

from tests.vision.doorstep import (
    POINT,
    POLICY,
    THRESHOLDS,
    Door,
    evidence,
    random_embedding,
    stranger,
    unusable,
)
from vision import CLEAR, MIN_SCORE, Circumstances, DecisionPolicy, FaceQuality, Problem, Sighting

MISSING = Circumstances(factor_missing=True)
WAITING = DecisionPolicy(factor_wait=8.0)


@pytest.fixture
def door():
    return Door()


# People who may not come in now


@pytest.mark.parametrize("problem", [Problem.SUSPENDED, Problem.OUTSIDE_SCHEDULE, Problem.EXPIRED])
def test_a_barred_person_is_denied_at_once_and_named(door, problem):
    door.circumstances = Circumstances({"anna": problem})
    for similarity in (0.7, 0.6, 0.9):
        attempt = door.see(evidence(similarity=similarity))
    assert (attempt.granted, attempt.problem, attempt.person) == (False, problem, "anna")
    assert attempt.confidence == THRESHOLDS.confidence(0.6)
    assert attempt.agreeing == 3
    assert door.decider.lockout.failures == 0


def test_others_may_come_in(door):
    door.circumstances = Circumstances({"anna": Problem.SUSPENDED})
    for _ in range(3):
        attempt = door.see(evidence("ben"))
    assert attempt.granted


def test_two_frames_of_a_barred_person_name_nothing(door):
    door.circumstances = Circumstances({"anna": Problem.SUSPENDED})
    door.see(evidence())
    door.see(evidence())
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES


def test_who_is_denied_at_once_may_try_again_after_a_while_or_another_visit(door):
    door.circumstances = Circumstances({"anna": Problem.EXPIRED})
    for _ in range(3):
        door.see(evidence(), after=0.25)
    denied_at = door.now
    door.circumstances = Circumstances()
    while door.now < denied_at + POLICY.max_duration - 0.25:
        assert door.see(evidence(), after=0.25) is None
        assert not door.decider.in_visit
    # From here on the same face is examined again, and has to prove itself again.
    assert door.see(evidence(), after=0.25) is None
    assert door.decider.in_visit
    assert door.see(evidence(), after=0.25) is None
    assert door.see(evidence(), after=0.25).granted


def test_who_is_denied_and_comes_back_is_looked_at_at_once(door):
    door.circumstances = Circumstances({"anna": Problem.EXPIRED})
    for _ in range(3):
        door.see(evidence())
    door.circumstances = Circumstances()
    door.wait(POLICY.absence)
    for _ in range(3):
        attempt = door.see(evidence())
    assert attempt.granted


def test_a_denied_face_does_not_keep_others_out(door):
    door.circumstances = Circumstances({"eve": Problem.SUSPENDED})
    for _ in range(8):
        door.see(evidence("eve", x=0.0), evidence("anna", x=500.0))
    assert [(a.person, a.problem) for a in door.attempts] == [
        ("eve", Problem.SUSPENDED),
        ("anna", None),
    ]


# The second factor


def test_a_missing_factor_is_a_denial_and_a_failure(door):
    door.circumstances = MISSING
    for _ in range(3):
        attempt = door.see(evidence())
    assert (attempt.person, attempt.problem) == ("anna", Problem.SECOND_FACTOR_MISSING)
    assert door.decider.lockout.failures == 1
    # It is not a free try: given now, the factor opens nothing for a person who stayed.
    door.circumstances = Circumstances()
    assert [door.see(evidence()) for _ in range(5)] == [None] * 5


def test_being_barred_says_more_than_a_missing_factor(door):
    door.circumstances = Circumstances({"anna": Problem.EXPIRED}, factor_missing=True)
    for _ in range(3):
        attempt = door.see(evidence())
    assert attempt.problem is Problem.EXPIRED
    assert door.decider.lockout.failures == 0


def test_a_quorum_waits_for_the_factor_and_opens_with_fresh_frames():
    door = Door(WAITING)
    door.circumstances = MISSING
    for _ in range(16):
        assert door.see(evidence()) is None
    door.circumstances = Circumstances()
    attempt = door.see(evidence(similarity=0.7))
    assert attempt.granted
    assert attempt.evidence_at == pytest.approx(door.now - 0.1)
    assert attempt.confidence == THRESHOLDS.confidence(0.7)


def test_the_factor_opens_nothing_for_who_has_turned_away():
    door = Door(WAITING)
    door.circumstances = MISSING
    for _ in range(3):
        door.see(evidence())
    door.circumstances = Circumstances()
    # Another face, or an unreadable one, does not enter on what was proven before.
    assert door.see(evidence("eve", 0.1, x=600.0)) is None
    assert door.see(unusable()) is None
    assert door.see(evidence()).granted


def test_the_factor_is_waited_for_so_long_and_no_longer():
    door = Door(WAITING)
    door.circumstances = MISSING
    door.see(evidence(), after=0.25)
    door.see(evidence(), after=0.25)
    door.see(evidence(), after=0.25)
    waiting_since = door.now
    while door.now < waiting_since + WAITING.factor_wait - 0.25:
        assert door.see(evidence(), after=0.25) is None
    attempt = door.see(evidence(), after=0.25)
    assert (attempt.person, attempt.problem) == ("anna", Problem.SECOND_FACTOR_MISSING)
    assert door.decider.lockout.failures == 1


def test_waiting_may_outlast_a_visit_without_proof():
    door = Door(DecisionPolicy(factor_wait=60.0))
    door.circumstances = MISSING
    for _ in range(100):
        assert door.see(evidence()) is None
    door.circumstances = Circumstances()
    assert door.see(evidence()).granted


def test_who_leaves_without_giving_the_factor_lacked_it():
    door = Door(WAITING)
    door.circumstances = MISSING
    for _ in range(3):
        door.see(evidence())
    assert door.refusal().problem is Problem.SECOND_FACTOR_MISSING
    assert door.decider.lockout.failures == 1


def test_who_gave_the_factor_and_left_was_not_without_it():
    door = Door(WAITING)
    door.circumstances = MISSING
    for _ in range(3):
        door.see(evidence())
    door.circumstances = Circumstances()
    door.see(unusable())
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES


def test_who_was_not_proven_lacks_more_than_the_factor(door):
    door.circumstances = MISSING
    door.see(evidence())
    door.see(evidence())
    assert door.refusal().problem is Problem.TOO_FEW_FRAMES


# Liveness


class Judge:
    def __init__(self, answer=None):
        self.answer = answer
        self.asked: list[tuple] = []

    def __call__(self, shown):
        self.asked.append(tuple(shown))
        return self.answer


def test_a_judge_that_objects_ends_the_visit_and_counts():
    door = Door(judge=Judge(Problem.NOT_LIVE))
    for _ in range(3):
        attempt = door.see(evidence())
    assert (attempt.person, attempt.problem) == ("anna", Problem.NOT_LIVE)
    assert door.decider.lockout.failures == 1
    assert [door.see(evidence()) for _ in range(5)] == [None] * 5


def test_a_judge_that_does_not_object_grants_nothing_by_itself():
    door = Door(judge=Judge())
    assert not door.visit(stranger).granted


def test_liveness_is_said_before_anything_about_the_person():
    door = Door(judge=Judge(Problem.NOT_LIVE))
    door.circumstances = Circumstances({"anna": Problem.EXPIRED}, factor_missing=True)
    for _ in range(3):
        attempt = door.see(evidence())
    assert attempt.problem is Problem.NOT_LIVE


def test_the_judge_is_asked_once_the_quorum_is_complete_with_the_faces_own_evidence():
    judge = Judge()
    door = Door(DecisionPolicy(absence=8.0), judge=judge)
    early = evidence()
    door.see(early)
    door.see(unusable(), after=1.9)
    own = [evidence(quality=FaceQuality(80, 120, n)) for n in range(3)]
    door.see(own[0], evidence("eve", 0.1, x=600.0), after=1.9)
    door.see(unusable())
    door.see(evidence(), digest=b"again", age=5.0)  # too old
    door.see(own[1], digest=b"twice")
    door.see(evidence(), digest=b"twice")  # the same frame
    assert judge.asked == []
    door.see(own[2])
    assert judge.asked == [(own[0], own[1], own[2])]


def test_frames_that_did_not_vote_are_not_judged():
    """A person's own face, shown before a picture, must not supply what the picture lacks."""
    judge = Judge()
    door = Door(judge=judge)
    for _ in range(3):
        door.see(evidence(similarity=0.1))
    votes = [evidence() for _ in range(3)]
    for vote in votes:
        door.see(vote)
    assert judge.asked == [tuple(votes)]


def test_the_judge_is_given_evidence_in_order_of_time():
    judge = Judge()
    door = Door(judge=judge)
    shown = [evidence() for _ in range(3)]
    door.see(shown[1], after=0.5, age=0.125)
    door.see(shown[0], after=0.25, age=1.0)
    door.see(shown[2], after=0.5)
    assert judge.asked == [(shown[0], shown[1], shown[2])]


@pytest.fixture
def waiting():
    """A door at which a judged face waits for the second factor, and its judge."""
    judge = Judge()
    door = Door(WAITING, judge=judge)
    door.circumstances = MISSING
    for _ in range(3):
        door.see(evidence())
    assert len(judge.asked) == 1
    return door, judge


def test_a_face_that_waits_is_judged_twice_in_each_window(waiting):
    door, judge = waiting
    for _ in range(11):
        door.see(evidence(), after=0.125)
    assert len(judge.asked) == 1
    door.see(evidence(), after=0.125)
    assert len(judge.asked) == 2
    judge.answer = Problem.NOT_LIVE
    for _ in range(11):
        assert door.see(evidence(), after=0.125) is None
    assert door.see(evidence(), after=0.125).problem is Problem.NOT_LIVE


def test_a_grant_is_judged_by_what_was_shown_until_then(waiting):
    door, judge = waiting
    door.see(evidence())
    assert len(judge.asked) == 1
    judge.answer = Problem.NOT_LIVE
    door.circumstances = CLEAR
    last = evidence()
    assert door.see(last).problem is Problem.NOT_LIVE
    assert judge.asked[-1][-1] is last


def test_who_is_barred_while_waiting_is_judged_at_once(waiting):
    door, judge = waiting
    judge.answer = Problem.NOT_LIVE
    door.circumstances = Circumstances({"anna": Problem.EXPIRED}, factor_missing=True)
    assert door.see(evidence()).problem is Problem.NOT_LIVE


def test_who_waited_too_long_is_judged_once_more(waiting):
    door, judge = waiting
    door.see(evidence(), after=1.5)
    asked = len(judge.asked)
    while door.attempts == []:
        door.see(evidence(), after=0.25)
    judged = len(judge.asked) - asked
    assert judged <= WAITING.factor_wait / (WAITING.window / 2) + 1
    assert door.attempts[0].problem is Problem.SECOND_FACTOR_MISSING


def test_each_face_is_judged_by_itself(waiting):
    door, judge = waiting
    door.see(evidence(), evidence("ben", x=600.0), after=0.25)
    door.see(evidence(), evidence("ben", x=600.0), after=0.25)
    door.see(evidence(), evidence("ben", x=600.0), after=0.25)
    assert len(judge.asked) == 2


# Not known to be either


def frames(door, count=3, **options):
    return [door.see(evidence(**options)) for _ in range(count)][-1]


def test_a_runner_up_above_the_threshold_is_ambiguous(door):
    frames(door, 6, similarity=0.9, runner_up=POINT.threshold)
    attempt = door.refusal()
    assert (attempt.problem, attempt.person) == (Problem.AMBIGUOUS, "anna")
    assert door.decider.lockout.failures == 1


def test_a_runner_up_below_the_threshold_and_far_enough_is_not(door):
    runner_up = np.nextafter(POINT.threshold, 0)
    assert frames(door, similarity=0.9, runner_up=runner_up).granted


def test_the_margin_itself_is_enough_and_a_hair_less_is_not():
    policy = DecisionPolicy(margin=0.125)
    assert frames(Door(policy), similarity=0.5, runner_up=0.375).granted
    door = Door(policy)
    assert frames(door, similarity=0.5, runner_up=np.nextafter(0.375, 1)) is None
    assert door.refusal().problem is Problem.AMBIGUOUS


@pytest.mark.parametrize("runner_up", [float("nan"), float("inf")])
def test_a_runner_up_that_is_no_number_is_ambiguous(door, runner_up):
    assert frames(door, runner_up=runner_up) is None


def test_a_stranger_is_unknown_and_not_ambiguous(door):
    frames(door, similarity=0.49, runner_up=0.48)
    assert door.refusal().problem is Problem.UNKNOWN_FACE


@pytest.mark.parametrize("similarity", [1.5, float("inf"), float("-inf"), float("nan")])
def test_what_is_no_score_is_no_similarity(door, similarity):
    frames(door, 6, similarity=similarity)
    attempt = door.refusal()
    assert attempt.problem is Problem.UNKNOWN_FACE
    assert attempt.confidence == THRESHOLDS.confidence(MIN_SCORE)


def test_a_cosine_may_be_one_but_for_rounding(door):
    assert frames(door, similarity=1.0000002).granted


def test_an_embedding_that_is_no_number_opens_nothing(door):
    broken = np.full(64, np.nan, np.float32)
    for _ in range(6):
        door.see(evidence(embedding=broken))
    assert not any(a.granted for a in door.attempts)


def test_a_match_without_an_embedding_is_no_vote(door):
    for _ in range(6):
        door.see(replace(evidence(), embedding=None))
    assert door.refusal().problem is Problem.UNKNOWN_FACE


def test_frames_as_alike_as_a_frozen_one_are_one():
    door = Door(DecisionPolicy(same_frame=0.75))
    # The crowding, which follows the direction, is not part of what they show.
    first, second = np.zeros((2, 65), np.float32)
    first[0], second[0] = 1.0, 0.75
    first[-1], second[-1] = 0.1, 0.9
    door.see(evidence(embedding=first))
    door.see(evidence(embedding=second))
    assert door.see(evidence()) is None
    second = second.copy()
    second[0] = 0.74
    assert door.see(evidence(embedding=second)).granted


# The share of a face's frames


def test_half_of_a_faces_usable_frames_must_agree(door):
    for _ in range(4):
        door.see(evidence(similarity=0.3), after=0.25)
    for _ in range(3):
        assert door.see(evidence(), after=0.25) is None
    assert door.see(evidence(), after=0.25).granted


def test_unusable_stale_and_repeated_frames_are_no_tries():
    # With such a long absence that an old frame does not end a track.
    door = Door(DecisionPolicy(absence=8.0, max_duration=20.0))
    for _ in range(4):
        door.see(unusable(), after=0.125)
        door.see(evidence(similarity=0.3), after=0.125, age=5.0)
        door.see(evidence(similarity=0.3), after=0.125, digest=b"same")
    frozen = random_embedding()
    door.see(evidence(embedding=frozen), after=0.125)
    for _ in range(4):
        door.see(evidence(embedding=frozen), after=0.125)
    door.see(evidence(), after=0.125)
    assert door.see(evidence(), after=0.125).granted


def test_ambiguous_frames_are_tries(door):
    for _ in range(4):
        door.see(evidence(runner_up=0.6), after=0.25)
    assert frames(door) is None
    assert door.see(evidence(), after=0.25).granted


def test_another_faces_frames_are_its_own(door):
    for _ in range(3):
        door.see(evidence("anna", x=0.0), evidence("eve", 0.1, x=600.0))
    assert door.attempts[0].granted


def test_votes_for_two_people_are_not_added_up():
    door = Door(DecisionPolicy(quorum=2, window=1.0))
    door.see(evidence("ben"), after=0.25, age=0.0)
    door.see(evidence(similarity=0.1), after=0.25, age=0.0)
    door.see(evidence(similarity=0.1), after=0.25, age=0.0)
    # Ben's vote has left the window by now, and does not count in Anna's share.
    door.see(evidence("anna"), after=1.0, age=0.0)
    assert door.see(evidence("anna"), after=0.25, age=0.0) is None
    assert door.see(evidence("anna"), after=0.25, age=0.0).granted


# The same presence


def test_who_was_let_in_and_moves_about_is_not_let_in_again(door):
    frames(door)
    for x in (100.0, 400.0, 700.0, 1000.0, 100.0, 400.0):
        for _ in range(3):
            door.see(evidence(x=x), after=0.5)
    assert len(door.attempts) == 1


def test_a_stranger_who_takes_the_place_does_not_hold_the_visit(door):
    frames(door)
    for _ in range(30):
        door.see(evidence("eve", 0.2, x=600.0))
    assert [a.problem for a in door.attempts] == [None, Problem.UNKNOWN_FACE]


def test_within_the_cool_down_only_who_left_is_let_in_again():
    door = Door(DecisionPolicy(cool_down=30.0))
    frames(door)
    opened_at = door.now
    # She turns away for longer than a visit waits, while another person stands there.
    for _ in range(6):
        door.see(evidence("eve", 0.2, x=600.0), after=0.5)
    for _ in range(6):
        door.see(evidence("eve", 0.2, x=600.0), evidence(), after=0.5)
    assert len(door.attempts) == 1
    for _ in range(100):
        if len(door.attempts) > 1 and door.attempts[-1].granted:
            break
        door.see(evidence("eve", 0.2, x=600.0), evidence(), after=0.5)
    assert door.now - opened_at >= 30.0
    assert all(a.problem is Problem.UNKNOWN_FACE for a in door.attempts[1:-1])


def test_who_left_is_let_in_again_at_once(door):
    frames(door)
    door.wait(POLICY.absence)
    assert frames(door).granted


def test_another_person_is_let_in_within_the_cool_down(door):
    frames(door)
    for _ in range(9):
        door.see(evidence("ben", x=600.0))
    assert [a.person for a in door.attempts] == ["anna", "ben"]


# Time


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_no_number_is_none(door, now):
    door.see(evidence())
    door.see(evidence())
    assert door.decider.observe(Sighting(b"x", now, (evidence(),)), now) is None
    assert door.decider.tick(now) is None
    # Nothing is lost, and nothing stalls.
    assert door.see(evidence()).granted


def test_a_clock_that_steps_back_starts_everything_anew(door):
    door.see(evidence())
    door.see(evidence())
    attempt = door.see(evidence(), after=-500.0)
    assert attempt.problem is Problem.STALE_FRAMES
    assert attempt.duration == 0.0
    assert door.decider.lockout.failures == 0
    # The frame that came in that moment cannot be dated either.
    assert door.see(evidence()) is None
    assert door.see(evidence()) is None
    assert door.see(evidence()).granted
    # A decided visit is over as well, without a second attempt.
    assert door.wait(-500.0) is None
    assert not door.decider.in_visit


def test_a_clock_that_steps_back_opens_nothing_twice():
    door = Door(DecisionPolicy(cool_down=20.0))
    frames(door)
    stepped_at = door.now - 500.0
    door.wait(-500.0)
    while len(door.attempts) == 1 or not door.attempts[-1].granted:
        door.see(evidence(), after=0.5)
        assert door.now - stepped_at <= 22.0
    assert door.now - stepped_at >= 20.0


def test_a_denial_does_not_outlast_a_step_back(door):
    door.circumstances = Circumstances({"anna": Problem.EXPIRED})
    frames(door)
    door.circumstances = Circumstances()
    door.wait(-500.0)
    assert frames(door).granted


def test_a_denial_does_not_outlast_a_small_step_back_either(door):
    door.circumstances = Circumstances({"anna": Problem.EXPIRED})
    frames(door)
    door.circumstances = Circumstances()
    door.wait(-0.5)
    assert frames(door).granted


def test_a_host_is_in_view_from_the_grant_until_they_left(door):
    assert door.decider.is_hosting is False
    door.see(evidence())
    assert door.decider.is_hosting is False
    door.see(evidence())
    door.see(evidence())
    assert door.decider.is_hosting is True
    door.wait(POLICY.absence)
    assert door.decider.is_hosting is False


def test_stopping_at_a_time_that_is_no_number_makes_no_nonsense(door):
    door.see(evidence())
    attempt = door.decider.stop(Problem.STOPPED, float("nan"))
    assert attempt.duration == 0.0


def test_stopping_says_when(door):
    door.see(evidence())
    assert door.decider.stop(Problem.STOPPED, door.now + 1.0).duration == 1.0


# The limits themselves; times are sums of powers of two, so that they are exact


def test_a_quorum_may_take_just_the_window(door):
    door.see(evidence(), after=0.5, age=0.0)
    door.see(evidence(), after=1.5, age=0.0)
    assert door.see(evidence(), after=1.5, age=0.0).granted


def test_the_judge_is_shown_just_the_window():
    judge = Judge()
    door = Door(judge=judge)
    shown = [evidence() for _ in range(3)]
    door.see(shown[0], after=0.5, age=0.0)
    door.see(unusable(), after=1.0, age=0.0)
    door.see(shown[1], after=1.0, age=0.0)
    door.see(shown[2], after=1.0, age=0.0)
    assert len(judge.asked[0]) == 3


def test_a_visit_without_proof_lasts_just_so_long(door):
    door.see(stranger(), after=0.5)
    for _ in range(9):
        door.see(stranger(), after=1.0)
    assert door.attempts == []
    assert door.see(after=1.0).problem is Problem.UNKNOWN_FACE


def test_the_cool_down_lasts_just_so_long():
    door = Door(DecisionPolicy(quorum=1, cool_down=4.0))
    eve = {"similarity": 0.2, "x": 600.0}
    assert door.see(evidence(), evidence("eve", **eve), after=0.5).granted
    for _ in range(5):
        door.see(evidence("eve", **eve), after=0.5)
    door.see(evidence("eve", **eve), evidence(), after=0.5)
    assert door.see(evidence("eve", **eve), evidence(), after=0.5) is None
    assert door.see(evidence("eve", **eve), evidence(), after=0.5).granted


def test_who_moved_within_the_cool_down_is_followed_after_it():
    door = Door(DecisionPolicy(cool_down=2.0))
    frames(door)
    for _ in range(40):
        door.see(evidence(x=600.0))
    assert len(door.attempts) == 1


def test_votes_of_another_track_are_no_share(door):
    door.see(evidence(x=0.0), after=0.25)
    door.see(evidence(x=0.0), after=0.25)
    for _ in range(4):
        door.see(evidence(similarity=0.1, x=600.0), after=0.25)
    for _ in range(3):
        assert door.see(evidence(x=600.0), after=0.25) is None
    assert door.see(evidence(x=600.0), after=0.25).granted


def test_the_last_4096_frames_are_known_again():
    from vision import SeenFrames

    frames = SeenFrames()
    names = [str(number).encode() for number in range(4097)]
    assert [frames.known(name) for name in names[:4096]] == [False] * 4096
    assert frames.known(names[0]) is True
    assert frames.known(names[4096]) is False
    assert frames.known(names[1]) is True
    assert frames.known(names[0]) is False
