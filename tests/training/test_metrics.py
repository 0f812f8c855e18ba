"""Error rates against counting by hand, and what every threshold table must keep."""

from itertools import pairwise

import numpy as np
import pytest

from training.verifier import gallery, metrics, table as tables, tails
from training.verifier.config import CalibrateSettings

RNG = np.random.default_rng(4)


def _population(people: int, pictures: int, spread: float, seed: int = 0):
    """Embeddings [N, 25] around one direction per person, and whose they are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 1, 24))
    drawn = centres + spread * rng.normal(size=(people, pictures, 24))
    drawn = drawn.reshape(-1, 24).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    person = np.repeat(np.arange(people), pictures)
    # Everybody has a crowding of their own.
    crowding = rng.uniform(0.0, 0.1, people).astype(np.float32)[person]
    return np.hstack([drawn, crowding[:, None]]), person


@pytest.fixture(scope="module")
def trials() -> metrics.Trials:
    embeddings, person = _population(150, 4, 0.8)
    enrolled = gallery.split_gallery(person)
    templates, owners = gallery.templates(embeddings[enrolled], person[enrolled])
    return metrics.collect(templates, owners, embeddings[~enrolled], person[~enrolled])


def test_rates_are_what_counting_gives():
    embeddings, person = _population(30, 4, 0.8)
    enrolled = gallery.split_gallery(person)
    templates, owners = gallery.templates(embeddings[enrolled], person[enrolled])
    probes, probe_person = embeddings[~enrolled], person[~enrolled]
    trials = metrics.collect(templates, owners, probes, probe_person, tail_share=1.0)
    cosines = templates[:, :-1] @ probes[:, :-1].T
    scores = cosines - templates[:, -1:] - probes[:, -1]
    same = owners[:, None] == probe_person[None]
    assert trials.impostors == (~same).sum()
    for threshold in (0.0, 0.2, 0.5):
        far = metrics.false_accept_rates(trials, [threshold])[0]
        assert far == pytest.approx((scores[~same] >= threshold).mean())
        tar = metrics.true_accept_rates(trials, [threshold])[0]
        assert tar == pytest.approx((scores[same] >= threshold).mean())
    for rate in (0.1, 0.01):
        threshold = metrics.thresholds_at(trials, [rate])[0]
        assert (scores[~same] >= threshold).mean() <= rate
        # And no lower threshold would do: the next score down is one too many.
        lower = scores[~same][scores[~same] < threshold].max()
        assert (scores[~same] >= lower).mean() > rate


def test_a_person_drawn_twice_counts_twice_on_both_sides(trials):
    weights = np.ones(trials.people)
    weights[3] = 2.0
    pairs = np.outer(trials.enrolled * weights, trials.probes * weights)
    assert trials.impostor_weight(weights) == pytest.approx(pairs.sum() - np.trace(pairs))


def test_a_rate_beyond_the_tail_kept_has_no_threshold(trials):
    assert np.isnan(metrics.thresholds_at(trials, [0.2])[0])


def test_intervals_contain_the_figure(trials):
    found = metrics.tar_at_far(trials, (1e-2, 1e-3), draws=60)
    for estimate in found.values():
        assert estimate.low <= estimate.value <= estimate.high
        assert estimate.low < estimate.high
    assert found[1e-3].value < found[1e-2].value


def test_accuracy_is_perfect_for_people_who_never_meet():
    embeddings, person = _population(60, 4, 0.01)
    enrolled = gallery.split_gallery(person)
    templates, owners = gallery.templates(embeddings[enrolled], person[enrolled])
    far_apart = metrics.collect(templates, owners, embeddings[~enrolled], person[~enrolled])
    assert metrics.best_accuracy(far_apart) == pytest.approx(1.0)


def test_everybody_enrolled_also_comes_as_a_probe():
    person = np.array([0, 0, 1, 2, 2, 2, *[3] * 30])
    enrolled = gallery.split_gallery(person)
    per_person = [int(enrolled[person == k].sum()) for k in range(4)]
    assert per_person == [1, 0, 2, gallery.ENROLLED]


def test_the_lamp_is_read_from_the_file_name():
    assert gallery.lamp_angle("yaleB01_P00A+000E+00.pgm") == pytest.approx(0.0, abs=1e-3)
    assert gallery.lamp_angle("yaleB01_P00A-035E+00.pgm") == pytest.approx(35.0)
    assert gallery.lamp_angle("yaleB01_P00A+000E-90.pgm") == pytest.approx(90.0)


def test_a_pareto_tail_is_found_again():
    rng = np.random.default_rng(2)
    shape, scale, start = -0.05, 0.04, 0.5
    uniform = rng.random(20_000)
    scores = start + scale / shape * (uniform**-shape - 1.0)
    ordered = np.sort(np.append(scores, start))[::-1]
    tail = tails.fit_tail(ordered, np.ones(len(ordered)), 0.01)
    assert tail.shape == pytest.approx(shape, abs=0.03)
    assert tail.scale == pytest.approx(scale, rel=0.05)
    wanted = start + scale / shape * (1e-3**-shape - 1.0)
    assert tail.threshold(1e-5) == pytest.approx(wanted, abs=0.01)
    assert tail.rate(tail.threshold(1e-6)) == pytest.approx(1e-6, rel=1e-3)


@pytest.fixture(scope="module")
def table(trials):
    settings = CalibrateSettings(tail_share=0.02)
    draws = metrics.draw_people(trials.people, 80, 1)
    embeddings, person = _population(150, 4, 0.9, seed=9)
    enrolled = gallery.split_gallery(person)
    templates, owners = gallery.templates(embeddings[enrolled], person[enrolled])
    other = metrics.collect(templates, owners, embeddings[~enrolled], person[~enrolled])
    domains = [
        tables.domain("one", trials, settings, draws),
        tables.domain("other", other, settings, draws),
    ]
    return tables.make_table(domains, trials, settings), domains, settings


def test_thresholds_rise_as_the_rate_falls(table):
    rows, _, settings = table
    assert [row["fpr"] for row in rows] == settings.rates
    assert rows[0]["fpr"] == 1e-2
    assert rows[-1]["fpr"] == 1e-8
    thresholds = [row["threshold"] for row in rows]
    assert all(low < high for low, high in pairwise(thresholds))
    tars = [row["tar"] for row in rows]
    assert tars == sorted(tars, reverse=True)


def test_the_upper_bound_keeps_the_promise_in_every_domain(table):
    rows, domains, _ = table
    for row in rows:
        assert row["fpr_low"] <= row["fpr_high"] <= row["fpr"]
    for row in (row for row in rows if row["measured"]):
        for one in domains:
            drawn = one.rates(np.array([row["threshold"]]), True)
            assert np.quantile(drawn, 0.975) <= row["fpr"] * 1.0001
            # The bound is above the plain count, not on it.
            assert metrics.false_accept_rates(one.trials, [row["threshold"]])[0] < row["fpr"]


def test_rows_are_measured_first_and_fitted_after(table):
    rows, domains, settings = table
    flags = [row["measured"] for row in rows]
    assert True in flags
    assert False in flags
    assert flags == sorted(flags, reverse=True)
    for row in (row for row in rows if row["measured"]):
        worst = next(one for one in domains if one.name == row["worst"])
        found = tables.people_pairs(worst.trials, row["threshold"] - 1e-4)
        assert found >= settings.min_people_pairs


def test_confidence_is_a_probability_at_even_odds():
    genuine, impostor = RNG.normal(0.6, 0.1, 4000), RNG.normal(0.1, 0.1, 4000)
    slope, offset = tables.fit_confidence(genuine, impostor)
    # Two normal distributions of one spread: the log odds are linear, zero half way.
    assert slope == pytest.approx(50.0, rel=0.15)
    assert -offset / slope == pytest.approx(0.35, abs=0.02)
