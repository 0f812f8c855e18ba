"""Simulated visits: heads have depth, sheets have none, and the report counts what it says."""

import numpy as np
import pytest

from training.liveness.visits.camera import LIGHTS, SIZE, Camera, draw_camera
from training.liveness.visits.figures import challenge_figures, visit_figures
from training.liveness.visits.head import Look, pose
from training.liveness.visits.kinds import RENDERERS, Visit, render
from training.liveness.visits.objects import Flat, Held, corners, paste
from training.liveness.visits.observe import Observed
from training.liveness.visits.people import Person
from training.liveness.visits.run import Job, _changed
from vision.networks.liveness import LivenessPoint
from vision.pad.view import SIDE
from vision.types import Cues, Evidence, Face, FaceQuality, View


@pytest.fixture
def person():
    generator = np.random.default_rng(0)
    rgb = generator.integers(0, 256, (300, 280, 3)).astype(np.uint8)
    matte = np.zeros((300, 280), np.float32)
    matte[60:, 60:220] = 1
    box = np.array([100.0, 80, 180, 185])
    marks = np.array([[122.0, 122], [158, 122], [140, 142], [125, 163], [155, 163]])
    return Person(rgb, matte, box, marks, "somebody")


def dot(person, at):
    rgb = np.zeros_like(person.rgb)
    x, y = at.astype(int)
    rgb[y - 2 : y + 3, x - 2 : x + 3] = 255
    return Person(rgb, person.matte, person.box, person.landmarks, person.who)


def where(rgb):
    y, x = np.nonzero(rgb[..., 0] > 100)
    return np.array([x.mean(), y.mean()])


def test_a_turn_moves_the_nose_further_than_the_eyes_and_the_body_not_at_all(person):
    look = Look(yaw=0.35)
    nose, eye = (
        where(pose(dot(person, person.landmarks[i]), look, 1.0).rgb) - person.landmarks[i]
        for i in (2, 0)
    )
    chest = np.array([140.0, 280])
    assert nose[0] > eye[0] + 2 > 2
    assert where(pose(dot(person, chest), look, 1.0).rgb) == pytest.approx(chest, abs=1)


def test_a_flat_thing_keeps_its_proportions_to_the_face_on_it():
    flat = Flat(np.ones((100, 80, 3), np.float32), np.ones((100, 80), np.float32), (40, 50, 40))
    still = Held(lambda t: 0.0, lambda t: 0.0, lambda t: 0.0, 6.0)
    to = corners(flat, still, 0.0, np.array([200.0, 150]), 80.0)
    assert to == pytest.approx(np.array([[120, 50], [280, 50], [280, 250], [120, 250]]))
    picture = np.zeros((300, 400, 3), np.float32)
    cover = paste(picture, flat.light, flat.alpha, to)
    assert cover.sum() == pytest.approx(160 * 200, rel=0.03)
    assert picture[150, 200] == pytest.approx(1)
    slanted = Held(lambda t: 0.6, lambda t: 0.0, lambda t: 0.0, 6.0)
    assert np.ptp(corners(flat, slanted, 0.0, np.zeros(2), 80.0)[:, 0]) < 0.9 * 160


@pytest.mark.parametrize("kind", RENDERERS)
def test_every_kind_is_rendered_and_repeats_exactly(kind, person):
    def frames():
        return list(render(Visit(kind, person, "day", np.random.default_rng(4), frames=3)))

    first, again = frames(), frames()
    assert [one.shape for one in first] == [(SIZE[1], SIZE[0], 3)] * 3
    assert all(one.dtype == np.uint8 for one in first)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert not (first[0] == first[1]).all()


def test_nothing_moves_on_a_wall_but_noise(person):
    quiet = Camera("day", photons=1e9, exposure=1.0, flicker=0.0, focus=0.0, quality=95)

    def changes(kind):
        visit = Visit(kind, person, "day", np.random.default_rng(4), frames=4)
        frames = [one.astype(int) for one in RENDERERS[kind](visit, quiet)]
        return np.abs(frames[-1] - frames[0]).mean()

    assert changes("wall") < 0.5 < changes("print")


def test_real_frames_are_seen_farther_away_and_by_night():
    rgb = np.random.default_rng(1).integers(60, 200, (120, 160, 3)).astype(np.uint8)
    job = Job("real living", "dim", "test", "0001", 3, "0001_00_00_01", 0, far=True)
    (small,) = _changed([rgb], job)
    assert small.shape == (66, 88, 3)
    assert small.mean() < 0.8 * rgb.mean()
    (same,) = _changed([rgb], Job("real living", "day", "test", "0001", 0))
    assert (same == rgb).all()
    (grey,) = _changed([rgb], Job("real living", "infrared", "test", "0001", 1))
    assert np.ptp(grey.astype(int), axis=2).mean() < 3


def test_infrared_is_grey_and_dim_is_darker():
    light = np.random.default_rng(2).random((SIZE[1], SIZE[0], 3)).astype(np.float32) * 0.5
    taken = {
        name: draw_camera(name, np.random.default_rng(3)).take(light, np.random.default_rng(5))
        for name in LIGHTS
    }
    assert np.ptp(taken["infrared"].astype(int), axis=2).mean() < 3
    assert taken["dim"].mean() < taken["day"].mean()


def visit(kind, live, decided=3, who="a"):
    view = View(np.full((SIDE, SIDE), 90, np.uint8), (0.0, 0.0), 2.0, (0, 0, SIDE, SIDE))
    face = Face((72.0, 66.0, 120.0, 126.0), np.zeros((5, 2), np.float32), 0.9)
    one = Evidence(face, FaceQuality(50, 100, 400), cues=Cues(view, live=live))
    return Observed(kind, "day", "test", who, False, [one] * 4, decided)


def test_errors_are_counted_of_those_recognised_only():
    seen = [
        visit("living", 0.9),
        visit("living", 0.5, who="b"),
        visit("living", 0.1, who="c"),
        visit("print", 0.1),
        visit("print", 0.5, who="b"),
        visit("print", 0.9, who="c"),
        visit("print", 0.9, decided=0, who="d"),
    ]
    levels = visit_figures(seen, (LivenessPoint(0.01, 0.4), LivenessPoint(0.05, 0.7)))
    rows = {level: moments["quorum"] for level, moments in levels.items()}
    assert [rows[level]["living, day"]["value"] for level in ("off", "basic", "strict")] == [
        0.0,
        pytest.approx(1 / 3, abs=1e-4),
        pytest.approx(2 / 3, abs=1e-4),
    ]
    assert [rows[level]["print"]["value"] for level in ("off", "basic", "strict")] == [
        1.0,
        pytest.approx(2 / 3, abs=1e-4),
        pytest.approx(1 / 3, abs=1e-4),
    ]
    assert rows["off"]["print"]["recognised"] == 0.75
    assert rows["basic"]["print"]["cues"] == {"network": 1}


def test_the_report_counts_who_opened_of_those_who_were_recognised():
    def asked(kind, who, *, recognised=True, opened=False, reason=None):
        one = {"challenge": "turn", "kind": kind, "light": "day", "who": who}
        return {**one, "recognised": recognised, "opened": opened, "reason": reason}

    found = challenge_figures(
        [
            asked("print", "a", opened=True),
            asked("print", "b", reason="not_live"),
            asked("print", "c", reason="unknown_face", recognised=False),
            asked("living", "a", opened=True),
            asked("living", "b"),
            asked("still", "c", recognised=False),
        ]
    )["turn"]
    assert set(found) == {"print, day", "living, day"}
    assert found["print, day"]["value"] == 0.5
    assert found["print, day"]["recognised"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["print, day"]["reasons"] == {"not_live": 1, "opened": 1}
    # Of the living those count who were not let in.
    assert found["living, day"]["value"] == 0.5
    assert found["living, day"]["reasons"] == {"left": 1, "opened": 1}
