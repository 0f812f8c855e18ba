"""What a rate costs, as the forms show it."""

import pytest
from hypothesis import given, strategies as st

from custom_components.face_lock.flows.rate_costs import UNKNOWN, of_hundred, rate_costs
from custom_components.face_lock.settings import FALSE_POSITIVE_RATES
from custom_components.face_lock.vision import OperatingPoint, Thresholds, load_thresholds


def row(
    fpr: float, threshold: float, day: float | None, night: float | None, *aged: float
) -> OperatingPoint:
    return OperatingPoint(fpr, threshold, 0.0, fpr, True, 0.9, day, night, *aged)


TABLE = Thresholds(
    [
        row(1e-3, 0.4, 0.004, 0.0312, 0.07, 0.21),
        row(1e-4, 0.5, 0.0212, 0.0876),
        row(5e-5, 0.55, 0.0349, 0.1234),
        row(1e-5, 0.6, None, 0.995),
    ],
    slope=1.0,
    offset=0.0,
)


@pytest.mark.parametrize("people", [0, 1])
def test_every_rate_has_a_number_by_day_and_by_night(people) -> None:
    lately = {name: text for name, text in rate_costs(TABLE, people).items() if "aged" not in name}
    assert lately == {
        "one_in_1000_day": "<1",
        "one_in_1000_night": "3",
        "one_in_10000_day": "2",
        "one_in_10000_night": "9",
        # Not measured, and not said to be nothing; nor is it said that all are missed.
        "one_in_100000_day": UNKNOWN,
        "one_in_100000_night": ">99",
        # The table ends before.
        "one_in_1000000_day": UNKNOWN,
        "one_in_1000000_night": UNKNOWN,
    }


def test_what_years_cost_is_said_beside_it() -> None:
    costs = rate_costs(TABLE, 1)
    assert (costs["one_in_1000_aged_day"], costs["one_in_1000_aged_night"]) == ("7", "21")
    assert costs["one_in_10000_aged_day"] == costs["one_in_1000000_aged_night"] == UNKNOWN


def test_the_more_are_enrolled_the_more_it_costs() -> None:
    costs = rate_costs(TABLE, 2)
    assert (costs["one_in_10000_day"], costs["one_in_10000_night"]) == ("3", "12")
    assert rate_costs(TABLE, 20)["one_in_1000_day"] == "3"
    assert rate_costs(TABLE, 20)["one_in_10000_night"] == UNKNOWN


@given(st.floats(0, 1))
def test_neither_none_nor_all_is_claimed_and_the_rest_is_within_a_half(share) -> None:
    said = of_hundred(share)
    if said == "<1":
        assert share < 0.01
    elif said == ">99":
        assert share > 0.99
    else:
        assert 1 <= int(said) <= 99
        assert abs(int(said) - 100 * share) <= 0.5 + 1e-9


def test_the_bundle_knows_the_cost_of_what_a_household_is_offered() -> None:
    thresholds = load_thresholds()
    for people in (1, 5):
        costs = rate_costs(thresholds, people)
        assert len(costs) == 4 * len(FALSE_POSITIVE_RATES)
        assert UNKNOWN not in costs.values()
    # The text of a placeholder must survive Markdown and Home Assistant's message format.
    assert not any(set("{}|*_`'#") & set(value) for value in costs.values())
