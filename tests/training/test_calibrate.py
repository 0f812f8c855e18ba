"""What the threshold table promises, kept on people whom calibration has not seen."""

import numpy as np
import pytest

from training.verifier import calibrate, gallery, limits, metrics, table, tails
from training.verifier.config import CalibrateSettings

DIMENSIONS = 16


def trials_of(people, seed, spread=0.7, tail_share=0.05, together=0.0, crowded=0.0):
    """Four pictures each of made-up people, two of them enrolled; one distribution for all.

    `together` moves all in one direction, `crowded` is the least crowding of anybody.
    """
    rng = np.random.default_rng(seed)
    centres = together + rng.normal(size=(people, 1, DIMENSIONS))
    drawn = centres + spread * rng.normal(size=(people, 4, DIMENSIONS))
    drawn = drawn.reshape(-1, DIMENSIONS).astype(np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    person = np.repeat(np.arange(people), 4)
    # Everybody has a crowding of their own.
    crowding = rng.uniform(crowded, crowded + 0.1, people).astype(np.float32)[person]
    drawn = np.hstack([drawn, crowding[:, None]])
    enrolled = gallery.split_gallery(person)
    templates, owners = gallery.templates(drawn[enrolled], person[enrolled])
    return metrics.collect(
        templates, owners, drawn[~enrolled], person[~enrolled], tail_share=tail_share
    )


@pytest.fixture(scope="module")
def fresh():
    """Enough other people of the same distribution to know the true rates."""
    return trials_of(1500, 999, tail_share=0.02)


def test_the_upper_bound_holds_on_fresh_people(fresh):
    settings = CalibrateSettings(rates=[1e-2, 1e-3, 1e-4], tail_share=0.02)
    kept, rows_seen = 0, 0
    for seed in range(10):
        trials = trials_of(150, seed)
        draws = metrics.draw_people(trials.people, 80, seed)
        one = table.domain("made", trials, settings, draws, (1, 5))
        for size in (1, 5):
            for row in table.make_table([one], trials, settings, size):
                if not row["measured"]:
                    continue
                true = metrics.false_accept_rates(fresh, np.array([row["threshold"]]), size=size)[0]
                kept += true <= row["fpr"]
                rows_seen += 1
    assert rows_seen >= 25
    # Each is a 97.5 % bound; of independent ones fewer than 90 % would be a rare accident.
    assert kept / rows_seen >= 0.9


def test_the_fitted_rows_hold_on_fresh_people(fresh):
    settings = CalibrateSettings(rates=[1e-2, 1e-5], tail_share=0.02)
    kept = 0
    for seed in range(8):
        trials = trials_of(150, seed)
        draws = metrics.draw_people(trials.people, 60, seed)
        row = table.make_table([table.domain("made", trials, settings, draws)], trials, settings)[1]
        assert not row["measured"]
        kept += metrics.false_accept_rates(fresh, np.array([row["threshold"]]))[0] <= 1e-5
    assert kept >= 7


def test_a_gallery_never_takes_more_than_the_union_bound():
    settings = CalibrateSettings(rates=[1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4], tail_share=0.02)
    trials = trials_of(200, 3)
    draws = metrics.draw_people(trials.people, 60, 3)
    one = table.domain("made", trials, settings, draws, (1, 5, 20))
    rows = table.make_table([one], trials, settings)
    for size in (5, 20):
        measured = calibrate.with_union(table.make_table([one], trials, settings, size), rows, size)
        beside = [row for row in measured if row["measured"] and row["union_threshold"]]
        assert beside
        for row in beside:
            assert row["threshold"] <= row["union_threshold"] + 1e-4
            assert row["threshold"] > next(r for r in rows if r["fpr"] == row["fpr"])["threshold"]
        assert measured[-1]["union_threshold"] is None


def test_a_small_domain_is_watched_with_a_bound_that_is_never_nothing():
    from training.verifier.config import from_dict

    config = from_dict({"name": "made", "evaluate": {"bootstrap": 40}})
    trials = trials_of(12, 1, tail_share=1.0)
    rows = [
        {"fpr": 1e-2, "threshold": 0.3, "fpr_high": 1e-2},
        {"fpr": 1e-4, "threshold": 0.999, "fpr_high": 1e-4},
    ]
    found = table.watch(config, trials, rows)
    assert found["pairs of people"] == 12 * 11
    loose, strict = (found["fpr at threshold"][key] for key in ("1e-02", "1e-04"))
    assert loose["fpr"] < loose["fpr_high"]
    # None of 132 pairs: the one-sided 97.5 % bound.
    assert strict["fpr"] == 0.0
    assert strict["fpr_high"] == pytest.approx(1 - 0.025 ** (1 / 132))
    worst = table.worst_cases(rows, {"lamps": found})
    assert worst["1e-02"]["where"] == "lamps"
    assert worst["1e-02"]["fpr_high"] == loose["fpr_high"]
    assert worst["1e-02"]["of_one_pair"] == loose["of one pair"] > 0
    # None was seen: that bound says how small the domain is, and is no worst case.
    assert worst["1e-04"]["where"] == "the table"
    assert calibrate.advice(rows, worst, {}) == []
    loud = {"threshold": 0.9, "fpr": 1e-3, "fpr_high": 5e-3, "pairs of people": 6}
    loud["of one pair"] = 0.75
    watched = {"lamps": {"fpr at threshold": {"1e-04": loud}}}
    (line,) = calibrate.advice(rows, table.worst_cases(rows, watched), {})
    assert "lamps allows up to 0.005 (6 pairs of people" in line
    assert "75 %" in line


def test_a_group_of_strangers_who_are_more_alike_sets_the_thresholds():
    from training.verifier.config import from_dict

    values = {"rates": [1e-2, 1e-3], "tail_share": 0.02, "min_people": 100}
    config = from_dict({"name": "made", "evaluate": {"bootstrap": 40}, "calibrate": values})
    mixed, alike, few = trials_of(150, 1), trials_of(150, 2, together=1.0), trials_of(30, 3)
    named = [("clean, all sources", mixed), ("dark, here", alike), ("dark, there", few)]
    domains, watched = table.make_domains(config, named)
    assert [one.name for one in domains] == ["clean, all sources", "dark, here"]
    assert list(watched) == ["dark, there"]
    rows = table.make_table(domains, mixed, config.calibrate)
    alone = table.make_table(domains[:1], mixed, config.calibrate)
    for row, without in zip(rows, alone, strict=True):
        assert row["worst"] == "dark, here"
        assert row["threshold"] > without["threshold"] + 0.05
        at = np.array([row["threshold"]])
        assert metrics.false_accept_rates(alike, at)[0] <= row["fpr"]
    with pytest.raises(ValueError, match="100 enrolled"):
        table.make_domains(config, named[2:])


def test_what_was_counted_of_a_few_people_is_not_above_the_rate_either():
    settings = CalibrateSettings(rates=[1e-2, 5e-3, 1e-5], tail_share=0.02)
    many, few = trials_of(150, 1), trials_of(30, 3, together=1.0)
    # The last rate is one that so few cannot count.
    assert 1e-5 * few.impostors < metrics.LEAST_COUNTED <= 5e-3 * few.impostors
    one = table.domain("many", many, settings, metrics.draw_people(many.people, 40, 1))
    alone = table.make_table([one], many, settings)
    rows = table.make_table([one], many, settings, few={"webcam": few})
    at = np.array([row["threshold"] for row in rows])
    assert (metrics.false_accept_rates(few, at)[:2] <= settings.rates[:2]).all()
    before = np.array([row["threshold"] for row in alone])
    assert (metrics.false_accept_rates(few, before)[:2] > settings.rates[:2]).any()
    assert at[2] == pytest.approx(max(before[2], at[1] + 1e-4))
    assert (at >= before).all()
    raised = at > before
    assert [row["worst"] for row in rows] == ["webcam" if more else "many" for more in raised]
    # Whether the row was counted or fitted is said of those who are enough to tell.
    assert [row["measured"] for row in rows] == [row["measured"] for row in alone]


def test_thresholds_may_lie_below_every_cosine():
    """Where everybody is crowded, all scores are low."""
    settings = CalibrateSettings(rates=[1e-2, 1e-3], tail_share=0.02)
    trials = trials_of(150, 1, crowded=1.0)
    draws = metrics.draw_people(trials.people, 40, 1)
    rows = table.make_table([table.domain("made", trials, settings, draws)], trials, settings)
    assert rows[0]["threshold"] < -1.0
    assert rows[0]["fpr_high"] > 1e-3


def bins(*rates, people=50):
    return [
        {"low": 10.0 * k, "people": people, "fpr": {"low": rate, "value": rate, "high": rate}}
        for k, rate in enumerate(rates)
    ]


def test_a_limit_is_fitted_where_the_promise_begins_to_hold():
    assert limits.fitted_limit(bins(1e-2, 1e-3, 1e-5, 1e-5), 1e-4) == 20.0
    assert limits.fitted_limit(bins(1e-5, 1e-3, 1e-5, 1e-4), 1e-4) == 20.0
    assert limits.fitted_limit(bins(1e-5, 1e-5), 1e-4) == 0.0
    assert limits.fitted_limit(bins(1e-5, 1e-3), 1e-4) is None
    few = bins(1e-5, people=3) + bins(1e-5, 1e-5)[1:]
    assert limits.fitted_limit(few, 1e-4) == 10.0
    # At the upper end, few people stop nothing.
    few = [*bins(1e-5, 1e-5), bins(1e-5, 1e-5, 1e-2, people=3)[2]]
    assert limits.fitted_limit(few, 1e-4) == 0.0
    known = [entry | {"tar": share} for entry, share in zip(few, (0.1, 0.2, 0.3), strict=True)]
    assert limits.tar_below(known, 20.0) == 0.2
    assert limits.tar_below(known, 0.0) is None


def test_pictures_get_darker_blurrier_and_smaller(crops):
    rng = np.random.default_rng(0)
    dark = np.stack([limits.darken(crops[0], rng) for _ in range(30)])
    assert dark.mean(axis=(1, 2, 3)).min() < 0.4 * crops[0].mean()
    _, clear = gallery.qualities(crops[:1])
    _, blurred = gallery.qualities(np.stack([limits.blur(crops[0], rng) for _ in range(30)]))
    assert blurred.min() < 0.3 * clear[0]
    shown, widths = limits.shrink(crops, np.full(12, 40.0), 75.0, rng)
    assert shown.shape == crops.shape
    assert widths.max() <= 40.0
    assert widths.min() < 20.0


def test_a_bin_takes_the_worse_of_two_ways_to_enrol():
    trials_people = 8
    rng = np.random.default_rng(2)
    probes = rng.normal(size=(40, 4)).astype(np.float32)
    probes /= np.linalg.norm(probes, axis=1, keepdims=True)
    probes = np.hstack([probes, rng.uniform(0.0, 0.2, (40, 1)).astype(np.float32)])
    person = np.arange(40) % trials_people
    far = np.tile(np.array([[0, 0, 0, 1.0, 0.1]], np.float32), (trials_people, 1))
    near = probes[:trials_people]
    weights = metrics.draw_people(trials_people, 20, 0)
    found = limits.bin_figures(
        probes,
        person,
        {"clean": (far, np.arange(8)), "dark": (near, np.arange(8))},
        0.5,
        weights,
    )
    enrolled = {"clean": far, "dark": near}
    of = {name: metrics.pairwise_scores(t, probes) >= 0.5 for name, t in enrolled.items()}
    other = np.arange(8)[:, None] != person
    rates = {name: flag[other].mean() for name, flag in of.items()}
    assert found["fpr"]["value"] == pytest.approx(max(rates.values()))
    assert found["enrolled"] == max(rates, key=rates.get)
    assert found["tar"] == pytest.approx(of["clean"][~other].mean())


def test_the_tail_of_a_draw_follows_its_people():
    trials = trials_of(150, 4)
    plain = tails.tail_of(trials, np.ones(trials.people), 0.01)
    assert plain.share == pytest.approx(0.01, rel=0.05)
    counted = metrics.thresholds_at(trials, np.array([0.01]))[0]
    assert plain.start == pytest.approx(counted, abs=1e-3)
