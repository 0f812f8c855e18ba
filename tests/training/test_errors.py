"""The worst pairs, and which kinds of picture cost most."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from training.cli import main
from training.common import sheets
from training.common.pictures import encode
from training.common.split import VALIDATION, side_of
from training.verifier import errors, evaluate, metrics
from training.verifier.errors import Kind, Scored
from training.verifier.gallery import Protocol

NAMES = [name for k in range(400) if side_of(name := f"made/{k}", 100) == VALIDATION][:24]


@pytest.fixture(scope="module")
def run(tmp_path_factory, draw_face):
    """Run `errors` on the untrained network of a tiny run; return the run's folder."""
    root = tmp_path_factory.mktemp("errors")
    images = [encode(draw_face(who, picture)) for who in range(24) for picture in range(6)]
    identity = [name for name in NAMES for _ in range(6)]
    table = pa.table({"image": pa.array(images, pa.binary()), "identity": identity})
    pq.write_table(table, root / "made.parquet")
    lamps = ["A+000E+00", "A+010E+00", "A+000E+20", "A+070E+00", "A-085E+20", "A-070E+45"]
    table = pa.table(
        {
            "image": pa.array(images[:36], pa.binary()),
            "identity": identity[:36],
            "file": [f"lamp{lamp}.pgm" for _ in range(6) for lamp in lamps],
        }
    )
    pq.write_table(table, root / "lamps.parquet")
    settings = {
        "prepared": str(root / "prepared"),
        "runs": str(root / "runs"),
        "prepare": {"sources": ["made.parquet"]},
        "model": {"options": {"width": 0.25, "embedding": 32, "batch_norm": False}},
        "evaluate": {"conditions": ["clean", "dark"], "lighting_pack": "lamps.parquet"},
        "calibrate": {"min_brightness": 1},
        "errors": {"pairs": 5},
    }
    (root / "made.yaml").write_text(yaml.safe_dump(settings))
    common = ["--config", str(root / "made.yaml"), "--data", str(root)]
    assert main(["prepare", *common]) == 0
    assert main(["errors", *common, "--what", "start"]) == 0
    return root / "runs" / "made" / "errors-start"


def test_the_folder_has_sheets_tables_and_sentences(run):
    found = json.loads((run / "errors.json").read_text())
    assert found["people"] == 24
    assert {kind["name"] for kind in found["conditions"]} == {"dark", "lighting"}
    assert all(0.0 <= kind["tar"] <= 1.0 for kind in found["conditions"])
    for kind in [*found["conditions"], *found["kinds"]]:
        assert kind["low"] <= kind["high"]
        assert kind["clear"] == (kind["low"] > 0)
    for name in ("genuine-clean", "impostor-clean", "genuine-dark", "impostor-lighting"):
        with Image.open(run / f"{name}.png") as picture:
            # Five trials in rows of four, three crops each.
            assert picture.width == 4 * (3 * 112 + 8) + 8
            assert picture.height > 2 * 112
    with (run / "errors.csv").open() as file:
        assert next(csv.DictReader(file))["kind"] in {"dark", "lighting"}
    assert all(line in (run / "errors.txt").read_text() for line in found["next"])


def test_a_rate_that_cannot_be_counted_is_raised(run):
    # 24 people with three probes each: 1,656 impostor trials, ten of them are 0.6 %.
    assert json.loads((run / "errors.json").read_text())["far"] == pytest.approx(1e-2)


@pytest.fixture
def scored():
    """Three enrolled people, probes 0 to 4 of persons 0, 0, 1, 2, 2, and a stranger's."""
    scores = np.array(
        [
            [0.9, 0.2, 0.1, 0.3, 0.0, 0.7],
            [0.1, 0.8, 0.6, 0.1, 0.0, 0.1],
            [0.0, 0.6, 0.1, 0.5, 0.4, 0.1],
        ],
        np.float32,
    )
    person = np.array([0, 0, 1, 2, 2, 3])
    crops = np.arange(9, dtype=np.uint8)[:, None, None, None] * np.ones((1, 112, 112, 3), np.uint8)
    trials = metrics.collect(np.eye(3, 5), np.arange(3), np.eye(4, 5)[person], person)
    return Scored(
        scores, np.arange(3), person, np.arange(3), np.arange(3, 9), crops[:3], crops[3:], trials
    )


def test_the_worst_pairs_are_one_a_person_and_one_a_pair_of_people(scored):
    genuine = errors.worst_genuine(scored, 9)
    assert [trial[:2] for trial in genuine] == [(0, 1), (2, 4), (1, 2)]
    assert genuine[0][2] == pytest.approx(0.2)
    impostors = errors.worst_impostors(scored, 2)
    # Person 0's picture scores 0.8 as person 1, and the other way round only 0.1.
    assert [trial[:2] for trial in impostors] == [(1, 1), (0, 5)]


def test_a_pair_is_shown_with_who_is_enrolled_first(scored):
    shown = Protocol(
        np.zeros((9, 112, 112, 3), np.uint8),
        np.array([0, 1, 2, 0, 0, 1, 2, 2, 3]),
        np.full(9, "made"),
        np.full(9, np.nan),
        np.arange(9) < 3,
        ["ann", "bob", "cy", "dan"],
    )
    (cell,) = errors.cells(scored, shown, [(1, 5, 0.123)])
    assert [int(crop[0, 0, 0]) for crop in cell.crops] == [1, 0, 8]
    assert cell.lines == ["0.123  bob", "dan"]
    picture = np.asarray(sheets.sheet([cell]))
    assert picture[60, 8 + 2 * 112 + 50, 0] == 8


def test_what_costs_most_comes_first_in_the_advice():
    night = Kind("dark", 0.7, 0.9, 1.0, 100, 50, 0.15, 0.25)
    lone = Kind("of people with one enrolled picture", 0.5, 0.9, 0.2, 100, 40, 0.06, 0.1)
    even = Kind("blurred", 0.9, 0.9, 0.5, 100, 30, -0.001, 0.001)
    lines = errors.next_pictures([lone, even], [night], [0.85, 0.3])
    assert len(lines) == 3
    assert "lose 20.0 points (15.0 to 25.0)" in lines[0]
    assert "at night" in lines[0]
    assert "cost 8.0 points" in lines[1]
    assert "100 probes of 40 people" in lines[1]
    assert "score 0.8 or more: 1." in lines[2]
    assert "more people" in errors.next_pictures([even], [], [])[0]


def test_what_may_be_chance_is_not_advice_but_named():
    noise = Kind("blurred", 0.5, 0.9, 0.1, 12, 6, -0.02, 0.09)
    (line,) = errors.next_pictures([noise], [], [])
    assert "Not told from chance" in line
    assert "blurred (-2.0 to +9.0 points, 6 people)" in line


def test_a_loss_has_the_interval_of_drawing_people():
    """Two kinds of people: ten whose dark pictures all fail, thirty whose all pass."""
    person = np.repeat(np.arange(40), 3)
    clean = np.full((40, 120), -1.0, np.float32)
    clean[person, np.arange(120)] = 0.9
    dark = clean.copy()
    dark[:, person < 10] = -1.0

    def condition(scores):
        trials = metrics.collect_scores(scores, np.arange(40), person)
        return Scored(scores, np.arange(40), person, *[None] * 4, trials)

    both = {"clean": condition(clean), "dark": condition(dark)}
    (kind,) = errors.rank_conditions(both, 0.5, draws=400)
    assert kind.loss == pytest.approx(0.25)
    # A quarter of forty people: 0.25 plus and minus 1.96 * sqrt(0.25 * 0.75 / 40).
    assert (kind.low, kind.high) == pytest.approx((0.116, 0.384), abs=0.05)
    assert kind.people == 40
    assert kind.clear


def test_one_threshold_serves_all_conditions(scored):
    rng = np.random.default_rng(0)

    def condition(highest: float) -> metrics.Trials:
        values = np.linspace(0, highest, 300).astype(np.float32)
        tail = values[::-1].copy()
        where = np.zeros(300, int)
        return metrics.Trials(
            rng.random(3).astype(np.float32), where[:3], tail, where, where + 1,
            np.array([300.0, 0.0]), np.array([0.0, 1.0]), where, where[:3], where[:3],
        )  # fmt: skip

    low, high = condition(0.5), condition(0.8)
    # Ten of 300 trials are 3 %: 1 % cannot be counted, so 10 % is compared.
    both = evaluate.common_threshold({"a": low, "b": high}, 0.01)
    assert both["far"] == pytest.approx(0.1)
    assert both["worst"] == "b"
    alone = evaluate.common_threshold({"a": low}, 0.01)
    assert both["threshold"] > alone["threshold"]


def test_a_sheet_cuts_long_names_and_refuses_to_be_empty():
    cell = sheets.Cell([np.zeros((112, 112, 3), np.uint8)], ["x" * 200])
    assert sheets.sheet([cell]).width == 112 + 16
    with pytest.raises(ValueError, match="cell"):
        sheets.sheet([])
