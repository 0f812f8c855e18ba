"""Every picture against every other, counted as a loop over pairs would."""

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from training.verifier import all_pairs
from vision.matching.similarity import score


def people(seed=0, number=300, pictures=4, spread=0.25):
    """Embeddings float32 [N, 33] of people with `pictures` each, and whose they are."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(number), pictures)
    centre = rng.normal(size=(number, 32))[person]
    found = centre + spread * np.linalg.norm(centre, axis=1, keepdims=True) / 32**0.5 * rng.normal(
        size=centre.shape
    )
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    crowding = rng.uniform(0.0, 0.2, (len(found), 1))
    return np.hstack([found, crowding]).astype(np.float32), person


def test_each_pair_counts_once_at_its_score():
    embeddings, person = people(number=12, spread=0.9)
    genuine, impostor = all_pairs.count_scores(embeddings, person)
    listed = [
        (score(embeddings[i], embeddings[k]), person[i] == person[k])
        for i, k in combinations(range(len(person)), 2)
    ]
    assert genuine.sum() == sum(same for _, same in listed) == 12 * 6
    assert impostor.sum() == len(listed) - 12 * 6
    threshold = 0.25
    found = all_pairs.all_pairs_figures(genuine, impostor, [(1e-3, threshold)])["rows"]["1e-03"]
    above = [same for value, same in listed if value >= threshold]
    assert found["tar"] == pytest.approx(sum(above) / (12 * 6), abs=0.02)
    assert found["far"] == pytest.approx((len(above) - sum(above)) / impostor.sum(), abs=1e-3)
    assert 0.0 < found["tar"] < 1.0


def test_a_rate_is_told_only_where_pairs_can_count_it():
    figures = all_pairs.all_pairs_figures(
        *all_pairs.count_scores(*people(spread=0.9)), [(1e-2, -9.0), (1e-3, 9.0)]
    )
    # 1,200 pictures are 0.7 million pairs: ten of them are 1.4e-5 of all.
    assert list(figures["tar"]) == ["1e-03", "1e-04"]
    assert 1.0 > figures["tar"]["1e-03"] > figures["tar"]["1e-04"] > 0.0
    assert figures["rows"]["1e-02"] == {"threshold": -9.0, "far": 1.0, "tar": 1.0}
    assert figures["rows"]["1e-03"] == {"threshold": 9.0, "far": 0.0, "tar": 0.0}


def test_a_folder_is_aligned_and_its_people_are_its_subfolders(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    for name, number in (("Ann Lee", 3), ("Bob", 2), ("Cy", 1)):
        (tmp_path / name).mkdir()
        for k in range(number):
            picture = Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8))
            picture.save(tmp_path / name / f"{name}_{k:04d}.jpg")
    shown = []

    def align_all(folder, names):
        shown.extend(names)
        for number, _ in enumerate(names):
            yield None if number == 1 else np.full((112, 112, 3), number, np.uint8)

    def embed(crops):
        directions = np.eye(6, dtype=np.float32)[crops[:, 0, 0, 0]]
        return np.hstack([directions, np.zeros((len(crops), 1), np.float32)])

    monkeypatch.setattr(all_pairs, "align_all", align_all)
    figures = all_pairs.measure_all_pairs(embed, tmp_path, [])
    assert shown[0] == "Ann Lee/Ann Lee_0000.jpg"
    assert (figures["people"], figures["pictures"], figures["without_face"]) == (3, 6, 1)
    # Two of Ann, two of Bob: one pair each.
    assert (figures["genuine"], figures["impostors"]) == (2, 8)


def test_a_folder_without_pictures_or_without_pairs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no NAME/PICTURE"):
        all_pairs.measure_all_pairs(lambda crops: crops, tmp_path, [])
    embeddings, _ = people(number=3, pictures=1)
    with pytest.raises(ValueError, match="several"):
        all_pairs.all_pairs_figures(*all_pairs.count_scores(embeddings, np.arange(3)), [])
