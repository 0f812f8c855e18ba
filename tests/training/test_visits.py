"""Visits are decided by the product; the rate of strangers by the rule of its quorum."""

import numpy as np
import pytest

from training.verifier import metrics, visits
from training.verifier.gallery import Protocol
from training.verifier.visits import Visits

QUORUM = 3


def made(people=6, count=40, frames=5, seed=0, spread=0.9):
    """Visits of enrolled people and of two strangers."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people + 2, 8))
    person = rng.integers(0, people + 2, count)
    seen = centres[person][:, None] + spread * rng.normal(size=(count, frames, 8))
    seen /= np.linalg.norm(seen, axis=2, keepdims=True)
    templates = centres[:people] / np.linalg.norm(centres[:people], axis=1, keepdims=True)
    usable = rng.random((count, frames)) > 0.15
    # Some live in more of a crowd than others.
    crowding = rng.uniform(0.0, 0.2, people + 2)
    templates = np.hstack([templates, crowding[:people, None]]).astype(np.float32)
    behind = np.repeat(crowding[person][:, None, None], frames, axis=1)
    seen = np.concatenate([seen, behind], axis=2).astype(np.float32)
    scores = metrics.pairwise_scores(templates, seen.reshape(-1, 9)).reshape(people, count, frames)
    scores[:, ~usable] = visits.NO_EVIDENCE
    return Visits(scores, usable, np.arange(people), person, templates, seen, people + 2)


def test_a_door_of_one_opens_when_the_quorum_agrees():
    films = made()
    reached = visits.quorum_scores(films, QUORUM)
    opened = 0
    for visit in range(len(films.person)):
        for row in range(len(films.owner)):
            granted, who = visits.decide(films, visit, np.array([row]), 0.6)
            assert granted == (reached[row, visit] >= 0.6)
            assert who == (row if granted else None)
            opened += granted
    assert 0 < opened < reached.size


def test_a_door_of_several_opens_no_oftener_than_its_best():
    films = made(spread=1.2)
    reached = visits.quorum_scores(films, QUORUM)
    rows = np.arange(len(films.owner))
    stricter = 0
    for visit in range(len(films.person)):
        granted, who = visits.decide(films, visit, rows, 0.3)
        best = bool((reached[:, visit] >= 0.3).any())
        assert best or not granted
        if granted:
            assert reached[who, visit] >= 0.3
        stricter += best and not granted
    # Frames that look like two people open for neither: that happens here.
    assert stricter > 0


def test_too_few_frames_open_nothing():
    films = made(frames=2)
    assert (visits.quorum_scores(films, QUORUM) == visits.NO_EVIDENCE).all()
    assert not visits.decide(films, 0, np.array([0]), -1.5)[0]


def test_figures_have_the_shares_that_opened():
    films = made(count=120)
    found = visits.figures(films, {1: 0.6, 4: 0.6, 9: 0.6}, quorum=QUORUM, draws=30, seed=1)
    # Nine people are not enrolled here.
    assert list(found) == ["1", "4"]
    reached = visits.quorum_scores(films, QUORUM)
    genuine = np.nonzero(films.person < 6)[0]
    wanted = (reached[films.person[genuine], genuine] >= 0.6).mean()
    assert found["1"]["visits"] == len(genuine)
    assert found["1"]["tar"]["value"] == pytest.approx(wanted)
    assert found["1"]["tar"]["low"] <= wanted <= found["1"]["tar"]["high"]
    assert found["1"]["wrong_person"]["value"] == 0.0
    assert found["4"]["fpr"]["value"] >= found["1"]["fpr"]["value"]
    trials = visits.visit_trials(films, QUORUM)
    rate = metrics.false_accept_rates(trials, np.array([0.6]))[0]
    assert found["1"]["fpr"]["value"] == pytest.approx(rate)
    frames = (films.scores[films.person[genuine], genuine] >= 0.6).mean()
    assert found["1"]["frame_tar"]["value"] == pytest.approx(frames)


def test_no_stranger_seen_is_not_a_rate_of_nothing():
    found = visits.figures(made(), {1: 0.9999, 4: 0.9999}, quorum=QUORUM, draws=20, seed=1)
    # Six templates, seven others each.
    assert found["1"]["fpr"]["value"] == 0.0
    assert found["1"]["fpr"]["high"] == pytest.approx(1 - 0.025 ** (1 / 42))
    assert found["4"]["fpr"]["high"] == pytest.approx(4 * (1 - 0.025 ** (1 / 42)))


def test_everybody_visits_once_before_anybody_twice():
    person = np.repeat(np.arange(5), 8)
    shown = Protocol(
        np.zeros((40, 112, 112, 3), np.uint8), person, np.full(40, "made"), np.full(40, 90.0),
        np.tile(np.arange(8) < 2, 5), [str(k) for k in range(5)],
    )  # fmt: skip
    rows = visits.choose_probes(shown, 7, 0)
    assert not shown.enrolled[rows].any()
    counts = np.bincount(person[rows], minlength=5)
    assert sorted(counts.tolist()) == [1, 1, 1, 2, 2]


def test_frames_of_one_visit_differ_in_place_and_noise(crops):
    frames = [visits.frames_of(crops[:2], "dark", number, 3) for number in (0, 1)]
    again = visits.frames_of(crops[:2], "dark", 0, 3)
    assert (frames[0] == again).all()
    assert np.abs(frames[0].astype(float) - frames[1]).mean() > 1.0
