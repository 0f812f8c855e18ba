"""A face in poor light is judged by the mean of its frames instead of the last one."""

from itertools import pairwise

import numpy as np
import pytest

from tests.vision.doorstep import (
    LOOSE,
    POINT,
    POLICY,
    THRESHOLDS,
    Door,
    evidence,
    random_embedding,
    stack,
    unusable,
)
from vision import DecisionPolicy, Match, Problem
from vision.tracking.stacking import FEWEST

NAN = float("nan")
EVERY = 0.25
FADED = 0.2
"""What a frame in the dark says about its person by itself."""
OTHER = 600.0
"""Another place at the door."""
SLACK = POINT.threshold - LOOSE.threshold


class Night(Door):
    """A door in the dark, where single frames say little and their stacks a lot."""

    def __init__(self, policy=POLICY, **options):
        super().__init__(policy, **options)
        self.times: dict[float, list[float]] = {100.0: [], OTHER: []}
        """Place -> when its usable frames were taken."""

    @property
    def coming(self):
        """When the next frame will be taken."""
        return self.now + EVERY

    def face(self, times=None, *, by_itself=FADED, x=100.0, embedding=None, **resembling):
        """Make the face of the next frame; its stack is of `times`, or of the latest frames."""
        self.times[x].append(self.coming)
        look = stack(self.times[x][-10:] if times is None else times, **resembling)
        return evidence("anna", by_itself, x=x, embedding=embedding, look=look)

    def stacked(self, times=None, **options):
        return self.see(self.face(times, **options), after=EVERY, age=0.0)

    def dark(self, number, *, x=100.0, by_itself=FADED):
        """Show this many frames of a face without a stack."""
        for _ in range(number):
            self.times[x].append(self.coming)
            attempt = self.see(evidence(similarity=by_itself, x=x), after=EVERY, age=0.0)
        return attempt

    def frames_to_open(self, most=30, **options):
        """Show stacks until the door opens; return how many it took, or None."""
        shown = (number for number in range(1, most + 1) if self.stacked(**options) is not None)
        number = next(shown, None)
        return number if number is not None and self.attempts[-1].granted else None


@pytest.fixture
def night():
    return Night()


# What a stack does


def test_stacks_let_in_whom_no_frame_shows(night):
    night.dark(FEWEST - 1)
    assert [night.stacked() for _ in range(POLICY.quorum - 1)] == [None] * 2
    attempt = night.stacked()
    assert attempt.granted
    assert attempt.person == "anna"
    assert attempt.agreeing == 3
    assert attempt.confidence == THRESHOLDS.confidence(0.8)


def test_who_comes_in_is_whom_the_stack_resembles(night):
    night.dark(FEWEST - 1)
    for _ in range(POLICY.quorum):
        attempt = night.stacked(person="ben", by_itself=0.9)
    assert (attempt.granted, attempt.person) == (True, "ben")


def test_the_weakest_stack_says_how_sure_it_was(night):
    night.dark(FEWEST - 1)
    for similarity in (0.9, 0.6, 0.8):
        attempt = night.stacked(similarity=similarity)
    assert attempt.confidence == THRESHOLDS.confidence(0.6)


def test_a_stack_at_the_threshold_opens_and_one_below_does_not(night):
    night.dark(FEWEST - 1)
    below = float(np.nextafter(POINT.threshold, 0))
    assert night.frames_to_open(8, similarity=below) is None
    night = Night()
    night.dark(FEWEST - 1)
    assert night.frames_to_open(similarity=POINT.threshold) == 3


def test_a_stack_that_is_nearly_as_much_another_person_s_is_nobody_s(night):
    night.dark(FEWEST - 1)
    assert night.frames_to_open(12, runner_up=0.76) is None
    assert night.refusal().problem is Problem.AMBIGUOUS


def test_one_picture_of_which_each_frame_has_a_stack_of_its_own_is_one_vote(night):
    night.dark(FEWEST - 1)
    frozen = random_embedding()
    assert night.frames_to_open(12, embedding=frozen) is None
    assert night.refusal().problem is Problem.STATIC_PICTURE


# Each frame is one try: never the better of both


def test_a_frame_that_matches_does_not_count_where_its_stack_does_not(night):
    night.dark(FEWEST - 1)
    assert night.frames_to_open(20, similarity=0.3, by_itself=0.9) is None
    assert night.refusal().problem is Problem.UNKNOWN_FACE


def test_a_frame_that_does_not_match_does_not_count_against_its_stack():
    door = Night(DecisionPolicy(share=1.0, quorum=4))
    # Frames that are votes by themselves, so that only what follows could lower the share.
    door.dark(FEWEST - 1, by_itself=0.8)
    assert door.stacked(by_itself=-0.9).granted


def test_stacks_of_one_frame_each_are_counted_once():
    door = Night(DecisionPolicy(quorum=4))
    door.dark(FEWEST - 1)
    # If the frame and its stack were two tries or two votes, two or three would be enough.
    assert door.frames_to_open(by_itself=0.8) == 4


@pytest.mark.parametrize("unstacked", [4, 6, 8])
def test_stacks_must_be_half_of_all_tries(unstacked):
    door = Night(DecisionPolicy(max_duration=20.0))
    door.dark(unstacked)
    assert door.frames_to_open() == max(POLICY.quorum, unstacked)


def test_stacks_of_a_stranger_lower_the_share():
    door = Night(DecisionPolicy(max_duration=20.0))
    door.dark(FEWEST - 1)
    for _ in range(5):
        assert door.stacked(similarity=0.4) is None
    assert door.frames_to_open() == 8


def test_bright_frames_after_dark_ones_count_by_themselves(night):
    night.dark(FEWEST - 1)
    night.stacked()
    assert night.dark(1, by_itself=0.7) is None
    attempt = night.dark(1, by_itself=0.9)
    assert attempt.granted
    assert attempt.confidence == THRESHOLDS.confidence(0.7)


# Invalid stacks: of frames that this face did not show here and now


def foreign(night):
    return [*[at - EVERY / 2 for at in night.times[100.0][-5:]], night.coming]


def one_foreign(night):
    first, *rest = [*night.times[100.0][-5:], night.coming]
    return [first + EVERY / 2, *rest]


def of_another_track(night):
    return [*night.times[OTHER][-5:], night.coming]


def repeated(night):
    latest = [*night.times[100.0][-4:], night.coming]
    return [latest[0], *latest]


def the_same_all_over(night):
    return [night.coming] * 6


def turned_round(night):
    return [night.coming, *reversed(night.times[100.0][-5:])]


def shuffled(night):
    a, b, *rest = [*night.times[100.0][-5:], night.coming]
    return [b, a, *rest]


def too_few(night):
    return [*night.times[100.0][-(FEWEST - 2) :], night.coming]


def too_wide(night):
    every = [*night.times[100.0], night.coming]
    wide = [at for at in every if every[-1] - at > POLICY.window]
    return [wide[-1], *every[-4:]]


def without_its_own_frame(night):
    return night.times[100.0][-6:]


def from_the_future(night):
    return [*night.times[100.0][-4:], night.coming, night.coming + EVERY]


def that_are_no_numbers(night):
    return [NAN, *night.times[100.0][-4:], night.coming]


def all_no_numbers(_):
    return [NAN] * 6


def nothing(_):
    return []


NO_STACKS = [
    foreign, one_foreign, of_another_track, repeated, the_same_all_over, turned_round, shuffled,
    too_few, too_wide, without_its_own_frame, from_the_future, that_are_no_numbers, all_no_numbers,
    nothing,
]  # fmt: skip


@pytest.mark.parametrize("times", NO_STACKS)
def test_a_stack_of_other_frames_than_its_own_does_not_count(times):
    def settled():
        night = Night(DecisionPolicy(max_duration=60.0))
        for number in range(16):
            # Another person passes, at other times.
            night.dark(1, x=OTHER if number % 4 == 1 else 100.0)
        return night

    night = settled()
    assert all(night.stacked(times(night)) is None for _ in range(20))
    assert night.refusal().problem is Problem.UNKNOWN_FACE
    # Then the frame counts by itself, also for the person.
    night = settled()
    shown = [night.stacked(times(night), similarity=0.1, by_itself=0.9) for _ in range(20)]
    assert any(attempt is not None and attempt.granted for attempt in shown)
    # The same frames in good order do open.
    night = settled()
    assert night.frames_to_open() is not None


def shown_before(night, see):
    """Show usable frames, one of them by `see`, then stacks of them all until the door opens."""
    night.dark(2)
    night.times[100.0].append(night.coming)
    see(night)
    spoilt = night.now
    night.dark(2)
    return night.frames_to_open(), spoilt


@pytest.mark.parametrize(
    "see",
    [
        pytest.param(lambda night: night.see(unusable(), after=EVERY, age=0.0), id="unusable"),
        pytest.param(
            lambda night: night.see(evidence(similarity=FADED, x=OTHER), after=EVERY, age=0.0),
            id="in another place",
        ),
        pytest.param(
            lambda night: night.see(
                evidence(similarity=FADED), after=EVERY, age=0.0, digest=b"seen before"
            ),
            id="repeated",
        ),
        pytest.param(lambda night: night.see(after=EVERY, age=0.0), id="nobody in it"),
    ],
)
def test_no_stack_counts_that_a_frame_which_is_none_is_in(see):
    door = Night(DecisionPolicy(max_duration=20.0))
    # The picture that will be repeated, of an empty doorstep.
    door.see(digest=b"seen before")
    door.see(evidence(similarity=FADED), after=EVERY, age=0.0, digest=b"seen before")
    opened, spoilt = shown_before(door, see)
    assert opened is not None
    # Ten frames after it, it has left the stacks.
    votes = [vote.taken_at for vote in door.decider._guests._holds["anna"].visit.votes]
    assert min(votes) >= spoilt + 10 * EVERY


def test_no_stack_counts_that_a_stale_frame_is_in():
    door = Night(DecisionPolicy(max_duration=20.0, max_age=0.5, absence=8.0))
    door.dark(4)
    stale_at = door.coming - 0.75
    stale = [at for at in door.times[100.0] if at < stale_at]
    door.see(evidence(similarity=FADED), after=EVERY, age=0.75)
    assert door.frames_to_open(12, times=[*stale, stale_at]) is None
    for _ in range(6):
        assert door.stacked([stale_at, *door.times[100.0][-5:], door.coming]) is None
    assert door.frames_to_open() is not None


def test_no_stack_reaches_back_to_the_visit_before(night):
    while not night.attempts:
        night.dark(1)
    # The face stays, and a new visit has begun, of which it has shown little.
    (refused,) = night.attempts
    assert not refused.granted
    begun = night.decider._visit
    assert begun is None or begun.started_at >= refused.decided_at
    night.frames_to_open()
    votes = [vote.taken_at for vote in night.decider._guests._holds["anna"].visit.votes]
    assert len(votes) >= POLICY.quorum
    first = next(
        at for at in night.times[100.0]
        if night.times[100.0][max(0, night.times[100.0].index(at) - 9)] >= refused.decided_at
    )  # fmt: skip
    assert min(votes) >= first


def test_a_stale_frame_has_no_stack(night):
    night.dark(6)
    for _ in range(6):
        night.times[100.0].append(night.coming - 2.5)
        assert night.see(night.face([*night.times[100.0][-6:]]), after=EVERY, age=2.5) is None
    assert night.decider._visit.votes == []


# Halves


@pytest.mark.parametrize("half", ["older", "newer"])
@pytest.mark.parametrize(
    "said",
    [
        Match("ben", 0.9),
        Match("anna", float(np.nextafter(LOOSE.threshold, -1))),
        Match("anna", -2.9),
        Match("anna", NAN),
        Match("ben", NAN),
    ],
)
def test_a_half_that_is_not_the_person_pulls_the_stack_down(night, half, said):
    night.dark(FEWEST - 1)
    # The frame does not count in its place either.
    assert night.frames_to_open(16, by_itself=0.9, similarity=1.0, **{half: said}) is None
    assert night.refusal().problem is Problem.UNKNOWN_FACE


def test_halves_at_the_loosest_row_are_enough_for_the_threshold_and_no_more(night):
    night.dark(FEWEST - 1)
    half = Match("anna", LOOSE.threshold)
    assert night.frames_to_open(similarity=0.9, older=half, newer=half) == 3
    assert night.attempts[-1].confidence == THRESHOLDS.confidence(POINT.threshold)


@pytest.mark.parametrize("half", ["older", "newer"])
def test_the_worse_half_counts_and_no_half_makes_a_stack_better(night, half):
    night.dark(FEWEST - 1)
    night.stacked(similarity=0.9, **{half: Match("anna", 0.5)})
    night.stacked(similarity=0.9, **{half: Match("anna", 1.0)})
    assert night.stacked(similarity=0.9).confidence == THRESHOLDS.confidence(0.5 + SLACK)
    night = Night()
    night.dark(FEWEST - 1)
    better = Match("anna", 1.0)
    assert night.frames_to_open(9, similarity=0.45, older=better, newer=better) is None


def test_a_stack_of_a_mixed_face_is_still_a_try():
    door = Night(DecisionPolicy(max_duration=20.0))
    door.dark(FEWEST - 1)
    for _ in range(5):
        door.stacked(older=Match("ben", 0.9))
    assert door.frames_to_open() == 8


# Values that are not numbers


@pytest.mark.parametrize("value", [NAN, float("inf"), float("-inf"), 1.5])
def test_a_stack_that_resembles_nothing_known_never_opens(night, value):
    night.dark(FEWEST - 1)
    good = Match("anna", 0.9)
    shown = night.frames_to_open(16, similarity=value, older=good, newer=good, by_itself=0.9)
    assert shown is None
    assert night.refusal().problem is Problem.UNKNOWN_FACE


def test_a_runner_up_that_is_not_a_number_makes_a_stack_ambiguous(night):
    night.dark(FEWEST - 1)
    assert night.frames_to_open(12, runner_up=NAN) is None
    assert night.refusal().problem is Problem.AMBIGUOUS


# Two people in view


def test_the_stacks_of_two_faces_are_told_apart_by_their_tracks(night):
    for _ in range(FEWEST - 1):
        faces = [night.face([], x=x) for x in (100.0, OTHER)]
        night.see(*faces, after=EVERY, age=0.0)
    for number in range(4):
        # Only the face at the other place is anybody's.
        known = night.face(x=OTHER, person="ben")
        nobody = night.face(similarity=0.1)
        attempt = night.see(nobody, known, after=EVERY, age=0.0)
        assert (attempt is not None) == (number == 2) or number > 2
    assert [(a.granted, a.person) for a in night.attempts] == [(True, "ben")]


def test_times_of_a_quorum_rise(night):
    night.dark(FEWEST - 1)
    night.frames_to_open()
    votes = [vote.taken_at for vote in night.decider._guests._holds["anna"].visit.votes]
    assert all(before < after for before, after in pairwise(votes))
