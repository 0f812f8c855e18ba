"""Limits come from the living of one half of the people, by size and light."""

import json
import shutil
from dataclasses import replace
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pytest

from training.common.paths import ROOT
from training.detector.data import Labels, Scene
from training.liveness.settings import LivenessConfig
from training.liveness.visits import limits, run
from training.liveness.visits.figures import visit_figures
from training.liveness.visits.limits import BUDGETS, LEAST, choose, halves, quantile
from training.liveness.visits.observe import Observed
from vision import load_bundle
from vision.networks.bundle import BUNDLED
from vision.networks.score_limits import Light
from vision.pad.view import SIDE
from vision.types import Cues, Evidence, Face, FaceQuality, View

VIEW = View(np.full((SIDE, SIDE), 90, np.uint8), (0.0, 0.0), 2.0, (0, 0, SIDE, SIDE))


def visit(
    kind: str, second: float, who: str = "a", live: float = 0.9, width: float = 80.0, **more: object
) -> Observed:
    face = Face((10.0, 10.0, 10.0 + width, 120.0), np.zeros((5, 2), np.float32), 0.9)
    cues = Cues(VIEW, live=live, second=second, infrared=bool(more.pop("infrared", False)))
    one = Evidence(face, FaceQuality(width, float(str(more.pop("bright", 120))), 400), cues=cues)
    seen = Observed(kind, "day", "test", who, False, [one] * 3, 3)
    return replace(seen, **more) if more else seen


def crowd(kind: str, count: int, low: float = 0.3, **more: object) -> list[Observed]:
    scores = np.linspace(low, 0.9, count)
    return [visit(kind, float(score), f"{kind}{n}", **more) for n, score in enumerate(scores)]


def test_so_many_of_the_living_are_below_a_limit() -> None:
    scores = np.random.default_rng(4).beta(5, 2, 4000)
    for share in (0.005, 0.025, 0.1):
        below = float((scores < quantile(list(scores), share)).mean())
        assert below <= share
        assert below > share / 6


def test_a_limit_from_few_lies_below_the_lowest_of_them() -> None:
    scores = [float(x) for x in np.random.default_rng(5).uniform(0.4, 0.8, 30)]
    assert quantile(scores, 0.005) < min(scores)


def test_limits_are_for_sizes_and_lights_that_enough_visits_had() -> None:
    seen = [
        *crowd("real living", LEAST),
        *crowd("real living", LEAST, width=50.0, low=0.1),
        *crowd("real living", LEAST - 1, bright=50),
        *crowd("real print", 2 * LEAST, infrared=True),
    ]
    cells = choose(seen).second.cells
    assert [(cell.light, cell.smallest, cell.largest) for cell in cells] == [
        (Light.DAY, 40.0, 64.0),
        (Light.DAY, 64.0, 4096.0),
    ]
    assert cells[0].basic < cells[1].basic
    assert all(cell.basic < cell.strict for cell in cells)
    more = crowd("real living", LEAST, bright=40)
    assert Light.DIM in {cell.light for cell in choose([*seen, *more]).second.cells}


def test_neither_real_people_nor_simulated_ones_are_refused_for_the_other() -> None:
    high, low = crowd("living", 60, low=0.6), crowd("real living", 60, low=0.2)
    (both,) = choose([*high, *low]).second.cells
    (alone,) = choose(low).second.cells
    assert both == alone
    # Pictures of people, and those who were not recognised, have no say.
    attacks = crowd("print", 60, low=0.0)
    unseen = [replace(one, decided=0) for one in crowd("living", 60, low=0.0)]
    assert choose([*high, *low, *attacks, *unseen]).second.cells == (both,)


def test_simulated_heads_alone_are_no_measure() -> None:
    assert not choose(crowd("living", 60)).second.cells


def test_people_are_in_one_half_and_subjects_are_dealt_out() -> None:
    seen = [visit("living", 0.5, f"p{n}") for n in range(200)]
    seen += [visit("real living", 0.5, f"000{n}", side="train") for n in range(5)]
    seen += [visit("real print", 0.5, f"001{n}", side="test") for n in range(4)]
    seen.append(visit("video", 0.5, "0010", side="real frames"))
    half = halves(seen)
    assert half == halves(seen[::-1])
    assert 70 < sum(half[f"p{n}"] for n in range(200)) < 130
    assert sum(half[f"000{n}"] for n in range(5)) in (2, 3)
    assert sum(half[f"001{n}"] for n in range(4)) == 2


def test_every_visit_is_judged_by_what_the_other_half_chose() -> None:
    living = [visit("real living", 0.5, f"p{n}") for n in range(300)]
    half = halves(living)
    # One half scores far higher: judged by its own limit it would lose nobody.
    seen = [
        visit("real living", (0.9 if half[one.who] else 0.3) + 0.0001 * n, one.who)
        for n, one in enumerate(living)
    ]
    row = visit_figures(seen, ())["basic"]["quorum"]["real living, subjects held out"]
    assert row["halves"]["first"]["value"] == 1.0
    assert row["halves"]["second"]["value"] == 0.0
    assert row["value"] == pytest.approx(np.mean([half[one.who] == 0 for one in seen]), abs=1e-4)
    assert row["cues"] == {"second": sum(half[one.who] == 0 for one in seen)}


def test_the_first_halfs_limits_are_the_bundles(tmp_path: Path, monkeypatch) -> None:
    models = tmp_path / "models"
    shutil.copytree(BUNDLED, models)
    seen = crowd("real living", 80)
    monkeypatch.setattr(limits, "read_visits", lambda _config: seen)
    config = LivenessConfig("run", spoof="", scenes="", models=str(models))
    chosen = limits.install(config)
    assert chosen == choose([one for one in seen if halves(seen)[one.who] == 0])
    assert load_bundle(models).score_limits == chosen
    described = json.loads((models / "models.json").read_text())["models"]["antispoofing"]
    assert described["visits"]["refused"] == BUDGETS


def test_visits_that_were_seen_are_not_seen_a_second_time(tmp_path: Path, monkeypatch) -> None:
    jobs = [run.Job("living", "day", "test", f"p{n}", n) for n in range(4)]
    config = LivenessConfig("run", spoof="", scenes="", runs=str(tmp_path))
    config.run_dir.mkdir(parents=True)
    answers = {job: visit("living", 0.5, job.who) for job in jobs}
    monkeypatch.setattr(run, "begin", lambda _config: None)
    monkeypatch.setattr(run, "_see_one", lambda job: (job, answers[job]))
    # The processes are threads here: what is patched holds in them.
    monkeypatch.setattr(run, "get_context", lambda _kind: _Threads)
    run._see_all(config, jobs[:2])
    assert [one.who for one in run.read_visits(config)] == ["p0", "p1"]
    answers = {job: visit("living", 0.1, job.who) for job in jobs[2:]}
    run._see_all(config, jobs)
    assert [one.who for one in run.read_visits(config)] == ["p0", "p1", "p2", "p3"]


class _Threads:
    @staticmethod
    def Pool(*arguments):  # noqa: N802 - as multiprocessing names it
        return ThreadPool(*arguments)


def test_a_picture_of_the_living_counts_as_a_quorum_of_equal_frames(monkeypatch) -> None:
    bundle = load_bundle()
    encoded = (ROOT / "tests" / "pictures" / "hopper.jpg").read_bytes()
    scene = Scene(encoded, "tests", Labels(*np.zeros((2, 0)), np.zeros(0, bool)))
    found = max(bundle.detector.detect(np.asarray(scene.picture())), key=lambda face: face.width)
    labels = Labels(np.array([found.box]), found.landmarks[None], np.ones(1, bool))
    scene = replace(scene, labels=labels)
    monkeypatch.setattr(run, "_read_scenes", lambda _path, side: [scene] * (side == "test"))
    monkeypatch.setattr(run, "worker", lambda: (config, bundle))
    config = LivenessConfig("run", spoof="", scenes="", visits_pictures=5)
    (job,) = run._pictures(config)
    _, seen = run._see_one(job)
    assert seen.decided == len(seen.track) == 3
    score = bundle.antispoofing.score(np.asarray(scene.picture()), found)
    assert seen.track[0].cues.second == pytest.approx(score, abs=1e-3)
    assert not list(run._pictures(replace(config, visits_pictures=0)))
