"""Strangers are compared within their group, and nobody with himself."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from training.common.split import TRAIN, VALIDATION, side_of
from training.verifier import sources, strangers
from training.verifier.config import Config, EvaluateSettings, PrepareSettings
from training.verifier.prepare import prepare

GROUP = ["origin", "sex"]


@pytest.fixture(scope="module")
def pack(tmp_path_factory, draw_face):
    from training.common.pictures import encode

    folder = tmp_path_factory.mktemp("pack")
    rows = [
        {"image": encode(draw_face(person, 0)), "origin": origin, "sex": "female"}
        for person, origin in enumerate(["here"] * 20 + ["there"] * 20)
    ]
    pq.write_table(pa.Table.from_pylist(rows), folder / "crowd.parquet")
    return folder


def entry(**more):
    return {"path": "crowd.parquet", "everybody_once": True, "group": GROUP, "halves": True} | more


def test_everybody_is_a_person_with_a_group(pack):
    source = sources.source_of(entry(), pack)
    rows = list(sources.read(source, None, {}))
    assert len({row.person for row in rows}) == len(rows) == 40
    assert {row.group for row in rows} == {"here female", "there female"}


def test_half_of_them_teach_and_half_are_measured():
    sides = [side_of(f"crowd/{number}", 16, halves=True) for number in range(400)]
    assert set(sides) == {TRAIN, VALIDATION}
    assert 160 < sides.count(TRAIN) < 240


def test_trials_stay_within_the_group_and_leave_oneself_out(pack, tmp_path):
    config = Config(
        "x",
        data=str(pack),
        prepared=str(tmp_path),
        prepare=PrepareSettings(sources=[entry(halves=False)]),
        evaluate=EvaluateSettings(stranger_conditions=["clean"]),
    )
    prepare(config)
    table = pq.read_table(tmp_path / "faces.parquet")
    measured = [side == VALIDATION for side in table["side"].to_pylist()]
    shown = strangers.load(config, VALIDATION)
    assert len(shown.crops) == sum(measured) > 2
    numbers = iter(range(100))

    def embed(crops: np.ndarray) -> np.ndarray:
        """Give everybody a direction of their own, the crowding of which is known."""
        rows = np.eye(101, dtype=np.float32)[[next(numbers) for _ in crops]]
        rows[:, -1] = 0.25
        return rows

    found = list(strangers.trials(config, embed, shown))
    for condition, group, trials in found:
        members = int((shown.group == group).sum())
        assert condition == "clean"
        assert trials.impostors == members * (members - 1)
        assert len(trials.genuine) == members
        assert np.allclose(trials.tail, -0.5)
    assert {group for _, group, _ in found} == set(shown.group)
