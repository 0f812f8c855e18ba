"""What a few days of pictures are, and what they lack."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image, ImageEnhance

from training.cli import main
from training.verifier import inspect_data, measures
from training.verifier.config import CalibrateSettings, InspectSettings

PICTURES = Path(__file__).parent.parent / "pictures"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Inspect twelve pictures in folders; one is a copy, one is of somebody else, one is empty."""
    root = tmp_path_factory.mktemp("inspect")

    def put(source: str, person: str, name: str, light: float = 1.0, cut: int = 0) -> None:
        folder = root / "door" / person
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(PICTURES / f"{source}.jpg") as picture:
            picture.thumbnail((400, 400))
            view = picture.convert("RGB").crop((cut, cut, picture.width - cut, picture.height))
        ImageEnhance.Brightness(view).enhance(light).save(folder / f"{name}.png")

    put("obama", "anna", "1")
    put("obama", "anna", "2", light=0.8)
    put("obama2", "anna", "3")
    put("obama3", "anna", "4")
    put("hopper", "anna", "5")
    put("biden", "ben", "1")
    put("biden", "ben", "2", light=0.3, cut=4)
    put("biden", "ben", "3", light=1.2, cut=8)
    put("collins", "carl", "1")
    put("obama2", "dora", "1", light=0.9, cut=6)
    put("obama3", "dora", "2", light=1.1, cut=6)
    shutil.copy(root / "door" / "anna" / "1.png", root / "door" / "anna" / "6.png")
    Image.new("RGB", (200, 200), "green").save(root / "door" / "carl" / "2.png")
    (root / "door" / "carl" / "3.jpg").write_bytes(b"no picture at all")
    settings = {
        "prepared": str(root / "prepared"),
        "runs": str(root / "runs"),
        "prepare": {"sources": ["door"]},
    }
    (root / "door.yaml").write_text(yaml.safe_dump(settings))
    assert main(["inspect", "--config", str(root / "door.yaml"), "--data", str(root)]) == 0
    return root / "runs" / "door"


def test_a_few_pictures_already_give_a_report(report):
    found = json.loads((report / "inspect.json").read_text())
    assert (found["pictures"], found["people"], found["measured"]) == (12, 4, 12)
    with (report / "inspect.csv").open() as file:
        people = {row["person"]: int(row["pictures"]) for row in csv.DictReader(file)}
    assert people == {"door/anna": 6, "door/ben": 3, "door/dora": 2, "door/carl": 1}
    with Image.open(report / "inspect.png") as sheet:
        assert len(np.unique(np.asarray(sheet))) > 10
    yaw = found["quantiles"]["yaw"]
    assert -60 < yaw["5 %"] < yaw["95 %"] < 60
    text = (report / "inspect.txt").read_text()
    assert all(line in text for line in found["warnings"])


def test_the_copy_the_stranger_and_the_second_name_are_found(report):
    found = json.loads((report / "inspect.json").read_text())
    assert [len(group) for group in found["equal"]] == [2]
    assert all("door/anna" in name for name in found["equal"][0])
    assert [suspect["person"] for suspect in found["far_from_their_person"]] == ["door/anna"]
    assert [pair[:2] for pair in found["alike_people"]] == [["door/anna", "door/dora"]]
    assert found["near_copies"]
    for name in ("suspects", "names"):
        with Image.open(report / f"inspect-{name}.png") as sheet:
            # One doubt of each kind: four crops side by side.
            assert sheet.width == 4 * 112 + 2 * 8


def test_pictures_that_cannot_be_used_are_named_with_the_reason(report):
    found = json.loads((report / "inspect.json").read_text())
    assert found["refused"] == {"door/carl/2.png": "no face", "door/carl/3.jpg": "not a picture"}
    assert any("left out: no face" in line for line in found["warnings"])


def test_what_is_missing_is_said_in_a_sentence(report):
    found = json.loads((report / "inspect.json").read_text())
    assert found["shares"]["dark"] == pytest.approx(1 / 12)
    lines = " ".join(found["warnings"])
    assert "Only 8 % of these pictures are dark" in lines
    assert "None of these pictures are without colour" in lines
    assert "1 of 4 people have one picture only" in lines
    assert "needs 29956 independent ones" in lines


def made(**changes: list[float]) -> measures.Measures:
    """Measures of two good pictures, some of them changed."""
    plain = {"brightness": 120, "sharpness": 500, "side_light": 1.1, "colour": 40}
    plain |= {"yaw": 0, "pitch": 0}
    columns = {name: np.full(2, float(value)) for name, value in plain.items()}
    return measures.Measures(
        **(columns | {name: np.array(value, float) for name, value in changes.items()})
    )


def test_a_kind_that_is_there_is_not_missed_and_what_is_unknown_is_said():
    settings = InspectSettings()
    found = inspect_data.shares(made(brightness=[20, 90]), np.full(2, np.nan), settings)
    lines = inspect_data.kind_warnings(found, 0.1)
    assert found["dark"] == 0.5
    assert not any("dark" in line for line in lines)
    assert any("known whether it is of faces far away" in line for line in lines)
    assert inspect_data.kind_warnings({"dark": 0.031}, 0.1)[0].startswith("Only 3 % of these")


def test_pictures_the_door_would_refuse_are_counted():
    lines = inspect_data.evidence_warnings(
        made(brightness=[20, 90], sharpness=[5, 5]), np.array([100, np.nan]), CalibrateSettings()
    )
    assert [line.split(" of")[0] for line in lines] == ["50 %", "100 %"]


def test_too_few_people_are_said_and_enough_are_not():
    few = inspect_data.people_warnings(Counter(a=1, b=30), {"a": "train", "b": "train"}, 3)
    assert any("0 people are on the validation side" in line for line in few)
    assert any("97 % of the pictures with a name show b" in line for line in few)
    assert any("3 pictures have no name" in line for line in few)
    many = Counter({str(k): 8 for k in range(500)})
    assert inspect_data.people_warnings(many, dict.fromkeys(many, "validation"), 0) == []
    assert inspect_data.people_warnings(Counter(), {}, 5) == [
        "No picture has a name: there is nothing to measure with."
    ]


def test_near_copies_are_found_across_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(30, 64)).astype(np.float32)
    vectors[27] = vectors[2] + 0.01
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    monkeypatch.setattr(inspect_data, "BLOCK", 8)
    assert [pair[:2] for pair in inspect_data.near_copies(vectors, 0.9)] == [(2, 27)]


def test_a_wrong_label_needs_three_pictures_to_show():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 64))
    vectors = np.stack([one, one, one, other, other, one]).astype(np.float32)
    vectors += 0.1 * rng.normal(size=vectors.shape).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    people = ["a", "a", "a", "a", "b", "b"]
    found = inspect_data.label_noise(vectors, people, 0.3)
    assert [suspect.row for suspect in found] == [3]
    assert inspect_data.label_noise(vectors, [None] * 6, 0.3) == []


def test_a_sample_is_drawn_without_replacement_and_all_where_there_are_few():
    rows = inspect_data.draw(1000, 50, 3)
    assert len(set(rows.tolist())) == 50
    assert np.array_equal(inspect_data.draw(10, 50, 3), np.arange(10))
    assert len(inspect_data.draw(10, 0, 3)) == 10
