"""Galleries, thresholds and tracks."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, strategies as st

from vision import (
    MIN_SCORE,
    BundleFormatError,
    Face,
    Matcher,
    OperatingPoint,
    Template,
    Thresholds,
    load_thresholds,
)
from vision.tracking.tracker import Tracker


def unit(*values):
    vector = np.array(values, dtype=np.float32)
    # The crowding follows the direction.
    return np.append(vector / np.linalg.norm(vector), np.float32(0.0))


ANNA = Template(unit(1, 0, 0), "m1")
ANNA_AGAIN = Template(unit(1, 1, 0), "m1")
BEN = Template(unit(0, 0, 1), "m1")


class TestMatcher:
    def test_nobody_enrolled_matches_nobody(self):
        assert Matcher({}, model="m1").match(unit(1, 0, 0)) is None

    def test_best_person_with_the_second_best_beside_it(self):
        match = Matcher({"anna": (ANNA,), "ben": (BEN,)}, model="m1").match(unit(2, 0, 1))
        assert match.person == "anna"
        assert match.similarity == pytest.approx(2 / 5**0.5)
        assert match.runner_up == pytest.approx(1 / 5**0.5)

    def test_similarity_is_the_cosine_with_the_centre_of_a_persons_templates(self):
        matcher = Matcher({"anna": (ANNA, ANNA_AGAIN)}, model="m1")
        between = unit(1 + 0.5**0.5, 0.5**0.5, 0)
        assert matcher.match(between).similarity == pytest.approx(1.0)
        assert matcher.match(unit(1, 0, 0)).similarity == pytest.approx(between[0])

    def test_templates_of_another_model_do_not_count(self):
        matcher = Matcher({"anna": (ANNA,), "ben": (Template(ANNA.embedding, "m2"),)}, model="m1")
        assert len(matcher) == 1
        assert Matcher({"anna": (ANNA,)}, model="m2").match(unit(1, 0, 0)) is None


def row(fpr, threshold, measured=True, fpr_high=None):
    return OperatingPoint(fpr, threshold, 0.0, fpr_high or fpr, measured, 0.9)


ROWS = [row(1e-3, 0.4), row(1e-4, 0.5), row(1e-5, 0.6), row(1e-6, 0.7)]


class TestThresholds:
    table = Thresholds(ROWS, slope=20.0, offset=-8.0)

    @pytest.mark.parametrize(
        ("fpr", "people", "expected"),
        [(1e-3, 1, 1e-3), (1e-4, 1, 1e-4), (5e-4, 1, 1e-4), (1e-4, 2, 1e-5), (1e-4, 10, 1e-5),
         (1e-4, 11, 1e-6), (1e-4, 0, 1e-4), (0.5, 1, 1e-3)],
    )  # fmt: skip
    def test_takes_the_next_stricter_row_for_the_whole_gallery(self, fpr, people, expected):
        assert self.table.operating_point(fpr, people).fpr == expected

    @pytest.mark.parametrize(("fpr", "people"), [(1e-7, 1), (1e-6, 2), (0.0, 1), (-1.0, 1)])
    def test_a_rate_below_the_table_is_an_error_never_a_guess(self, fpr, people):
        with pytest.raises(ValueError, match="no threshold"):
            self.table.operating_point(fpr, people)

    @pytest.mark.parametrize(
        "rows",
        [
            [],
            [row(1e-3, 0.5), row(1e-4, 0.5)],
            [row(1e-3, 0.5), row(1e-4, 0.4)],
            [row(1e-3, 0.4), row(1e-3, 0.5)],
            [row(1e-3, 0.4, fpr_high=2e-3)],
            [row(1e-3, 0.4), row(0.0, 0.9)],
            [replace(row(1e-3, 0.4), miss_day=-0.01)],
            [replace(row(1e-3, 0.4), miss_night=1.01)],
            [replace(row(1e-3, 0.4), miss_day=float("nan"))],
        ],
    )
    def test_a_table_that_breaks_its_promise_is_refused(self, rows):
        with pytest.raises(ValueError, match=r"empty|rise|promises|missed visits"):
            Thresholds(rows, slope=1.0, offset=0.0)

    @given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
    def test_confidence_is_a_probability_that_rises_with_similarity(self, similarities):
        confidences = [self.table.confidence(s) for s in sorted(similarities)]
        assert confidences == sorted(confidences)
        assert all(0 < c < 1 for c in confidences)

    @pytest.mark.parametrize(
        ("similarity", "probability"),
        [(0.4, 0.5), (0.5, 1 / (1 + np.exp(-2))), (0.3, 1 / (1 + np.exp(2)))],
    )
    def test_confidence_is_the_logistic_of_the_similarity(self, similarity, probability):
        assert self.table.confidence(similarity) == pytest.approx(probability)

    @pytest.mark.parametrize("slope", [1e6, -1e6])
    def test_a_steep_calibration_saturates_and_does_not_overflow(self, slope):
        table = Thresholds(ROWS, slope=slope, offset=0.0)
        assert {round(table.confidence(s), 6) for s in (-1.0, 1.0)} == {0.0, 1.0}

    def test_bundled_table_covers_every_rate_a_household_can_ask_for(self):
        table = load_thresholds()
        for fpr in (1e-3, 1e-4, 1e-5, 1e-6):
            for people in (1, 5, 20):
                point = table.operating_point(fpr, people)
                assert point.fpr_high <= point.fpr <= fpr / people * 1.001
                assert MIN_SCORE < point.threshold < 1

    def test_bundled_table_says_what_a_rate_costs_and_less_is_never_free(self):
        by_day, by_night = (
            [getattr(point, name) for point in load_thresholds()]
            for name in ("miss_day", "miss_night")
        )
        for shares in (by_day, by_night):
            assert shares == sorted(shares)
            assert shares[0] < shares[-1]
        assert all(day <= night for day, night in zip(by_day, by_night, strict=True))


def face(x, y=0.0, width=60.0):
    return Face((x, y, x + width, y + width), np.zeros((5, 2), np.float32), 0.9)


class TestTracker:
    def track(self):
        return Tracker(max_gap=2.0)

    def test_a_face_that_moves_a_little_and_comes_nearer_is_one_track(self):
        tracker = self.track()
        numbers = [tracker.assign([face(100 + 20 * i, 0, 60 + 8 * i)], i * 0.3) for i in range(5)]
        assert numbers == [[0]] * 5

    def test_two_people_keep_their_numbers_when_listed_the_other_way_round(self):
        tracker = self.track()
        assert tracker.assign([face(0), face(300)], 0.0) == [0, 1]
        assert tracker.assign([face(310), face(10)], 0.3) == [1, 0]

    @pytest.mark.parametrize("after", [face(400), face(100, width=130), face(100, width=20)])
    def test_a_jump_or_another_size_is_another_face(self, after):
        tracker = self.track()
        assert tracker.assign([face(100)], 0.0) == [0]
        assert tracker.assign([after], 0.3) == [1]

    def test_who_comes_after_a_gap_is_another_face(self):
        tracker = self.track()
        assert tracker.assign([face(100)], 0.0) == [0]
        assert tracker.assign([face(100)], 2.1) == [1]

    def test_two_faces_cannot_share_one_track(self):
        tracker = self.track()
        tracker.assign([face(100)], 0.0)
        assert sorted(tracker.assign([face(105), face(95)], 0.3)) == [0, 1]


ENTRY = {
    "fpr": 1e-4, "threshold": 0.5, "fpr_low": 0.0, "fpr_high": 9e-5, "measured": True, "tar": 0.9,
}  # fmt: skip


def written(folder, **more):
    """Write a bundle's description with only one row; return the folder."""
    verifier = {"thresholds": [ENTRY | more], "confidence": {"slope": 1.0, "offset": 0.0}}
    description = {"format": 1, "models": {"verifier": verifier}}
    (folder / "models.json").write_text(json.dumps(description))
    return folder


def test_thresholds_module_reads_only_the_table(tmp_path):
    point = load_thresholds(written(tmp_path)).operating_point(1e-4)
    assert point.threshold == 0.5
    # An older bundle does not say what a rate costs.
    assert (point.miss_day, point.miss_night) == (None, None)


def test_the_cost_of_a_rate_is_read_and_a_field_of_a_later_bundle_left_alone(tmp_path):
    folder = written(tmp_path, miss_day=0.02, miss_night=0.09, unheard_of=1)
    point = load_thresholds(folder).operating_point(1e-4)
    assert (point.miss_day, point.miss_night) == (0.02, 0.09)


@pytest.mark.parametrize("share", [2, "0.1", [0.1]])
def test_a_cost_that_is_no_share_is_an_error(tmp_path, share):
    with pytest.raises(BundleFormatError, match=r"models\.json"):
        load_thresholds(written(tmp_path, miss_day=share))
