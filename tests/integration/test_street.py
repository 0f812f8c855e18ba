"""A street door: part of a simulated week, short scenarios, and whether the judge would notice.

Each runs on an event loop of its own, whose clock jumps, and so in a process of its own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from custom_components.face_lock.vision import load_bundle
from tests.harness.street.cast import Cast
from tests.harness.street.scores import LUCK, Scores

from .conftest import ROOT


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_nothing_wrong_opens_and_nobody_is_locked_out_in_a_day_at_a_street_door(
    tmp_path: Path,
) -> None:
    # Friday from ten to six: a poster that is taken down, couriers, the family, a frozen camera.
    file = tmp_path / "report.json"
    options = ("--days", "0.34", "--from", "106", "--passers-by", "150", "--json", str(file))
    done = python("tests.harness.street", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(file.read_text())
    assert report["verdict"]["openings"]["resident"] >= 2
    assert set(report["verdict"]["openings"]) == {"resident"}
    assert report["passed"]["looked"] >= 5
    assert any(coming["frozen"] for coming in report["comings"])


def test_what_must_come_of_the_short_scenarios_comes_of_them(tmp_path: Path) -> None:
    file = tmp_path / "episodes.json"
    done = python("tests.harness.street", "--episodes", "--json", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(file.read_text())) >= 7


def test_the_judge_of_the_street_notices_what_must_not_be() -> None:
    done = python("tests.harness.street.sabotage")
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(json.loads(done.stdout)) >= 6


@pytest.mark.parametrize("row", range(4))
def test_strangers_reach_a_threshold_as_often_as_the_bundle_says(row: int) -> None:
    points = tuple(load_bundle().thresholds)
    rng = np.random.default_rng(1)
    cast = Cast(Scores(points), ("Anna",), rng)
    count = 4_000
    scores = []
    for _ in range(count):
        embedding = cast.embed(cast.stranger(), 0.0, rng)
        scores.append(float(embedding[0] - 2 * embedding[-1]))
    expected = points[row].fpr * count
    found = float(np.sum(np.array(scores) >= points[row].threshold))
    assert abs(found - expected) <= 4 * np.sqrt(expected) + 1


@pytest.mark.parametrize("dark", [False, True])
def test_residents_are_missed_as_often_as_the_bundle_says(dark: bool) -> None:
    points = tuple(load_bundle().thresholds)
    scores = Scores(points)
    levels = np.array([scores.visit(u, dark=dark) for u in np.linspace(0.0005, 0.9995, 1000)])
    for point in points:
        missed = point.miss_night if dark else point.miss_day
        assert missed is not None
        # A visit's level is where it just opens, a little above the mean of its frames.
        assert abs(np.mean(levels + LUCK < point.threshold) - missed) < 0.01
