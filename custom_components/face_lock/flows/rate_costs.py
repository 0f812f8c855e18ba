"""What each false positive rate costs, as placeholders for the texts of the forms.

The texts know the rates themselves, written as a language writes them ("1 in 10,000"). They cannot
know how many of 100 tries of an enrolled person the bundle misses at that rate, by day and by
night. One placeholder is one number, so that a translator sees whole sentences or table rows:

    | Strangers let in | missed by day | missed by night |
    |---|---|---|
    | 1 in 10,000 | {one_in_10000_day} of 100 | {one_in_10000_night} of 100 |
"""

from __future__ import annotations

from ..format import UNKNOWN, of_hundred
from ..settings import FALSE_POSITIVE_RATES
from ..vision import Thresholds

__all__ = ["UNKNOWN", "of_hundred", "rate_costs"]


def rate_costs(thresholds: Thresholds, people: int) -> dict[str, str]:
    """Return for every rate on offer what it costs, by day and by night.

    The placeholders are ``RATE_day`` and ``RATE_night`` for somebody enrolled lately, and
    ``RATE_aged_day`` and ``RATE_aged_night`` for pictures that are years old.

    ``RATE`` is a key of ``FALSE_POSITIVE_RATES``, ``people`` the number enrolled (none counts as
    one): the more they are, the stricter the row that keeps the rate for all of them together, and
    the more it misses. Values read as "... of 100 tries": a whole number from 1 to 99, ``<1``,
    ``>99``, or ``UNKNOWN``. Nothing is raised for a rate that cannot be had.
    """
    costs: dict[str, str] = {}
    for key, rate in FALSE_POSITIVE_RATES.items():
        try:
            shares = thresholds.operating_point(rate, people).costs
        except ValueError:
            shares = (None,) * 4
        names = ("day", "night", "aged_day", "aged_night")
        costs |= {
            f"{key}_{name}": of_hundred(share) for name, share in zip(names, shares, strict=True)
        }
    return costs
