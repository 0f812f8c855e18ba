"""The cues of a frame and of a track: each must detect what it is for, and nothing else."""

import dataclasses
import io

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

import vision
from vision.networks.liveness import LivenessPoint
from vision.networks.score_limits import Light, NetworkLimits, ScoreLimit, ScoreLimits
from vision.pad import Cue, LivenessLevel, denials, judge, measure_cues
from vision.pad.judge import BASIC, STRICT
from vision.pad.light import contrast
from vision.pad.moire import moire
from vision.pad.outline import outline
from vision.pad.shape import flatness, pose
from vision.pad.still import stillness
from vision.pad.surroundings import surroundings
from vision.pad.view import SIDE, SPAN, cut_view
from vision.types import Cues, Evidence, Face, FaceQuality, Problem, View

POINTS = (LivenessPoint(0.01, 0.4), LivenessPoint(0.05, 0.7))
FRONT = np.array([[-14, -10], [14, -10], [0, 7], [-11, 22], [11, 22]], np.float32)
RNG = np.random.default_rng(3)


def textured(size, seed=0):
    """A smooth random texture: what a wall, a sheet's background, or a face has."""
    small = np.random.default_rng(seed).integers(0, 256, (size[1] // 6, size[0] // 6, 3), np.uint8)
    return np.asarray(Image.fromarray(small).resize(size, Image.Resampling.BICUBIC))


ROOM = textured((480, 360), seed=1)
PICTURE = textured((270, 270), seed=2)


def a_face(middle, landmarks=FRONT, size=80):
    x, y = middle
    box = (x - 0.4 * size, y - 0.5 * size, x + 0.4 * size, y + 0.5 * size)
    return Face(box, landmarks * np.float32(size / 80) + np.float32([x, y]), 0.9)


def head(middle):
    """A head in a room; it moves and the room does not."""
    rgb = ROOM.copy()
    x, y = middle
    rgb[y - 40 : y + 40, x - 32 : x + 32] = PICTURE[95:175, 103:167]
    return rgb, a_face(middle)


def sheet(middle, room=ROOM):
    """The same head on a sheet that carries its own background."""
    rgb = room.copy()
    x, y = middle
    rgb[y - 125 : y + 125, x - 120 : x + 120] = PICTURE[10:260, 15:255]
    return rgb, a_face(middle)


PLACES = [(200, 170), (215, 175), (235, 180), (255, 178), (270, 185)]


def seen(pictures):
    return [(face, cut_view(rgb, face.box)) for rgb, face in pictures]


def test_a_view_shows_the_face_in_its_middle_at_the_same_size():
    rgb = np.zeros((400, 600, 3), np.uint8)
    rgb[150:230, 268:332] = 200
    view = cut_view(rgb, (268.0, 150.0, 332.0, 230.0))
    assert view.grey.shape == (SIDE, SIDE)
    assert view.clipped == 0
    bright = np.argwhere(view.grey > 100)
    assert np.ptp(bright[:, 0]) + 1 == pytest.approx(SIDE / SPAN, abs=1.5)
    assert bright.mean(axis=0) == pytest.approx([(SIDE - 1) / 2] * 2, abs=1)
    assert view.origin[0] + view.scale * SIDE / 2 == pytest.approx(300)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(*[st.floats(-200, 400)] * 2),
    st.floats(1, 500),
    st.sampled_from([(90, 120, 3), (33, 7, 3), (1, 1, 3)]),
)
def test_a_view_knows_what_of_it_lies_in_the_picture(corner, side, shape):
    rgb = np.full(shape, 255, np.uint8)
    box = (*corner, corner[0] + side, corner[1] + side)
    try:
        view = cut_view(rgb, box)
    except ValueError:
        return
    left, top, right, bottom = view.seen
    inside = np.zeros((SIDE, SIDE), bool)
    inside[top:bottom, left:right] = True
    assert (view.grey[inside] == 255).all()
    assert not view.grey[~inside].any()
    assert view.clipped == pytest.approx(1 - inside.mean())


@pytest.mark.parametrize("box", [(0, 0, np.nan, 4), (0, 0, np.inf, 4), (900, 900, 910, 910)])
def test_no_view_of_what_is_not_in_the_picture(box):
    with pytest.raises(ValueError, match=r"view|do not lie in the picture"):
        cut_view(ROOM, tuple(map(float, box)))
    assert measure_cues(None, ROOM, Face(tuple(map(float, box)), FRONT, 0.9)) is None


def test_surroundings_that_stay_are_told_from_those_that_a_sheet_carries():
    alive, printed = surroundings(seen(map(head, PLACES))), surroundings(seen(map(sheet, PLACES)))
    assert alive.share < 0.1
    assert printed.share > STRICT.carried
    assert min(alive.stayed, printed.carried) > 50


def test_surroundings_say_nothing_of_a_face_that_stays_or_of_a_bare_wall():
    assert surroundings(seen([head((200, 170))] * 6)).share is None
    bare = np.full_like(ROOM, 120)
    pictures = []
    for x, y in PLACES:
        rgb = bare.copy()
        rgb[y - 40 : y + 40, x - 32 : x + 32] = PICTURE[95:175, 103:167]
        pictures.append((rgb, a_face((x, y))))
    assert surroundings(seen(pictures)).share is None


def test_surroundings_are_compared_in_another_exposure():
    places = [head(one) for one in PLACES]
    brighter = [
        (np.rint(rgb * (0.7 + 0.05 * i)).astype(np.uint8), face)
        for i, (rgb, face) in enumerate(places)
    ]
    assert surroundings(seen(brighter)).share < 0.15


def flat_room(shade=90):
    return np.full_like(ROOM, shade)


def phone(middle, room):
    rgb = room.copy()
    x, y = middle
    rgb[y - 85 : y + 85, x - 52 : x + 52] = 15
    rgb[y - 70 : y + 70, x - 48 : x + 48] = 140
    rgb[y - 40 : y + 40, x - 32 : x + 32] = PICTURE[95:175, 103:167]
    return rgb, a_face(middle)


def test_an_outline_that_moves_with_the_face_is_seen():
    assert outline(seen(phone(one, flat_room()) for one in PLACES)) > 0.9


def test_an_outline_that_stays_behind_is_a_door_frame():
    framed = flat_room()
    framed[:, 150:156] = 20
    framed[:, 290:296] = 220

    def before(middle):
        rgb = framed.copy()
        x, y = middle
        rgb[y - 40 : y + 40, x - 32 : x + 32] = PICTURE[95:175, 103:167]
        return rgb, a_face(middle)

    assert outline(seen(map(before, PLACES))) < 0.6
    # Nothing can be said about a face that stays in place, and nothing is.
    assert outline(seen([before((222, 175))] * 5)) is None


def turned(yaw, pitch=0.0, nose=11.0):
    """Landmarks of a head, or with no nose of a picture, turned by angles in degrees."""
    points = np.hstack([FRONT, np.array([[0], [0], [nose], [0], [0]], np.float32)])
    a, b = np.deg2rad([yaw, pitch])
    x = points[:, 0] * np.cos(a) + points[:, 2] * np.sin(a)
    z = points[:, 2] * np.cos(a) - points[:, 0] * np.sin(a)
    y = points[:, 1] * np.cos(b) + z * np.sin(b)
    return np.stack([x, y], 1).astype(np.float32)


@pytest.mark.parametrize(("yaw", "pitch"), [(45, 0), (-45, 0), (0, 45), (0, -45)])
def test_a_picture_that_turns_is_flat_and_a_head_is_not(yaw, pitch):
    steps = [0, 0, 0.3, 0.5, 0.8, 1, 1]
    heads = [turned(yaw * t, pitch * t) for t in steps]
    sheets = [turned(yaw * t, pitch * t, nose=0.0) for t in steps]
    assert flatness(heads) > 2 * STRICT.flat > BASIC.flat
    assert flatness(sheets) < BASIC.flat


def test_flatness_says_nothing_of_a_face_that_did_not_turn():
    assert flatness([turned(t) for t in (-12, -5, 0, 5, 12, 3)]) is None
    assert flatness([turned(0), turned(45)]) is None
    assert flatness([np.full((5, 2), np.nan, np.float32)] * 6) is None


def test_yaw_is_positive_where_the_nose_points_to_the_viewers_right():
    assert pose(turned(25)).yaw > 0.1
    assert pose(turned(-25)).yaw < -0.1
    assert pose(turned(0)).yaw == pytest.approx(0, abs=1e-6)
    assert pose(np.zeros((5, 2), np.float32)) is None


def test_a_fine_raster_stands_out_and_skin_does_not():
    y, x = np.mgrid[0:200, 0:200]
    skin = 130 + RNG.normal(0, 4, (200, 200))
    raster = 5 * np.sin(2 * np.pi * (0.31 * x + 0.07 * y))
    box = (40.0, 40.0, 160.0, 160.0)

    def as_rgb(grey):
        return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2)

    assert moire(as_rgb(skin), box) < 1.5
    assert moire(as_rgb(skin + raster), box) > 2.3
    assert moire(as_rgb(skin + raster), (150.0, 150.0, 260.0, 260.0)) is None
    assert moire(as_rgb(skin + raster), (40.0, 40.0, 80.0, 80.0)) is None


def test_jpegs_blocks_are_no_raster():
    grey = np.clip(130 + RNG.normal(0, 12, (200, 200)), 0, 255).astype(np.uint8)
    stored = io.BytesIO()
    Image.fromarray(np.repeat(grey[..., None], 3, axis=2)).save(stored, "JPEG", quality=12)
    rgb = np.asarray(Image.open(stored))
    assert moire(rgb, (40.0, 40.0, 160.0, 160.0)) < BASIC.moire


def unit(*values):
    return (np.array(values, np.float32) / np.linalg.norm(values)).astype(np.float32)


def test_stillness_is_that_of_the_median_step():
    same, other = unit(1, 0, 0), unit(1, 0.3, 0)
    assert stillness([same, same]) is None
    assert stillness([same] * 3) == pytest.approx(1)
    assert stillness([same, same, same, other]) == pytest.approx(1)
    # Half of the steps are not a majority.
    assert stillness([same, same, other]) < 0.99


QUALITY = FaceQuality(80, 120, 500)
VIEW = View(np.full((SIDE, SIDE), 90, np.uint8), (0.0, 0.0), 2.0, (0, 0, SIDE, SIDE))


def evidence(number=0, live=0.95, view=VIEW, **cues):
    """A living face's evidence, which no cue denies."""
    return Evidence(
        a_face((96, 96)),
        QUALITY,
        embedding=unit(1, 0.08 * number, 0.08 * (number % 2)),
        cues=Cues(view, live=live, **cues),
    )


def track(count=5, **cues):
    return [evidence(number, **cues) for number in range(count)]


LEVELS = [LivenessLevel.BASIC, LivenessLevel.STRICT, LivenessLevel.CHALLENGE]


@pytest.mark.parametrize("level", LivenessLevel)
def test_nothing_speaks_against_a_living_face(level):
    assert judge(level, POINTS)(track()) is None


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(
    ("bad", "cue"),
    [
        (track(live=0.1), Cue.NETWORK),
        (track(live=float("nan")), Cue.NETWORK),
        (track(moire=3.5), Cue.MOIRE),
        (track(moire=float("nan")), Cue.MOIRE),
        ([evidence()] * 5, Cue.STATIC),
    ],
)
def test_each_cue_denies_alone(level, bad, cue):
    assert denials(level, POINTS, bad) == {cue}
    assert judge(level, POINTS)(bad) is Problem.NOT_LIVE


@pytest.mark.parametrize("level", LEVELS)
def test_what_moves_with_the_face_denies(level):
    def seen_as(pictures):
        return [
            dataclasses.replace(evidence(i, view=view), face=face)
            for i, (face, view) in enumerate(seen(pictures))
        ]

    assert judge(level, POINTS)(seen_as(map(head, PLACES))) is None
    assert Cue.CARRIED in denials(level, POINTS, seen_as(map(sheet, PLACES)))
    phones = (phone(one, flat_room()) for one in PLACES)
    assert Cue.OUTLINE in denials(level, POINTS, seen_as(phones))


@pytest.mark.parametrize("level", LEVELS)
def test_a_turning_picture_is_flat(level):
    sheets = [
        dataclasses.replace(evidence(i), face=a_face((96, 96), turned(9 * i, nose=0.0)))
        for i in range(6)
    ]
    assert Cue.FLAT in denials(level, POINTS, sheets)


def limits_for(basic, strict, largest=4096.0):
    return ScoreLimits(60.0, (ScoreLimit(Light.DAY, 40.0, largest, basic, strict),))


def test_the_second_network_denies_by_the_limit_of_the_level():
    limits = NetworkLimits(second=limits_for(0.2, 0.6))
    for level, passes in ((LivenessLevel.BASIC, 0.2), (LivenessLevel.STRICT, 0.6)):
        assert denials(level, POINTS, track(second=passes), limits) == set()
        assert denials(level, POINTS, track(second=passes - 0.01), limits) == {Cue.SECOND}
        assert denials(level, POINTS, track(second=float("nan")), limits) == {Cue.SECOND}


def test_the_second_network_is_not_asked_where_the_living_were_not_measured():
    limits = NetworkLimits(second=limits_for(0.2, 0.6))
    for level in LEVELS:
        assert not denials(level, POINTS, track(second=0.0, infrared=True), limits)
        assert not denials(level, POINTS, track(second=None), limits)
        assert not denials(
            level, POINTS, track(second=0.0), NetworkLimits(second=limits_for(0.2, 0.6, 50.0))
        )
        assert not denials(level, POINTS, track(second=0.0))


def test_most_frames_decide_each_by_its_own_limit():
    limits = NetworkLimits(second=limits_for(0.2, 0.6))
    low, high = evidence(0, second=0.1), evidence(1, second=0.3)
    dark = [evidence(n, second=0.0, infrared=True) for n in (2, 3, 4)]
    assert denials(LivenessLevel.BASIC, POINTS, [low, high, evidence(5, second=0.1)], limits)
    assert not denials(LivenessLevel.BASIC, POINTS, [low, high, evidence(5, second=0.3)], limits)
    assert denials(LivenessLevel.BASIC, POINTS, [low, *dark], limits) == {Cue.SECOND}


def test_what_visits_measured_of_the_first_network_stands_before_its_points():
    lenient, strict = POINTS
    limits = NetworkLimits(live=limits_for(lenient.threshold - 0.2, strict.threshold + 0.2))
    between = lenient.threshold - 0.1
    assert denials(LivenessLevel.BASIC, POINTS, track(live=between)) == {Cue.NETWORK}
    assert not denials(LivenessLevel.BASIC, POINTS, track(live=between), limits)
    above = strict.threshold + 0.1
    assert not denials(LivenessLevel.STRICT, POINTS, track(live=above))
    assert denials(LivenessLevel.STRICT, POINTS, track(live=above), limits) == {Cue.NETWORK}
    # Nothing was measured in another light.
    dark = track(live=0.0, infrared=True)
    assert denials(LivenessLevel.BASIC, POINTS, dark, limits) == {Cue.NETWORK}


def test_off_denies_nothing():
    assert judge(LivenessLevel.OFF, POINTS)([evidence(live=0.0, moire=9.0)] * 5) is None


def test_what_was_not_measured_is_passed_over_by_basic_and_denied_by_strict():
    blind = [dataclasses.replace(one, cues=None) for one in track()]
    for bad, points in ((blind, POINTS), (track(live=None), POINTS), (track(), ()), ([], POINTS)):
        assert judge(LivenessLevel.BASIC, points)(bad) is None
        assert Cue.UNMEASURED in denials(LivenessLevel.STRICT, points, bad)


def test_strict_wants_the_surfaces_around_the_face_in_view():
    hidden = View(VIEW.grey, VIEW.origin, VIEW.scale, (20, 20, 60, 60))
    assert judge(LivenessLevel.BASIC, POINTS)(track(view=hidden)) is None
    assert denials(LivenessLevel.STRICT, POINTS, track(view=hidden)) == {Cue.CLIPPED}


def test_strict_denies_whatever_basic_denies():
    for live in np.linspace(0, 1, 21):
        for wave in (None, 1.0, 2.0, 3.0, 4.0):
            seen_now = track(live=float(live), moire=wave)
            if judge(LivenessLevel.BASIC, POINTS)(seen_now):
                assert judge(LivenessLevel.STRICT, POINTS)(seen_now)


def test_one_bad_frame_of_many_does_not_deny():
    assert (
        judge(LivenessLevel.BASIC, POINTS)([*track(moire=1.0), evidence(6, live=0.0, moire=5.0)])
        is None
    )


def test_no_good_score_outweighs_another_cue():
    assert judge(LivenessLevel.BASIC, POINTS)(track(live=1.0, moire=3.5)) is Problem.NOT_LIVE


def test_a_long_track_is_judged_from_its_first_to_its_last_frame():
    early = [*track(150, live=0.0), *track(50)]
    late = [*track(50), *track(150, live=0.0)]
    for bad in (early, late):
        assert judge(LivenessLevel.BASIC, POINTS)(bad) is Problem.NOT_LIVE


def test_contrast_is_that_of_face_and_background_whatever_the_exposure():
    rgb = np.full((360, 480, 3), 80, np.uint8)
    middle = (240, 180)
    rgb[140:220, 208:272] = 160
    face = a_face(middle)

    def of(picture):
        return contrast(Evidence(face, QUALITY, cues=Cues(cut_view(picture, face.box))))

    assert of(rgb) == pytest.approx(2.17, abs=0.1)  # (160/255)^2.2 over (80/255)^2.2 in stops
    assert of((rgb * 0.7).astype(np.uint8)) == pytest.approx(of(rgb), abs=0.12)
    assert contrast(Evidence(face, QUALITY)) is None


def test_recognise_measures_only_where_asked_and_only_who_resembles_somebody(bundle, picture):
    rgb = picture("hopper")
    frame = vision.Frame(rgb, 1.0)
    nobody = vision.gallery_matcher(bundle, {})
    (found,) = vision.recognise(bundle, nobody, frame).evidence
    known = vision.gallery_matcher(
        bundle, {"grace": (vision.Template(found.embedding, bundle.verifier.model),)}
    )

    def cues(matcher, cues_from):
        return vision.recognise(bundle, matcher, frame, cues_from=cues_from).evidence[0].cues

    assert cues(known, None) is None
    assert cues(nobody, 0.3) is None
    assert cues(known, 1.01) is None
    measured = cues(known, 0.3)
    assert measured.live == bundle.liveness.score(rgb, found.face).live
    assert not measured.infrared
    grey = np.repeat(rgb.mean(axis=2).astype(np.uint8)[..., None], 3, axis=2)
    assert measure_cues(None, grey, found.face).infrared
    assert measure_cues(None, rgb, found.face).live is None
