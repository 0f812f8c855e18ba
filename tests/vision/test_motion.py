"""The gate opens for what moves, and for nothing else."""

import numpy as np
import pytest

from vision import GateSettings, MotionGate

SETTINGS = GateSettings(hold=5.0)


class Door:
    """A 96x128 view of a door, seen by a noisy camera once a second."""

    def __init__(self, rng, noise=2.0):
        self.rng = rng
        self.noise = noise
        self.now = 100.0
        self.scene = np.tile(np.linspace(60, 160, 128), (96, 1))
        self.gate = MotionGate(SETTINGS)

    def see(self, scene=None, seconds=1.0):
        self.now += seconds
        picture = (self.scene if scene is None else scene) + self.rng.normal(
            0, self.noise, self.scene.shape
        )
        return self.gate.update(np.clip(picture, 0, 255).astype(np.uint8), self.now)

    def with_person(self, column=40, height=70):
        scene = self.scene.copy()
        scene[-height:, column : column + 25] = 30
        return scene

    def settle(self, seconds=30):
        for _ in range(seconds):
            self.see()
        assert not self.gate.is_open(self.now)


@pytest.fixture
def door(rng):
    return Door(rng)


def test_opens_at_the_first_frame_because_somebody_may_be_there_already(door):
    assert door.see().open


def test_closes_after_the_hold_and_stays_closed_on_a_still_scene(door):
    door.see()
    motions = [door.see() for _ in range(120)]
    assert [m.open for m in motions[:4]] == [True] * 4
    assert not any(m.open for m in motions[5:])


def test_opens_for_a_person(door):
    door.settle()
    motion = door.see(door.with_person())
    assert motion.open
    assert motion.level > 0.05


def test_stays_open_while_a_face_is_in_view_however_still(door):
    door.settle()
    for _ in range(120):
        door.see(door.with_person())
        door.gate.keep_open(door.now)
        assert door.gate.is_open(door.now)
    door.now += SETTINGS.hold
    assert not door.gate.is_open(door.now)


def test_a_parked_car_becomes_background_and_its_leaving_is_motion(door):
    door.settle()
    parked = door.with_person()
    for _ in range(200):
        door.see(parked)
    assert not door.gate.is_open(door.now)
    assert door.see().open


@pytest.mark.parametrize("change", [-40, 30])
def test_a_change_of_light_over_the_whole_picture_is_not_motion(door, change):
    door.settle()
    assert not door.see(door.scene + change).open


def test_grain_of_a_night_picture_is_learnt_as_noise_and_a_person_still_seen(rng):
    night = Door(rng, noise=9.0)
    for _ in range(200):
        night.see()
    assert not any(night.see().open for _ in range(100))
    assert night.see(night.with_person()).open


def test_motion_does_not_teach_the_gate_to_ignore_motion(door):
    door.settle()
    for second in range(60):
        door.see(door.with_person(column=second % 100))
    for _ in range(20):
        door.see()
    assert not door.gate.is_open(door.now)
    assert door.see(door.with_person(column=50)).open


def test_many_visits_to_one_place_do_not_blind_the_gate(door):
    door.settle()
    for _ in range(30):
        assert door.see(door.with_person()).open
        for _ in range(9):
            door.see(door.with_person())
        for _ in range(20):
            door.see()
    assert door.see(door.with_person()).level > 0.05


def test_another_resolution_starts_anew_and_open(door):
    door.settle()
    motion = door.gate.update(np.zeros((96, 72), dtype=np.uint8), door.now)
    assert motion.open


def test_a_clock_that_stands_still_or_goes_back_breaks_nothing(door):
    door.settle()
    door.see(seconds=0.0)
    assert door.see(door.with_person(), seconds=-50.0).open


def test_where_something_changed() -> None:
    gate = MotionGate()
    grey = np.full((96, 170), 100, dtype=np.uint8)
    assert gate.update(grey, 0.0).where is None
    changed = grey.copy()
    changed[24:72, 85:119] = 160
    changed[3, 3] = 255  # a pixel alone is noise
    left, top, right, bottom = gate.update(changed, 1.0).where
    assert (left * 170, top * 96, right * 170, bottom * 96) == pytest.approx((85, 24, 119, 72))
    assert gate.update(grey, 2.0).where is None


def test_whoever_comes_after_a_crowd_is_noticed() -> None:
    gate = MotionGate()
    rng = np.random.default_rng(3)
    empty = np.full((96, 170), 100, dtype=np.uint8)
    gate.update(empty, 0.0)
    for second in range(1, 601):
        crowd = empty.copy()
        for left in rng.integers(0, 130, 6):
            crowd[20:, left : left + 40] = rng.integers(20, 240)
        gate.update(crowd, float(second))
    for second in range(601, 631):
        quiet = gate.update(empty, float(second))
    assert not quiet.open
    somebody = empty.copy()
    somebody[30:, 70:100] = 160
    assert gate.update(somebody, 631.0).open
