"""The mean of a face's frames: of a single face, recent, and clearer than each frame."""

import itertools

import numpy as np
import pytest

from vision import Face, FaceQuality, align
from vision.tracking.stacking import (
    BRIGHT,
    FEWEST,
    MOST,
    REACH,
    SAME_FACE,
    WINDOW,
    Stacker,
    offset,
    resemblance,
    shifted,
)

NOISE = 16.0
DARK, LIGHT = FaceQuality(80, 40, 200), FaceQuality(80, BRIGHT, 200)
ROWS, COLUMNS = np.mgrid[0:112, 0:112]


def blob(down, right, height, width):
    return np.exp(-(((ROWS - down) / height) ** 2) - ((COLUMNS - right) / width) ** 2)


def drawn(*, beard=False, headband=False):
    """Draw a face in poor light: an oval, eyes, a nose, a mouth, and features of its own."""
    grey = 8 + 50 * blob(60, 56, 50, 38)
    for eye in (38, 74):
        grey -= 20 * blob(52, eye, 4, 8) + 25 * blob(52, eye, 2, 2) + 20 * blob(43, eye, 1.5, 10)
    grey += 12 * blob(66, 56, 14, 4)
    grey -= 15 * blob(92, 56, 4, 14) + 25 * blob(92, 56, 1, 12)
    # Fine lines across the brow, which need registration.
    grey -= 12 * np.maximum(np.sin(ROWS * 0.55), 0) * blob(30, 56, 8, 22)
    grey -= 60 * beard * blob(98, 56, 20, 34)
    grey += 60 * headband * blob(24, 56, 14, 40)
    return np.clip(grey[:, :, np.newaxis] * (1.0, 0.85, 0.7), 0, 255).astype(np.float32)


ANNA, BEN = drawn(), drawn(beard=True, headband=True)


def noisy(clean, rng, *, down=0, right=0, noise=NOISE):
    """Take a frame: moved by this many pixels, with a sensor's noise."""
    moved = shifted(clean, down, right) + rng.normal(0, noise, clean.shape)
    return np.clip(np.round(moved), 0, 255).astype(np.uint8)


def face(x=100.0, width=80.0):
    return Face((x, 50, x + width, 50 + width), np.zeros((5, 2), np.float32), 0.9)


def error(picture, clean):
    """Root mean square error within the face, without a difference in brightness."""
    inner = (picture.astype(np.float32) - clean)[16:96, 24:88]
    return float((inner - inner.mean()).std())


def shows(stack, clean):
    """Whether all means of a stack show this face, and nothing of the other."""
    other = BEN if clean is ANNA else ANNA
    means = [one.astype(np.float32) for one in (stack.whole, stack.older, stack.newer)]
    return all(resemblance(m, clean) > 0.97 and resemblance(m, other) < 0.92 for m in means)


class Camera:
    """Takes frames of several places with a stacker; every frame differs."""

    def __init__(self, rng):
        self.rng = rng
        self.stacker = Stacker()
        self.now = 16.0
        self.serial = itertools.count()

    def film(self, clean=ANNA, *, after=0.25, quality=DARK, x=100.0, digest=None, **moved):
        """Show one face, which is unreadable if `quality` is None."""
        crop = None if quality is None else (noisy(clean, self.rng, **moved), quality)
        return self.show((face(x), crop), after=after, digest=digest)[0]

    def show(self, *shown, after=0.25, digest=None):
        self.now += after
        faces, crops = zip(*shown, strict=True) if shown else ((), ())
        digest = digest or str(next(self.serial)).encode()
        return self.stacker.add(faces, crops, self.now, digest)

    def several(self, number, clean=ANNA, **options):
        return [self.film(clean, **options) for _ in range(number)][-1]


@pytest.fixture
def camera(rng):
    return Camera(rng)


# What it is for


def test_noise_falls_with_the_root_of_the_number_of_frames(camera):
    single = error(noisy(ANNA, camera.rng), ANNA)
    for number in range(1, MOST + 3):
        stack = camera.film()
        if number < FEWEST:
            assert stack is None
            continue
        frames = min(number, MOST)
        assert len(stack.taken_at) == frames
        halves = (stack.whole, frames), (stack.older, frames // 2), (stack.newer, -(-frames // 2))
        for picture, of in halves:
            assert (picture.dtype, picture.shape) == (np.uint8, (112, 112, 3))
            # Black clips some of a frame's noise, and rounding adds some to the mean.
            assert error(picture, ANNA) == pytest.approx(single / of**0.5, rel=0.15)


def test_frames_of_a_face_that_moves_are_laid_on_each_other(camera):
    moves = [(0, 0), (2, -1), (-3, 2), (1, 3), (-2, -3), (3, 1), (-1, -2), (0, 3), (2, 2), (-3, 0)]
    frames = []
    for down, right in moves:
        frames.append(noisy(ANNA, camera.rng, down=down, right=right, noise=NOISE / 2))
        stack = camera.show((face(), (frames[-1], DARK)))[0]
    assert len(stack.taken_at) == MOST
    registered = error(stack.whole, ANNA)
    assert registered < 0.5 * min(error(frame, ANNA) for frame in frames)
    assert registered < 0.85 * error(np.mean(frames, axis=0), ANNA)


def test_a_brighter_frame_weighs_more(camera):
    flat = {40: np.full((112, 112, 3), 40.0, np.float32), 80: np.full((112, 112, 3), 80.0)}
    for brightness in (40, 40, 80, 80):
        quality = FaceQuality(80, brightness, 200)
        stack = camera.film(ANNA + flat[brightness].astype(np.float32), quality=quality)
    level = (ANNA + 40).mean(), (ANNA + 80).mean()
    assert stack.whole.mean() == pytest.approx((40 * level[0] + 80 * level[1]) / 120, abs=1.0)
    assert stack.older.mean() == pytest.approx(level[0], abs=1.0)
    assert stack.newer.mean() == pytest.approx(level[1], abs=1.0)


def test_a_face_as_black_as_nothing_has_a_weight(camera):
    assert camera.several(FEWEST, quality=FaceQuality(80, 0.0, 200)) is not None


# Who has a stack


def test_the_stack_ends_with_the_frame_and_tells_its_times(camera):
    times = [camera.now + 0.25 * number for number in range(1, FEWEST + 1)]
    stacks = [camera.film() for _ in times]
    assert stacks[:-1] == [None] * (FEWEST - 1)
    assert stacks[-1].taken_at == tuple(times)


@pytest.mark.parametrize("brightness", [BRIGHT, 200.0, float("nan")])
def test_a_bright_face_has_no_stack_and_leaves_none(camera, brightness):
    camera.several(FEWEST)
    bright = FaceQuality(80, brightness, 200)
    assert camera.film(quality=bright) is None
    assert camera.several(FEWEST - 1) is None
    assert camera.film() is not None


def test_an_infrared_picture_is_stacked_however_bright(camera, rng):
    """Its own lamp makes it bright, and its one channel stays noisy."""
    infrared = np.repeat(drawn().mean(axis=2, keepdims=True), 3, axis=2) + 110

    def film(quality):
        crop = noisy(infrared[..., :1], rng).repeat(3, axis=2)
        return camera.show((face(), (crop, quality)))[0]

    stack = [film(LIGHT) for _ in range(FEWEST)][-1]
    assert len(stack.taken_at) == FEWEST
    assert error(stack.whole, infrared) < 0.7 * error(noisy(infrared, rng), infrared)
    # What nobody could measure is no light.
    assert film(FaceQuality(80, float("nan"), 200)) is None


def test_just_below_bright_is_poor_light(camera):
    quality = FaceQuality(80, np.nextafter(BRIGHT, 0), 200)
    assert camera.several(FEWEST, quality=quality) is not None


def test_a_face_that_is_no_evidence_has_no_stack_and_is_in_none(camera):
    camera.several(FEWEST - 1)
    assert camera.film(quality=None) is None
    unread = camera.now
    stack = camera.film()
    assert len(stack.taken_at) == FEWEST
    assert unread not in stack.taken_at


# One face alone


def test_another_face_in_the_same_place_begins_the_stack_again(camera):
    camera.several(MOST)
    # The first one that does not fit may be a turned head, and is left out.
    changed_at = camera.now + 0.5
    assert camera.several(FEWEST, BEN) is None
    stack = camera.film(BEN)
    assert stack.taken_at[0] == changed_at
    assert len(stack.taken_at) == FEWEST
    assert shows(stack, BEN)


def test_two_faces_by_turns_never_mix(camera):
    for _ in range(MOST):
        stack = camera.film(ANNA)
        assert stack is None or shows(stack, ANNA)
        assert camera.film(BEN) is None


def test_one_frame_that_does_not_fit_is_left_out_and_nothing_is_lost(camera):
    before = camera.several(FEWEST)
    assert camera.film(BEN) is None
    after = camera.film(ANNA)
    assert after.taken_at[: len(before.taken_at)] == before.taken_at
    assert len(after.taken_at) == len(before.taken_at) + 1
    assert shows(after, ANNA)


def test_a_face_that_jumps_begins_again(camera):
    camera.several(MOST)
    assert camera.several(FEWEST - 1, x=600.0) is None
    assert len(camera.film(x=600.0).taken_at) == FEWEST


def test_two_people_in_view_have_stacks_of_their_own(camera):
    both = [(face(100.0), ANNA), (face(600.0), BEN)]
    for number in range(FEWEST):
        # Whichever is listed first.
        order = both if number % 2 else both[::-1]
        shown = [(where, (noisy(clean, camera.rng), DARK)) for where, clean in order]
        stacks = camera.show(*shown)
    assert all(shows(stack, clean) for stack, (_, clean) in zip(stacks, order, strict=True))
    assert stacks[0].taken_at == stacks[1].taken_at


def test_a_face_that_comes_while_another_stays_begins_on_its_own(camera):
    camera.several(FEWEST)
    ben = face(600.0), (noisy(BEN, camera.rng), DARK)
    anna = face(100.0), (noisy(ANNA, camera.rng), DARK)
    first, second = camera.show(anna, ben)
    assert len(first.taken_at) == FEWEST + 1
    assert second is None


def test_real_faces_are_told_apart_in_the_dark_and_frames_of_one_are_not(bundle, picture, rng):
    crops = []
    for name in ("biden", "collins", "hopper", "obama"):
        found = bundle.detector.detect(picture(name))
        landmarks = max(found, key=lambda one: one.width).landmarks
        crops.append(align(picture(name), landmarks).astype(np.float32) * 0.25)
    for (i, one), (j, other) in itertools.product(enumerate(crops), repeat=2):
        frame = noisy(one, rng, down=2, right=-3).astype(np.float32)
        alike = resemblance(shifted(frame, *offset(frame, other)), other)
        assert alike >= SAME_FACE + 0.05 if i == j else alike < SAME_FACE - 0.1


# Recent frames


def test_old_frames_leave_the_stack(camera):
    camera.several(FEWEST - 1, after=1.0)
    # A frame exactly at the window's edge is still recent.
    assert len(camera.film(after=WINDOW - FEWEST + 2).taken_at) == FEWEST
    stack = camera.film(after=0.25)
    assert stack.taken_at[-1] - stack.taken_at[0] <= WINDOW
    assert len(stack.taken_at) == FEWEST


def test_who_comes_back_after_the_window_begins_again(camera):
    camera.several(MOST)
    assert camera.film(after=WINDOW + 0.25) is None
    assert camera.several(FEWEST - 2) is None
    assert camera.film() is not None


def test_who_is_missed_for_a_moment_goes_on(camera):
    camera.several(FEWEST)
    camera.show()
    camera.show()
    assert len(camera.film().taken_at) == FEWEST + 1


def test_frames_out_of_order_are_in_no_stack(camera):
    camera.several(FEWEST)
    late = camera.now - 0.125
    # Everything taken after it is dropped, so that times only ever rise.
    stack = camera.film(after=-0.125)
    assert stack.taken_at == tuple(sorted({*stack.taken_at}))
    assert stack.taken_at[-1] == late
    stack = camera.film(after=0.375)
    assert stack.taken_at == tuple(sorted({*stack.taken_at}))
    assert late in stack.taken_at


@pytest.mark.parametrize("back", [0.0, -0.25, -2.0, -100.0])
def test_a_clock_that_stands_still_or_steps_back_never_makes_times_fall(camera, back):
    camera.several(MOST)
    for after in (back, 0.25, 0.25, 0.25, 0.25):
        stack = camera.film(after=after)
        if stack is None:
            continue
        assert all(a < b for a, b in itertools.pairwise(stack.taken_at))
        assert stack.taken_at[-1] == camera.now
        assert camera.now - stack.taken_at[0] <= WINDOW
    assert stack is not None


@pytest.mark.parametrize("now", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_none_has_no_stack_and_spoils_none(camera, now):
    camera.several(MOST)
    before, camera.now = camera.now, now
    assert camera.film() is None
    camera.now = before
    assert camera.several(FEWEST - 1) is None
    assert camera.film() is not None


def test_a_frame_that_came_before_is_in_no_stack(camera):
    camera.several(FEWEST - 1)
    camera.film(digest=b"served again")
    for _ in range(3):
        # Home Assistant serves a camera's previous picture where it has no newer one.
        assert camera.film(digest=b"served again") is None
    repeated = {camera.now, camera.now - 0.25, camera.now - 0.5}
    stack = camera.film()
    assert len(stack.taken_at) == FEWEST + 1
    assert not repeated & {*stack.taken_at}


def test_memory_holds_who_was_in_view_of_late(camera):
    for number in range(200):
        camera.film(x=1000.0 * number, after=0.25)
        piles = camera.stacker._piles
        assert len(piles) <= WINDOW / 0.25 + 1
        assert all(len(pile) <= MOST for pile in piles.values())
    camera.several(5 * MOST)
    assert max(len(pile) for pile in camera.stacker._piles.values()) == MOST
    camera.show(after=WINDOW + 0.25)
    assert not camera.stacker._piles


# Registering one frame with another


@pytest.mark.parametrize("down", range(-REACH, REACH + 1, 2))
@pytest.mark.parametrize("right", range(-REACH, REACH + 1, 2))
def test_a_shift_is_found_in_noise_and_undone(rng, down, right):
    frame = noisy(ANNA, rng, down=down, right=right, noise=6.0).astype(np.float32)
    found = offset(frame, ANNA)
    assert np.abs(np.add(found, (down, right))).max() <= 1
    assert error(shifted(frame, *found), ANNA) <= error(frame, ANNA) * 1.05


def test_no_shift_is_found_beyond_reach(rng):
    frame = noisy(ANNA, rng, down=11, right=-9).astype(np.float32)
    assert np.abs(offset(frame, ANNA)).max() <= REACH


@pytest.mark.parametrize(("down", "right"), [(0, 0), (2, 0), (0, -1), (-1, 2)])
def test_what_comes_in_repeats_the_edge(down, right):
    crop = np.arange(48, dtype=np.float32).reshape(4, 4, 3)
    moved = shifted(crop, down, right)
    for row, column in itertools.product(range(4), repeat=2):
        source = crop[min(max(row - down, 0), 3), min(max(column - right, 0), 3)]
        assert (moved[row, column] == source).all()


def test_resemblance_is_that_of_the_pattern_and_not_of_the_light():
    assert resemblance(ANNA, ANNA) == pytest.approx(1.0)
    assert resemblance(ANNA, ANNA * 0.5 + 9) == pytest.approx(1.0, abs=1e-5)
    assert resemblance(ANNA, 200 - ANNA) == pytest.approx(-1.0, abs=1e-5)
    assert resemblance(ANNA, BEN) < SAME_FACE


def test_what_has_no_contrast_resembles_nothing_and_not_itself():
    flat = np.full((112, 112, 3), 20, np.float32)
    assert resemblance(flat, flat) == resemblance(flat, ANNA) == 0.0


def test_a_uniform_grey_never_has_a_stack(camera):
    for _ in range(MOST):
        crop = np.full((112, 112, 3), 20, np.uint8)
        assert camera.show((face(), (crop, DARK))) == [None]
