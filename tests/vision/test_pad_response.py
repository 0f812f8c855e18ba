"""The challenges: what passes, what fails, and that time alone never makes one pass."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from vision.pad import ChallengeState, HeadTurn, LightFlash, Turn
from vision.pad.view import SIDE
from vision.types import Cues, Evidence, Face, FaceQuality, View

WAITING, PASSED, FAILED = ChallengeState.WAITING, ChallengeState.PASSED, ChallengeState.FAILED
QUALITY = FaceQuality(80, 120, 500)
ME = np.array([1, 0, 0], np.float32)
OTHER = np.array([0, 1, 0], np.float32)
BOX = (80.0, 76.0, 112.0, 116.0)


def looking(yaw, who=ME):
    """Evidence of a face whose nose is `yaw` to the viewer's right (eyes to mouth: 1)."""
    points = np.array([[-20, -20], [20, -20], [40 * yaw, 3], [-15, 20], [15, 20]], np.float32)
    return Evidence(Face(BOX, points + 96, 0.9), QUALITY, embedding=who)


def play(challenge, yaws, start=100.0, step=0.2, who=ME):
    return [
        challenge.observe(looking(yaw, who), start + step * (i + 1)) for i, yaw in enumerate(yaws)
    ][-1]


THERE_AND_BACK = [0.0, 0.01, 0.02, 0.12, 0.3, 0.35, 0.2, 0.05]


@pytest.mark.parametrize(("asked", "sign"), [(Turn.LEFT, 1), (Turn.RIGHT, -1)])
def test_a_turn_there_and_back_passes(asked, sign):
    challenge = HeadTurn(asked, 100.0, ME)
    assert play(challenge, [sign * yaw for yaw in THERE_AND_BACK[:-1]]) is WAITING
    assert challenge.observe(looking(0.05 * sign), 101.8) is PASSED
    # It stays so.
    assert challenge.tick(1e9) is PASSED


@pytest.mark.parametrize(("asked", "sign"), [(Turn.LEFT, -1), (Turn.RIGHT, 1)])
def test_the_other_way_fails_at_once_and_for_good(asked, sign):
    challenge = HeadTurn(asked, 100.0, ME)
    assert play(challenge, [sign * yaw for yaw in THERE_AND_BACK]) is FAILED
    assert play(challenge, [-sign * yaw for yaw in THERE_AND_BACK], start=102.0) is FAILED


@pytest.mark.parametrize(
    "yaws",
    [
        [0.0] * 20,  # a still picture
        [0.02, -0.03, 0.05, 0.09, -0.05, 0.02] * 3,  # a person who looks around a little
        THERE_AND_BACK[:-2],  # there, and not back
        [0.35, 0.35, 0.2, 0.05, 0.0, 0.0],  # turned before, only back
    ],
)
def test_no_turn_is_no_answer_and_time_fails_it(yaws):
    challenge = HeadTurn(Turn.LEFT, 100.0, ME)
    assert play(challenge, yaws) is WAITING
    assert challenge.tick(105.9) is WAITING
    assert challenge.tick(106.1) is FAILED


def test_a_turn_from_before_the_question_does_not_count():
    challenge = HeadTurn(Turn.LEFT, 100.0, ME)
    assert play(challenge, THERE_AND_BACK, start=97.0) is WAITING
    assert play(challenge, [0.0, 0.0, 0.01], start=100.0) is WAITING


def test_nobody_else_answers_for_the_one_who_was_asked():
    challenge = HeadTurn(Turn.LEFT, 100.0, ME)
    for who in (OTHER, None):
        assert play(challenge, THERE_AND_BACK, who=who) is WAITING
    challenge = HeadTurn(Turn.LEFT, 100.0, ME)
    play(challenge, [0.0, 0.0])
    play(challenge, [0.3, 0.35], start=100.6, who=OTHER)
    assert play(challenge, [0.05], start=101.2) is WAITING


def test_one_frame_is_no_turn():
    challenge = HeadTurn(Turn.LEFT, 100.0, ME)
    assert play(challenge, [0.0, 0.0, 0.3, 0.0, 0.0]) is WAITING
    assert play(challenge, [0.3, 0.0], start=101.2) is PASSED


def test_who_turns_before_the_question_can_be_heard_fails():
    challenge = HeadTurn(Turn.LEFT, 100.0, ME)
    assert play(challenge, [0.0, 0.0, 0.3], step=0.05) is FAILED


@pytest.mark.parametrize("late", [106.5, float("nan"), float("inf")])
def test_late_or_timeless_frames_do_not_pass(late):
    challenge = HeadTurn(Turn.LEFT, 100.0, ME)
    play(challenge, THERE_AND_BACK[:-1])
    assert challenge.observe(looking(0.0), late) is FAILED


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-0.045, 0.045), st.floats(-1, 3)), max_size=60))
def test_a_face_that_hardly_turns_never_passes(frames):
    challenge = HeadTurn(Turn.RIGHT, 0.0, ME)
    for yaw, at in frames:
        assert challenge.observe(looking(yaw), at) is not PASSED


def lit(stops, noise=0.0, wall=60, who=ME):
    """Evidence of a face `stops` brighter than the wall behind it."""
    grey = np.full((SIDE, SIDE), wall, np.uint8)
    linear = (wall / 255) ** 2.2 * 2.0 ** (stops + noise)
    grey[33:63, 36:60] = min(round(255 * linear ** (1 / 2.2)), 255)
    view = View(grey, (0.0, 0.0), 2.0, (0, 0, SIDE, SIDE))
    return Evidence(
        Face((72.0, 66.0, 120.0, 126.0), np.zeros((5, 2)), 0.9),
        QUALITY,
        embedding=who,
        cues=Cues(view),
    )


SWITCHES = [(1.0, True), (2.1, False), (3.0, True), (4.2, False)]


def flash(stops_of, switches=SWITCHES, seconds=5.5, seed=0, who=ME):
    rng = np.random.default_rng(seed)
    challenge = LightFlash(0.0, ME)
    pending = list(switches)
    on, state = False, WAITING
    for number in range(1, int(seconds * 5) + 1):
        at = number * 0.2
        while pending and pending[0][0] <= at:
            moment, on = pending.pop(0)
            challenge.switched(moment, on=on)
        state = challenge.observe(lit(stops_of(at, on), rng.normal(0, 0.04), who=who), at)
    return challenge, state


def test_a_face_that_answers_the_light_passes():
    assert flash(lambda at, on: 1.0 + 0.5 * on)[1] is PASSED


@pytest.mark.parametrize("who", [OTHER, None])
def test_no_other_face_answers_the_light(who):
    assert flash(lambda at, on: 1.0 + 0.5 * on, who=who)[1] is WAITING


@pytest.mark.parametrize(
    "stops_of",
    [
        lambda at, on: 1.0,  # a screen
        lambda at, on: 1.0 + 0.03 * on,  # a screen's reflection
        lambda at, on: 1.5 - 0.5 * on,  # the background answers, the face does not
        lambda at, on: 1.0 + 0.15 * at,  # coming nearer
        lambda at, on: 1.0 + 0.5 * (at > 2.5),  # a lamp that was switched on once
        lambda at, on: 1.0 + 0.5 * (int(at / 0.7) % 2),  # a video that flashes by itself
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_what_does_not_answer_does_not_pass(stops_of, seed):
    challenge, state = flash(stops_of, seed=seed)
    assert state is WAITING
    assert challenge.tick(8.1) is FAILED


def test_an_answer_needs_two_flashes_and_a_light_that_was_switched():
    assert flash(lambda at, on: 1.0 + 0.5 * on, SWITCHES[:1])[1] is WAITING
    assert flash(lambda at, on: 1.0 + 0.5 * (1 < at < 2), [])[1] is WAITING


def test_frames_without_cues_or_out_of_time_say_nothing():
    challenge = LightFlash(0.0, ME)
    blind = Evidence(Face(BOX, np.zeros((5, 2)), 0.9), QUALITY, embedding=ME)
    assert challenge.observe(blind, 0.5) is WAITING
    assert challenge.observe(lit(1.0), 0.4) is WAITING
    assert challenge.observe(lit(1.0), float("nan")) is FAILED
