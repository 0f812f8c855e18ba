"""What a rate costs: tries of enrolled people that open nothing."""

import json

import numpy as np
import pytest

from training.common import bundle
from training.common.paths import ROOT
from training.verifier import gallery, measures, metrics, record, tries, visits
from training.verifier.config import from_dict
from training.verifier.gallery import Protocol
from training.verifier.measures import Measures

PEOPLE, PICTURES = 6, 8
# Of everybody: scores are twice this below the cosines.
CROWDING = 0.1


@pytest.fixture
def config():
    return from_dict(
        {
            "name": "made",
            "evaluate": {"bootstrap": 40, "visit_frames": 4},
            "calibrate": {"night": ["dark", "infrared"], "min_brightness": 1, "min_sharpness": 1},
        }
    )


@pytest.fixture(scope="module")
def shown(draw_face):
    """Five people with eight pictures and one with two: one enrolled, one probe."""
    pictures = [PICTURES] * (PEOPLE - 1) + [2]
    person = np.repeat(np.arange(PEOPLE), pictures)
    crops = [draw_face(who, k)[8:120, 8:120] for who, n in enumerate(pictures) for k in range(n)]
    return Protocol(
        np.stack(crops), person, np.full(len(person), "made"), np.full(len(person), 90.0),
        gallery.split_gallery(person), [str(k) for k in range(PEOPLE)],
    )  # fmt: skip


def embed(crops):
    """Coarse patterns at unit length, whatever the light: enough to tell drawn faces apart."""
    # Not the edges, which landmarks that err leave black.
    face = crops[:, 8:-8, 8:-8]
    coarse = face.reshape(len(crops), 12, 8, 12, 8, 3).mean(axis=(2, 4)).reshape(len(crops), -1)
    coarse = (coarse - coarse.mean(axis=1, keepdims=True)).astype(np.float32)
    coarse /= np.linalg.norm(coarse, axis=1, keepdims=True)
    return np.hstack([coarse, np.full((len(coarse), 1), CROWDING, np.float32)])


@pytest.fixture
def poses(monkeypatch):
    """Say which yaw and pitch the detector reads, picture by picture; ahead unless said."""
    said = {}

    def measure(stored):
        nothing = np.zeros(len(stored))
        yaw = np.array([said.get(crop[8:120, 8:120].tobytes(), (0.0, 0.0))[0] for crop in stored])
        pitch = np.array([said.get(crop[8:120, 8:120].tobytes(), (0.0, 0.0))[1] for crop in stored])
        return Measures(nothing, nothing, nothing, nothing, yaw, pitch)

    monkeypatch.setattr(measures, "measure", measure)
    return said


def test_an_owner_has_enough_pictures_and_looks_at_the_camera(config, shown, poses):
    own = np.nonzero(~shown.enrolled & (shown.person == 0))[0]
    away, up, unknown = own[:3]
    poses[shown.crops[away].tobytes()] = (-40.0, 0.0)
    poses[shown.crops[up].tobytes()] = (0.0, 30.0)
    poses[shown.crops[unknown].tobytes()] = (float("nan"), float("nan"))
    rows, owner = tries.choose_tries(config, shown)
    assert not shown.enrolled[rows].any()
    assert len(rows) == (~shown.enrolled).sum()
    expected = (shown.person[rows] != PEOPLE - 1) & ~np.isin(rows, [away, up])
    assert (owner == expected).all()
    assert unknown in rows[owner]


def test_who_is_far_away_or_a_stranger_does_not_try(config, shown, poses):
    face_px = shown.face_px.copy()
    far = np.nonzero(~shown.enrolled)[0][0]
    face_px[far] = 20.0
    enrolled = shown.enrolled & (shown.person != 1)
    changed = Protocol(
        shown.crops, shown.person, shown.source, face_px, enrolled, shown.names
    )  # fmt: skip
    rows, _ = tries.choose_tries(config, changed)
    assert far not in rows
    assert 1 not in shown.person[rows]
    config.calibrate.tries = 4
    rows, _ = tries.choose_tries(config, changed)
    assert len(set(shown.person[rows].tolist())) == len(rows) == 4


def test_a_try_opens_when_the_product_opens(config, shown, poses):
    found = tries.film(config, embed, shown)
    assert list(found) == ["clean", "dark", "infrared"]
    rows, owner = tries.choose_tries(config, shown)
    opened = 0
    for condition, one in found.items():
        filmed = visits.film(config, embed, shown, condition, rows)
        assert (one.owner == owner).all()
        assert (one.person == shown.person[rows]).all()
        # Between two of them, so that rounding decides nothing.
        middle = float(np.median(one.reached)) + 1e-4
        for place, person in enumerate(one.person):
            row = int(np.nonzero(filmed.owner == person)[0][0])
            granted, _ = visits.decide(filmed, place, np.array([row]), middle)
            assert granted == (one.reached[place] >= middle)
            opened += granted
    assert 0 < opened < sum(len(one.person) for one in found.values())
    assert found["clean"].reached.mean() > found["dark"].reached.mean()


def test_a_night_too_dark_to_see_is_missed_whatever_the_rate(config, shown, poses):
    config.calibrate.min_brightness = 60
    found = tries.figures(
        tries.film(config, embed, shown), [{"fpr": 0.5, "threshold": -1.5}], draws=20, seed=1
    )
    assert found["clean"]["owner"]["missed"]["5e-01"]["value"] == 0.0
    dark = found["dark"]["owner"]
    assert dark["unusable"] == dark["missed"]["5e-01"]["value"] > 0.5


def made(reached, frames, person, owner):
    return tries.Tries(
        np.array(reached, np.float32), np.array(frames, np.float32), np.array(person),
        np.array(owner), 4,
    )  # fmt: skip


ROWS = [{"fpr": 1e-2, "threshold": 0.4}, {"fpr": 1e-3, "threshold": 0.6}]


def test_figures_are_the_shares_below_each_threshold():
    one = made(
        [0.7, 0.5, 0.6, visits.NO_EVIDENCE],
        [[0.8, 0.7], [0.7, 0.5], [0.6, 0.6], [visits.NO_EVIDENCE, 0.9]],
        [0, 0, 1, 2],
        [True, True, True, False],
    )
    found = tries.figures({"clean": one}, ROWS, draws=50, seed=1)["clean"]
    assert (found["owner"]["people"], found["owner"]["tries"]) == (2, 3)
    assert found["owner"]["missed"]["1e-02"]["value"] == 0.0
    # At the threshold is not below it.
    strict = found["owner"]["missed"]["1e-03"]
    assert strict["value"] == pytest.approx(1 / 3)
    assert strict["low"] <= strict["value"] <= strict["high"]
    assert found["owner"]["missed_by_one_frame"]["1e-03"]["value"] == pytest.approx(1 / 6)
    assert found["owner"]["unusable"] == 0.0
    assert found["anybody"]["missed"]["1e-02"]["value"] == found["anybody"]["unusable"] == 0.25
    assert found["anybody"]["missed"]["1e-03"]["value"] == 0.5


def test_nothing_missed_is_not_never():
    person = np.repeat(np.arange(4), 5)
    weights = metrics.draw_people(4, 30, 1)
    none = tries.missed(np.zeros(20), person, weights)
    # Tries of one person are no independent evidence: four people, not twenty tries.
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 4))
    every = tries.missed(np.ones(20), person, weights)
    assert (every.value, every.high) == (1.0, 1.0)
    assert every.low == pytest.approx(0.025 ** (1 / 4))


def test_a_row_costs_an_owners_day_and_the_worst_of_the_nights():
    def one(*reached):
        return made(reached, [[0.9]] * 4, [0, 1, 2, 3], [True, True, True, False])

    filmed = {
        "clean": one(0.9, 0.9, 0.9, 0.0),
        "dark": one(0.5, 0.9, 0.9, 0.9),
        "infrared": one(0.9, 0.5, 0.5, 0.9),
    }
    costs = tries.costs(tries.figures(filmed, ROWS, draws=20, seed=1))
    rows = tries.with_costs(ROWS, costs)
    night = costs["aged_night"]["1e-03"]
    assert night["low"] < night["value"] < night["high"]
    assert [row["threshold"] for row in rows] == [0.4, 0.6]
    assert [row["aged_day"] for row in rows] == [0.0, 0.0]
    assert [row["aged_night"] for row in rows] == [0.0, 0.6667]


def test_what_was_not_measured_costs_none_not_nothing(config, shown, poses):
    assert tries.with_costs(ROWS, tries.costs({})) == [
        row | dict.fromkeys(record.COSTS) for row in ROWS
    ]
    nobody = made([0.9], [[0.9]], [0], [False])
    costs = tries.costs(tries.figures({"clean": nobody}, ROWS, draws=9, seed=1))
    rows = tries.with_costs(ROWS, costs)
    assert rows[0]["aged_day"] is None
    config.calibrate.tries = 0
    assert tries.film(config, embed, shown) == {}


def test_the_bundle_costs_what_the_kept_report_measured():
    models = ROOT / "custom_components" / "face_lock" / "models"
    rows = bundle.read(models)["models"]["verifier"]["thresholds"]
    report = json.loads((ROOT / "training/reports/verifier.json").read_text())
    costs = report["figures"]["calibrate"]["costs"]
    assert rows == tries.with_costs(rows, costs)
