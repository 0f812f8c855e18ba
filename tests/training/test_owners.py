"""Visits of willing owners: who comes when, and that the product decides."""

import numpy as np
import pytest

import vision
from training.verifier import owners
from training.verifier.config import from_dict
from training.verifier.metrics import none_in
from training.verifier.owners import Seen
from training.verifier.webcam import Webcam

DIRECTIONS = 8
TEMPLATE = np.eye(1, DIRECTIONS + 1, dtype=np.float32)[0]


def like(cosine: float, number: int, crowding: float = 0.0) -> np.ndarray:
    """Return an embedding at `cosine` from the template, another for each frame `number`."""
    found = np.zeros(DIRECTIONS + 1, np.float32)
    found[0], found[-1] = cosine, crowding
    found[1 + number % (DIRECTIONS - 1)] = np.sqrt(1 - cosine**2)
    return found


def frame(cosine: float, number: int, **more: float) -> Seen:
    return Seen(None, like(cosine, number, **more), None, ())


def too_dark() -> Seen:
    return Seen(vision.Problem.TOO_DARK, None, None, ())


def opens(visit: list[Seen], threshold: float = 0.5, loosest: float = 0.3) -> bool:
    return owners.opens(visit, TEMPLATE, threshold, loosest)


def people_of(*frames: tuple[int, int, int]) -> Webcam:
    """Return people of (subject, session, frames) without a picture."""
    subject, session = (
        np.concatenate([np.full(count, values[place]) for *values, count in frames])
        for place in (0, 1)
    )
    number = np.concatenate([np.arange(count) for *_, count in frames])
    crops = np.zeros((len(subject), 128, 128, 3), np.uint8)
    return Webcam(crops, subject, session, number, np.full(len(subject), 90.0))


def test_a_visit_is_ten_frames_of_one_session_and_the_next_begins_five_later():
    people = people_of((0, 1, 23), (0, 2, 9), (1, 1, 10))
    found = [rows.tolist() for rows in owners.visits_of(people)]
    assert found == [
        list(range(10)), list(range(5, 15)), list(range(10, 20)), list(range(32, 42)),
    ]  # fmt: skip


def test_a_quorum_of_frames_opens_and_fewer_do_not():
    alike = [frame(0.8, number) for number in range(3)]
    unlike = [frame(0.2, number) for number in range(7)]
    assert opens(alike)
    assert not opens(alike[:2])
    assert not opens([*alike[:2], *unlike])
    assert not opens([too_dark()] * 10)
    assert opens([too_dark()] * 2 + alike)


def test_crowding_counts_against_a_face():
    assert opens([frame(0.8, number, crowding=0.2) for number in range(3)])
    assert not opens([frame(0.8, number, crowding=0.4) for number in range(10)])


def test_the_same_picture_again_does_not_open():
    assert not opens([frame(0.8, 0)] * 10)


def stacked(whole: float, half: float) -> list[Seen]:
    """Frames like nobody; from the fourth on with a stack as alike as said."""
    visit = []
    for number in range(10):
        times = tuple(at * owners.INTERVAL for at in range(number + 1))
        three = np.stack([like(whole, number), like(half, number), like(half, number + 1)])
        visit.append(Seen(None, like(0.1, number), three, times))
    return visit


def test_a_stack_opens_where_its_frames_do_not():
    assert not opens([frame(0.1, number) for number in range(10)])
    assert opens(stacked(0.8, 0.6))
    # A mean of two faces is nobody's: each half is to be as alike as the loosest row asks.
    assert not opens(stacked(0.8, 0.2))
    # However near the loosest row is: they have half of the frames.
    assert opens(stacked(0.8, 0.72), threshold=0.75, loosest=0.74)
    assert not opens(stacked(0.8, 0.6), threshold=0.75, loosest=0.74)


def embed(crops: np.ndarray) -> np.ndarray:
    """Coarse patterns at unit length, whatever the light: enough to tell drawn faces apart."""
    # Not the edges, which landmarks that err leave black.
    face = crops[:, 8:-8, 8:-8]
    coarse = face.reshape(len(crops), 12, 8, 12, 8, 3).mean(axis=(2, 4)).reshape(len(crops), -1)
    coarse = (coarse - coarse.mean(axis=1, keepdims=True)).astype(np.float32)
    coarse /= np.linalg.norm(coarse, axis=1, keepdims=True)
    return np.hstack([coarse, np.full((len(coarse), 1), 0.1, np.float32)])


@pytest.fixture(scope="module")
def drawn(draw_face) -> Webcam:
    """Three people on two days, ten frames each."""
    people = people_of(*[(who, day, 10) for who in range(3) for day in (1, 2)])
    crops = [
        draw_face(who, 100 * day + number)
        for who, day, number in zip(people.subject, people.session, people.number, strict=True)
    ]
    return Webcam(np.stack(crops), people.subject, people.session, people.number, people.face_px)


@pytest.fixture
def config():
    return from_dict(
        {
            "name": "x",
            "evaluate": {"bootstrap": 20},
            "calibrate": {"owner_conditions": ["clean"], "min_sharpness": 1, "min_brightness": 1},
        }
    )


def test_owners_and_strangers_are_counted_apart(config, drawn):
    rows = [{"fpr": 0.5, "threshold": -1.5}, {"fpr": 0.01, "threshold": 0.6}]
    rows.append({"fpr": 0.001, "threshold": 0.99})
    (found,) = owners.figures(config, embed, drawn, rows).values()
    # Six doors, one for each day of each: own visits of the other day, and all of others.
    assert (found["people"], found["visits"], found["stranger_visits"]) == (3, 6, 24)
    missed = [found["missed"][rate]["value"] for rate in ("5e-01", "1e-02", "1e-03")]
    opened = [found["opened"][rate]["value"] for rate in ("5e-01", "1e-02", "1e-03")]
    assert missed[0] == 0.0
    assert missed[2] == opened[0] == 1.0
    assert opened[2] == 0.0
    assert missed == sorted(missed)
    assert opened == sorted(opened, reverse=True)
    # Nothing seen is not never.
    assert found["missed"]["5e-01"]["high"] >= none_in(6) > 0.0


def test_a_night_is_seen_through_stacks_and_the_limits_hold(config, drawn):
    # Somebody who stands still; another pose begins the stack again.
    crops, widths = [np.repeat(drawn.stored[:1], 10, axis=0)], [drawn.face_px[:10]]
    bright = [crops[0] // 2 + 128]
    (day,) = owners.film(config, embed, bright, widths, "clean")
    assert all(one.stack is None and one.embedding is not None for one in day)
    (night,) = owners.film(config, embed, crops, widths, "dark")
    with_stack = [number for number, one in enumerate(night) if one.stack is not None]
    assert with_stack
    assert with_stack[0] >= 3
    for number in with_stack:
        assert night[number].stack.shape == (3, 433)
        assert night[number].taken_at[-1] == number * owners.INTERVAL
    (far,) = owners.film(config, embed, bright, [np.full(10, 20.0)], "clean")
    assert all(one.problem is not None and one.embedding is None for one in far)
    config.calibrate.min_brightness = 250
    (refused,) = owners.film(config, embed, bright, widths, "clean")
    assert all(one.problem is vision.Problem.TOO_DARK and one.embedding is None for one in refused)
