"""The owner chooses a false positive rate; the bundle's table gives the similarity it requires."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import exp
from typing import Final

from .similarity import MIN_SCORE

NEARLY_ALL: Final = 0.8
"""Share of the owners' visits by day from which a rate refuses nearly everybody."""


class RateUnavailableError(ValueError):
    """No threshold is known that keeps the requested false positive rate."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """One row of the table, calibrated one picture against one person, in the worst condition.

    ``fpr_low`` and ``fpr_high`` bound the measured rate at ``threshold`` with 95 % confidence, and
    ``fpr_high`` is at most ``fpr``. ``measured`` is False where a fitted tail stands in for counts.
    ``tar`` is the share of clean genuine pairs that are accepted.

    ``miss_day`` and ``miss_night`` are the share, 0..1, of a willing owner's visits that open
    nothing at ``threshold``, enrolled weeks ago; ``aged_day`` and ``aged_night`` that of people
    enrolled with pictures taken years apart. None in a bundle that was not measured for it.
    ``training/verifier/README.md`` says what counts as a visit.
    """

    fpr: float
    threshold: float
    fpr_low: float
    fpr_high: float
    measured: bool
    tar: float
    miss_day: float | None = None
    miss_night: float | None = None
    aged_day: float | None = None
    aged_night: float | None = None

    @property
    def costs(self) -> tuple[float | None, ...]:
        """All shares of missed visits."""
        return self.miss_day, self.miss_night, self.aged_day, self.aged_night

    @property
    def refuses_nearly_all(self) -> bool:
        """Whether hardly anybody enrolled would be let in, even by day; False if not measured."""
        return self.miss_day is not None and self.miss_day >= NEARLY_ALL


class Thresholds:
    """Translates a false positive rate into a threshold, and a similarity into a confidence."""

    def __init__(self, rows: Sequence[OperatingPoint], *, slope: float, offset: float) -> None:
        """Take the table and the logistic calibration of similarity to probability.

        Raises:
            ValueError: the table is empty, its thresholds do not rise as the rate falls, or a
                figure is out of range.

        """
        self.rows = tuple(sorted(rows, key=lambda row: -row.fpr))
        if not self.rows:
            raise ValueError("the threshold table is empty")
        for looser, stricter in zip(self.rows, self.rows[1:], strict=False):
            if stricter.fpr >= looser.fpr or stricter.threshold <= looser.threshold:
                raise ValueError("thresholds must rise strictly as the false positive rate falls")
        # NaN compares false, so each condition states what must hold.
        if not all(0 < row.fpr < 1 and 0 <= row.fpr_high <= row.fpr for row in self.rows):
            raise ValueError("a row promises a rate below its upper bound")
        # The fitted tail of a poor network may reach beyond 1; such a row never opens.
        if not all(MIN_SCORE <= row.threshold < 2 and 0 <= row.tar <= 1 for row in self.rows):
            raise ValueError("a threshold lies beyond all scores, or a share outside 0..1")
        if not all(0 <= row.fpr_low <= row.fpr_high for row in self.rows):
            raise ValueError("an interval ends before it begins")
        shares = [miss for row in self.rows for miss in row.costs]
        if any(miss is not None and not 0 <= miss <= 1 for miss in shares):
            raise ValueError("a share of missed visits lies outside 0..1")
        self._slope = slope
        self._offset = offset

    def __iter__(self) -> Iterator[OperatingPoint]:
        """Iterate over the rows, loosest first."""
        return iter(self.rows)

    def operating_point(self, fpr: float, people: int = 1) -> OperatingPoint:
        """Choose the row for a false positive rate against a whole gallery of ``people``.

        A stranger has one chance per enrolled person, so each person gets ``fpr / people`` (the
        union bound, which holds however alike the enrolled people are). Between two rows the
        stricter one is taken; nothing is interpolated.

        Raises:
            RateUnavailableError: no row is that strict.

        """
        wanted = fpr / max(1, people) * (1 + 1e-9)
        for row in self.rows:
            if row.fpr <= wanted:
                return row
        raise RateUnavailableError(f"no threshold is known for a false positive rate of {wanted:g}")

    def confidence(self, similarity: float) -> float:
        """Probability, 0..1, that a face of this similarity is the person's, at even odds."""
        logit = self._slope * similarity + self._offset
        # In this order a similarity that is not a number gets no confidence.
        return 1.0 / (1.0 + exp(-max(-40.0, min(logit, 40.0))))
