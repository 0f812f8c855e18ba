"""The simulated visit shows what it claims to show."""

import io

import numpy as np
import pytest
from PIL import Image

from demo import story, visit
from demo.story import ENROLLED, STRANGERS


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


@pytest.fixture(scope="module")
def frames() -> list[visit.Frame]:
    return visit.render(ENROLLED, seed=1)


def test_every_frame_differs(frames: list[visit.Frame]) -> None:
    assert len({frame.jpeg for frame in frames}) == len(frames)


def test_the_same_seed_gives_the_same_visit(frames: list[visit.Frame]) -> None:
    again = visit.render(ENROLLED, seed=1)
    assert [frame.jpeg for frame in again] == [frame.jpeg for frame in frames]
    assert visit.render(ENROLLED, seed=2)[0].jpeg != frames[0].jpeg


def test_person_comes_nearer_stays_and_leaves(frames: list[visit.Frame]) -> None:
    widths = [frame.face_px for frame in frames]
    nearest = widths.index(max(widths))
    last_nearest = len(widths) - 1 - widths[::-1].index(max(widths))
    assert widths[0] == widths[-1] == 0
    assert widths[:nearest] == sorted(widths[:nearest])
    assert widths[last_nearest:] == sorted(widths[last_nearest:], reverse=True)
    assert (last_nearest - nearest) * visit.FRAME_PERIOD >= 3


def test_frozen_visit_repeats_one_frame(frames: list[visit.Frame]) -> None:
    frozen = visit.freeze(frames)
    with_person = {frame.jpeg for frame in frozen if frame.face_px}
    assert with_person == {max(frames, key=lambda frame: frame.face_px).jpeg}
    assert [f.jpeg for f in frozen if not f.face_px] == [f.jpeg for f in frames if not f.face_px]


@pytest.mark.parametrize("visitor", [ENROLLED, *STRANGERS], ids=lambda visitor: visitor.name)
def test_detector_agrees_on_one_face_of_the_stated_width(detector, visitor: visit.Visitor) -> None:
    near, far = (visit.compose(visitor, nearness, 0.0) for nearness in (1.0, 0.5))
    for picture, width in (near, far):
        faces = detector.detect(decoded(visit.encode(picture, np.random.default_rng(3))))
        assert len(faces) == 1
        left, _, right, _ = faces[0].box
        assert right - left == pytest.approx(width, rel=0.25)


def test_nobody_is_at_the_empty_door(detector) -> None:
    assert not any(detector.detect(decoded(f.jpeg)) for f in visit.render(None, seed=5)[::10])


def test_outcomes_are_judged() -> None:
    granted = {"event_type": "access_granted", "person": ENROLLED.name, "confidence": 99.0}
    denied = {"event_type": "access_denied", "person": None, "reason": "unknown_face"}
    nobody, opens, stranger = story.STORY[:3]

    def outcome(play: story.Visit, opened: bool, *events: dict) -> bool:
        milliseconds = 900.0 if opened else None
        return story.Outcome(play, opened, milliseconds, events, opened).as_expected

    assert outcome(nobody, False)
    assert not outcome(nobody, False, denied)
    assert outcome(opens, True, granted)
    assert not outcome(opens, False, granted)
    assert not outcome(opens, True)
    assert not outcome(opens, True, {**granted, "person": "Somebody else"})
    assert outcome(stranger, False, denied)
    assert not outcome(stranger, False, granted)
    assert not outcome(stranger, True, denied)
