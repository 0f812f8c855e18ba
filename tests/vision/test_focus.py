"""Looking at parts of pictures finds what looking at the whole finds."""

import numpy as np
import pytest
from PIL import Image

import vision
from vision import Face, Frame, GateSettings, MotionGate, Pipeline, gallery_matcher
from vision.networks.detector import Detector
from vision.pipeline import camera as camera_pipeline
from vision.pipeline.recognition import find_faces
from vision.tracking.focus import FOLLOWED, WHOLE_INTERVAL, Focus, Region

SIZE = (720, 1280)


def face(x: float, y: float = 300, width: float = 100) -> Face:
    box = (x, y, x + width, y + 1.2 * width)
    return Face(box, np.zeros((5, 2), np.float32), 0.9)


def followed(*faces: Face, now: float = 10.0) -> Focus:
    """A focus that has just found these in the whole picture."""
    focus = Focus()
    focus.note(SIZE, faces, now, whole=True)
    return focus


def covers(regions: list[Region], x: float, y: float) -> bool:
    return any(r.left <= x < r.right and r.top <= y < r.bottom for r in regions)


def test_the_whole_picture_at_first_and_again_and_again() -> None:
    focus = Focus()
    moved = (0.4, 0.4, 0.6, 1.0)
    assert focus.choose(SIZE, moved, 10.0) is None
    focus.note(SIZE, (), 10.0, whole=True)
    assert focus.choose(SIZE, moved, 10.3) is not None
    # Parts that sufficed put it off for nobody.
    focus.note(SIZE, (), 10.3, whole=False)
    assert focus.choose(SIZE, moved, 10.0 + WHOLE_INTERVAL) is None
    # A picture of another size, or a clock that stepped back: nothing is known.
    assert focus.choose((1080, 1920), moved, 10.5) is None
    assert focus.choose(SIZE, moved, 9.0) is None
    # Nothing moved, and nobody is followed.
    assert focus.choose(SIZE, None, 10.5) is None


def test_a_face_s_neighbourhood_and_what_moved_elsewhere() -> None:
    focus = followed(face(200))
    alone = focus.choose(SIZE, None, 10.2)
    assert covers(alone, 250, 360)
    assert not covers(alone, 900, 360)
    # Its own body is no reason to look for more.
    assert focus.choose(SIZE, (0.12, 0.4, 0.28, 1.0), 10.2) == alone
    # Somebody else beside it is.
    both = focus.choose(SIZE, (0.1, 0.4, 0.75, 1.0), 10.2)
    assert covers(both, 900, 400)
    assert covers(both, 250, 360)


def test_a_region_lies_in_its_picture() -> None:
    assert Region.within((100, 200), -5, -7, 250.5, 150.5) == (0, 0, 200, 100)
    assert Region.within((100, 200), 5.9, 6.9, 20.1, 30.9) == (5, 6, 21, 31)
    assert Region(5, 6, 21, 31).area == 16 * 25
    assert Region(9, 9, 5, 20).area == 0


@pytest.mark.parametrize(
    ("other", "meet"),
    [
        ((15, 15, 30, 30), True),
        ((20, 10, 30, 20), False),  # beside it, sharing an edge
        ((0, 10, 10, 20), False),
        ((10, 20, 20, 30), False),
        ((10, 0, 20, 10), False),
        ((12, 12, 14, 14), True),
        ((0, 0, 40, 40), True),
        ((15, 30, 18, 40), False),  # below it
        ((30, 12, 40, 18), False),  # to its right
    ],
)
def test_regions_that_share_pixels_are_one(other, meet) -> None:
    one, two = Region(10, 10, 20, 20), Region(*other)
    assert one.meets(two) is two.meets(one) is meet


def test_beyond_what_moved_something_is_looked_at_on_every_side() -> None:
    (region,) = followed().choose(SIZE, (0.4, 0.5, 0.6, 0.75), 10.2)
    by = 0.04 * 1280
    assert region == (int(512 - by), int(360 - by), int(768 + by) + 1, int(540 + by) + 1)


def test_a_face_that_was_found_long_ago_is_not_followed() -> None:
    focus = followed(face(200))
    assert focus.choose(SIZE, None, 10.0 + FOLLOWED / 2) is not None
    assert focus.choose(SIZE, None, 10.0 + FOLLOWED) is None


def test_between_two_people_is_looked_at_too() -> None:
    regions = followed(face(60, width=60), face(1100, width=60)).choose(
        SIZE, (0.0, 0.4, 1.0, 0.7), 10.2
    )
    assert covers(regions, 640, 400)


def test_looking_at_nearly_everything_is_looking_at_everything() -> None:
    assert followed(face(400, 200, 350)).choose(SIZE, (0.0, 0.0, 1.0, 1.0), 10.2) is None


def test_parts_do_not_suffice_where_a_face_may_be_cut_or_was_lost() -> None:
    focus = followed(face(600))
    regions = focus.choose(SIZE, None, 10.2)
    assert focus.suffices(regions, [face(610)])
    assert not focus.suffices(regions, [])
    assert not focus.suffices(regions, [face(regions[0].right - 110)])
    # An edge of the picture cuts the whole picture as well.
    at_the_edge = followed(face(0))
    regions = at_the_edge.choose(SIZE, None, 10.2)
    assert at_the_edge.suffices(regions, [face(2)])


# With the real networks


def scene(picture, *people: tuple[str, int, int], noise: int = 0) -> np.ndarray:
    """Paste people (name, left edge, width) into an empty picture of 1280x720."""
    rng = np.random.default_rng(noise)
    canvas = Image.fromarray(np.full((*SIZE, 3), 120, dtype=np.uint8))
    for name, x, width in people:
        portrait = Image.fromarray(picture(name))
        height = round(portrait.height * width / portrait.width)
        canvas.paste(portrait.resize((width, height)), (x, SIZE[0] - height))
    return (np.asarray(canvas) + rng.normal(0, 2, (*SIZE, 3))).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("x", [0, 333, 801])
def test_a_part_shows_the_faces_that_the_whole_shows(bundle, picture, x) -> None:
    rgb = scene(picture, ("obama", x, 300))
    (whole,) = bundle.detector.detect(rgb)
    around = Focus()
    around.note(SIZE, [whole], 0.0, whole=True)
    (region,) = around.choose(SIZE, None, 0.1)
    (part,) = bundle.detector.detect(rgb, region=region)
    assert np.abs(part.landmarks - whole.landmarks).max() < 0.01 * whole.width
    assert np.abs(np.array(part.box) - whole.box).max() < 0.03 * whole.width


def test_whoever_moves_is_found_and_only_parts_are_searched(bundle, picture, monkeypatch) -> None:
    asked: list[tuple[int, int, int, int] | None] = []
    detect = Detector.detect

    def recording(self, rgb, max_side=None, region=None):
        asked.append(region)
        return detect(self, rgb, max_side, region)

    monkeypatch.setattr(Detector, "detect", recording)
    gate, focus = MotionGate(GateSettings()), Focus()
    found = []
    shown = [()] * 2 + [(("obama", 120 + 12 * n, 240),) for n in range(4)]
    shown += [(*shown[-1], ("biden", 900 - 10 * n, 260)) for n in range(4)]
    for number, people in enumerate(shown):
        rgb = scene(picture, *people, noise=number)
        now = 0.2 * number
        motion = gate.update(vision.decode_grey(vision.encode_jpeg(rgb)), now)
        found.append(len(find_faces(bundle, Frame(rgb, now), focus, motion.where)))
    assert found == [len(people) for people in shown]
    assert asked.count(None) < len(shown) / 2


class TestPictureAgain:
    """Cameras serve one picture again while nothing moves."""

    def test_it_is_not_decoded_again(self, bundle, picture, monkeypatch) -> None:
        pipeline = Pipeline(bundle, gallery_matcher(bundle, {}))
        empty = vision.encode_jpeg(scene(picture))
        pipeline.look(empty, 0.0, in_visit=False)
        quiet = pipeline.look(vision.encode_jpeg(scene(picture, noise=1)), 10.0, in_visit=False)
        assert not quiet.motion.open
        again = vision.encode_jpeg(scene(picture, noise=1))

        def forbidden(*_: object) -> None:
            raise AssertionError

        monkeypatch.setattr(camera_pipeline, "decode_grey", forbidden)
        monkeypatch.setattr(camera_pipeline, "decode_rgb", forbidden)
        seen = pipeline.look(again, 11.0, in_visit=False)
        assert not seen.motion.open
        assert seen.sighting is None

    def test_somebody_in_it_is_seen_once_the_gate_is_opened(self, bundle, picture) -> None:
        pipeline = Pipeline(bundle, gallery_matcher(bundle, {}))
        shown = vision.encode_jpeg(scene(picture, ("obama", 300, 300)))
        pipeline.look(shown, 0.0, in_visit=False)
        assert pipeline.look(shown, 10.0, in_visit=False).sighting is None
        pipeline.keep_open(11.0)
        assert len(pipeline.look(shown, 11.1, in_visit=False).sighting.evidence) == 1

    def test_what_moved_in_it_keeps_the_gate_open_until_it_is_background(self, bundle) -> None:
        pipeline = Pipeline(bundle, gallery_matcher(bundle, {}))
        before = vision.encode_jpeg(np.full((*SIZE, 3), 100, dtype=np.uint8))
        changed = np.full((*SIZE, 3), 100, dtype=np.uint8)
        changed[200:400, 200:400] = 140
        pipeline.look(before, 0.0, in_visit=False)
        still = vision.encode_jpeg(changed)
        open_at = [
            t for t in range(10, 120) if pipeline.look(still, float(t), in_visit=False).motion.open
        ]
        # At a grey level per second 40 are less than 14 after 26 s; the gate closes 5 s later.
        assert open_at[0] == 10
        assert 20 < open_at[-1] < 40
