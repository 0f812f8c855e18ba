"""The published record of the calibration bears out the table that is shipped."""

import copy
import json

import numpy as np
import pytest

from training.common import bundle
from training.common.paths import ROOT
from training.verifier import metrics, record

MODELS = ROOT / "custom_components" / "face_lock" / "models"
PUBLISHED = ROOT / "training" / "reports" / "calibration.json"


@pytest.fixture(scope="module")
def shipped():
    return bundle.read(MODELS)["models"]["verifier"]


@pytest.fixture(scope="module")
def published():
    return json.loads(PUBLISHED.read_text())


def test_on_validation_people_no_measured_row_lets_in_more_than_its_upper_bound(shipped, published):
    assert record.broken_promises(shipped, published) == []
    measured = [row for row in shipped["thresholds"] if row["measured"]]
    assert measured
    setting = [one for one in published["domains"].values() if one["sets_thresholds"]]
    assert setting
    # Spelled out: what `broken_promises` counts.
    for row in measured:
        place = published["grid"].index(row["threshold"])
        for one in setting:
            assert one["above"][place] / one["impostors"] <= row["fpr_high"] <= row["fpr"]
    counted = [one for one in published["domains"].values() if one["counts"]]
    assert counted
    for row in shipped["thresholds"]:
        place = published["grid"].index(row["threshold"])
        for one in counted:
            assert one["above"][place] / one["impostors"] <= row["fpr"]


def test_the_record_holds_counts_of_domains_and_nothing_of_anybody(published):
    assert set(published) == {"format", "verifier", "table", "grid", "domains"}
    for one in published["domains"].values():
        kinds = {"sets_thresholds", "counts"}
        assert set(one) == {*kinds, "enrolled", "probes", "impostors", "above"}
        known = [count for count in one["above"] if count is not None]
        assert all(isinstance(count, int) for count in known)
        assert known == sorted(known, reverse=True)


def test_a_broken_promise_is_said(shipped, published):
    other = copy.deepcopy(published)
    other["verifier"] = "0" * 64
    assert "another verifier" in record.broken_promises(shipped, other)[0]
    changed = copy.deepcopy(shipped)
    changed["thresholds"][0]["threshold"] -= 0.01
    assert "another table" in record.broken_promises(changed, published)[0]
    # What a rate costs the enrolled is no promise to be kept from strangers.
    dearer = copy.deepcopy(shipped)
    dearer["thresholds"][0]["miss_night"] = 0.999
    assert record.broken_promises(dearer, published) == []
    leaky = copy.deepcopy(published)
    name = next(name for name, one in leaky["domains"].items() if one["sets_thresholds"])
    leaky["domains"][name]["above"] = [
        None if count is None else count * 100 + 100 for count in leaky["domains"][name]["above"]
    ]
    found = record.broken_promises(shipped, leaky)
    assert len(found) == sum(row["measured"] for row in shipped["thresholds"])
    assert name in found[0]


def test_counts_are_of_trials_at_or_above():
    templates = np.eye(3, 4, dtype=np.float32)
    probes = np.array([[0.6, 0.8, 0.0, 0.0], [0.0, 0.6, 0.8, 0.0]], np.float32)
    trials = metrics.collect(templates, np.arange(3), probes, np.array([0, 2]), tail_share=1.0)
    # Impostor scores: 0.8, 0, 0, 0.6.
    assert record.counts_above(trials, [0.0, 0.5, 0.6, 0.7, 0.9]) == [4, 2, 2, 1, 0]
    assert record.counts_above(trials, [-0.5]) == [None]
