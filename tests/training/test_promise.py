"""A row that lets in more than it promises is said."""

import numpy as np
import pytest

from training.verifier import metrics, promise


@pytest.fixture(scope="module")
def trials() -> metrics.Trials:
    """Forty people who are compared with one another; three pairs of them are alike."""
    scores = np.full((40, 40), 0.1, np.float32)
    scores += np.linspace(0, 0.05, 1600, dtype=np.float32).reshape(40, 40)
    for one, other in ((0, 1), (2, 3), (4, 5)):
        scores[one, other] = scores[other, one] = 0.7
    return metrics.collect_scores(scores, np.arange(40), np.arange(40))


def test_a_rate_has_the_bound_of_drawing_people(trials):
    draws = metrics.draw_people(trials.people, 100, 1)
    found = promise.rate_with_bound(trials, 0.5, draws)
    assert (found["above"], found["trials"]) == (6, 40 * 39)
    assert found["fpr"] == pytest.approx(6 / (40 * 39))
    assert found["high"] > 1.5 * found["fpr"]


def test_where_none_is_above_the_bound_is_not_nothing(trials):
    found = promise.rate_with_bound(trials, 0.9, metrics.draw_people(trials.people, 20, 1))
    assert (found["fpr"], found["above"]) == (0.0, 0)
    assert found["high"] == pytest.approx(metrics.none_in(40 * 39))


def figures(**more):
    group = {"fpr": 2e-3, "high": 4e-3, "above": 8, "trials": 4000, "condition": "dark"}
    row = {
        "threshold": 0.31,
        "groups": {"here": group},
        "tar": {"clean": {"value": 0.97}},
        "owners": {"dark": {"missed": {"value": 0.25}}},
    }
    return {"rows": {"1e-03": row}, "broken": []} | more


def test_the_lines_name_group_condition_and_cost():
    row, verdict = promise.table_of(figures()).splitlines()
    assert row.startswith("1e-03 at 0.31: here 2.0e-03 (<= 4.0e-03, dark)")
    assert "clean 97.0" in row
    assert row.endswith("owners missed dark 25.0")
    assert verdict == "no row is broken in any group"
    said = promise.table_of(figures(broken=["here in dark: too often"]))
    assert said.splitlines()[1:] == ["here in dark: too often"]
