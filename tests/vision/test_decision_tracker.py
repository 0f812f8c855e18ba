"""Faces are followed by where they are."""

import numpy as np
import pytest

from vision import Face
from vision.tracking.tracker import Tracker


def face(x=0.0, y=0.0, size=80.0):
    return Face((x, y, x + size, y + size), np.zeros((5, 2), np.float32), 0.9)


@pytest.fixture
def tracker():
    return Tracker(max_gap=2.0, max_shift=1.0, max_growth=2.0)


def test_a_face_keeps_its_number_where_it_moves_little(tracker):
    assert [tracker.assign([face(x)], t) for t, x in enumerate((0, 40, 110))] == [[0]] * 3


@pytest.mark.parametrize("along", ["x", "y"])
def test_a_move_of_a_faces_width_is_the_limit(tracker, along):
    tracker.assign([face()], 0.0)
    assert tracker.assign([face(**{along: 80.0})], 0.0) == [0]
    assert tracker.assign([face(**{along: -0.5})], 0.0) == [1]


def test_the_way_is_measured_in_both_directions_at_once(tracker):
    tracker.assign([face()], 0.0)
    assert tracker.assign([face(60.0, 60.0)], 0.0) == [1]


def test_the_way_is_measured_from_middle_to_middle_in_widths_of_the_larger(tracker):
    tracker.assign([face(0.0, 0.0, 80.0)], 0.0)
    # Middles 90 pixels apart, where the larger face is 100 wide.
    assert tracker.assign([face(80.0, -10.0, 100.0)], 0.0) == [0]
    assert tracker.assign([face(0.0, 0.0, 80.0)], 0.0) == [0]
    assert tracker.assign([face(90.5, -10.0, 100.0)], 0.0) == [1]


@pytest.mark.parametrize(("before", "after"), [(80.0, 160.0), (160.0, 80.0)])
def test_twice_the_size_is_the_limit(tracker, before, after):
    def centred(size):
        return face(100 - size / 2, 100 - size / 2, size)

    tracker.assign([centred(before)], 0.0)
    assert tracker.assign([centred(after)], 0.0) == [0]
    factor = 2.01 if after > before else 1 / 2.01
    assert tracker.assign([centred(after * factor)], 0.0) == [1]


@pytest.mark.parametrize("size", [0.0, -5.0])
def test_a_face_without_a_size_is_always_new(tracker, size):
    assert tracker.assign([face(size=size)], 0.0) == [0]
    assert tracker.assign([face(size=size)], 0.0) == [1]


@pytest.mark.parametrize(("gap", "number"), [(2.0, 0), (2.1, 1), (-2.0, 0), (-2.1, 1)])
def test_a_face_that_was_away_too_long_is_new(tracker, gap, number):
    tracker.assign([face()], 10.0)
    assert tracker.assign([face()], 10.0 + gap) == [number]


def test_a_time_that_is_no_number_ends_all_tracks(tracker):
    tracker.assign([face()], 0.0)
    assert tracker.assign([face()], float("nan")) == [1]
    assert tracker.assign([face()], 0.0) == [2]


def test_a_face_not_in_the_frame_is_remembered_for_the_gap(tracker):
    tracker.assign([face(0.0), face(500.0)], 0.0)
    assert tracker.assign([face(500.0)], 1.0) == [1]
    assert tracker.assign([face(500.0), face(0.0)], 2.0) == [1, 0]
    tracker.assign([face(500.0)], 3.9)
    assert tracker.assign([face(500.0), face(0.0)], 4.1) == [1, 2]


def test_the_nearest_face_keeps_the_number(tracker):
    tracker.assign([face(0.0)], 0.0)
    assert tracker.assign([face(60.0), face(20.0)], 0.1) == [1, 0]


def test_the_nearest_track_gives_the_number(tracker):
    tracker.assign([face(0.0), face(50.0)], 0.0)
    assert tracker.assign([face(20.0)], 0.1) == [0]


def test_near_is_measured_in_widths(tracker):
    tracker.assign([face(0.0, 0.0, 80.0)], 0.0)
    # Middles 30 pixels apart at a width of 80, and 40 at a width of 140.
    assert tracker.assign([face(30.0), face(10.0, -30.0, 140.0)], 0.1) == [1, 0]


def test_a_face_of_one_pixel_is_followed(tracker):
    assert tracker.assign([face(size=1.0)], 0.0) == [0]
    assert tracker.assign([face(size=1.0)], 0.1) == [0]


def test_two_faces_of_one_frame_are_two(tracker):
    tracker.assign([face(0.0), face(50.0)], 0.0)
    assert tracker.assign([face(50.0), face(0.0)], 0.1) == [1, 0]
    assert tracker.assign([face(20.0), face(25.0), face(30.0)], 0.2) == [0, 2, 1]


@pytest.mark.parametrize(
    ("after", "number"),
    [
        (face(96.0), 0),
        (face(96.5), 1),
        (face(-32.0, -32.0, 144.0), 0),
        (face(-32.5, -32.5, 145.0), 1),
    ],
)
def test_at_the_door_a_face_moves_and_grows_by_little_between_frames(after, number):
    tracker = Tracker(max_gap=2.0)
    tracker.assign([face()], 0.0)
    assert tracker.assign([after], 0.0) == [number]
