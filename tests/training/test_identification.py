"""Rates against a gallery, against counting every gallery that there is."""

from itertools import combinations
from math import comb

import numpy as np
import pytest

import vision
from training.verifier import gallery, metrics


@pytest.fixture(scope="module")
def small():
    """Ten enrolled people and two strangers: templates, owners, probes, whose probes."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(12, 1, 6))
    pictures = (centres + 0.9 * rng.normal(size=(12, 4, 6))).reshape(-1, 6).astype(np.float32)
    pictures /= np.linalg.norm(pictures, axis=1, keepdims=True)
    person = np.repeat(np.arange(12), 4)
    # Everybody has a crowding of their own.
    crowding = rng.uniform(0.0, 0.1, 12).astype(np.float32)[person]
    pictures = np.hstack([pictures, crowding[:, None]])
    known = (np.tile(np.arange(4), 12) < 2) & (person < 10)
    templates, owners = gallery.templates(pictures[known], person[known])
    return templates, owners, pictures[~known], person[~known], pictures[known], person[known]


def counted(small, size, threshold):
    """FPIR and TPIR over all galleries, the product's matcher finding the best."""
    _, owners, probes, probe_person, pictures, person = small
    chosen = {
        who: tuple(vision.Template(row, "m") for row in pictures[person == who]) for who in owners
    }
    false, strangers, true, own = 0.0, 0.0, 0, 0
    for members in combinations(owners.tolist(), size):
        matcher = vision.Matcher({str(who): chosen[who] for who in members}, model="m")
        for probe, who in zip(probes, probe_person.tolist(), strict=True):
            match = matcher.match(probe)
            accepted = match.similarity >= threshold
            if who in members:
                own += 1
                true += accepted and match.person == str(who)
            else:
                # Every picture weighs as many trials as there are others: see `metrics`.
                weight = (len(owners) - (who in owners)) / _galleries(len(owners), who, size)
                strangers += weight
                false += weight * accepted
    return false / strangers, true / own


def _galleries(enrolled, who, size):
    return comb(enrolled - (who < 10), size)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_rates_are_the_mean_over_all_galleries(small, size):
    templates, owners, probes, probe_person, *_ = small
    trials = metrics.collect(templates, owners, probes, probe_person, tail_share=1.0)
    for threshold in (0.2, 0.5, 0.8):
        false, true = counted(small, size, threshold)
        at = np.array([threshold])
        assert metrics.false_accept_rates(trials, at, size=size)[0] == pytest.approx(false)
        assert metrics.true_accept_rates(trials, at, size=size)[0] == pytest.approx(true)


def test_a_gallery_costs_at_most_as_many_times_as_it_has_people(small):
    trials = metrics.collect(*small[:4], tail_share=1.0)
    at = np.linspace(0.0, 0.95, 40)
    for weights in [None, *metrics.draw_people(trials.people, 20, 0)]:
        one = metrics.false_accept_rates(trials, at, weights)
        for size in (2, 5, 9):
            many = metrics.false_accept_rates(trials, at, weights, size=size)
            assert (many <= size * one + 1e-12).all()
            assert (many >= one - 1e-12).all()


def test_the_threshold_for_a_gallery_holds_its_rate(small):
    trials = metrics.collect(*small[:4], tail_share=1.0)
    for size in (1, 3, 5):
        threshold = metrics.thresholds_at(trials, np.array([0.05]), size=size)
        assert metrics.false_accept_rates(trials, threshold, size=size)[0] <= 0.05
        lower = np.nextafter(threshold.astype(np.float32), np.float32(-1))
        lower = np.nextafter(lower, np.float32(-1))
        assert metrics.false_accept_rates(trials, lower, size=size)[0] > 0.05
