"""What teaches the network how crowded a neighbourhood is, and that the network learns it."""

import numpy as np
import pytest
import torch

from training.verifier import model
from training.verifier.backbones import build_backbone
from training.verifier.config import Config, CrowdSettings, ModelSettings
from training.verifier.crowding import (
    Taught,
    equal_soft_maxima,
    fit,
    targets,
    views,
    wanted_crowding,
)
from training.verifier.network import Crowding, Verifier

OPTIONS = {"width": 0.25, "embedding": 32}


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def crowds(rng: np.random.Generator, people: int = 600) -> np.ndarray:
    """Half of the people live close together, half anywhere."""
    anywhere = rng.normal(size=(people, 32))
    anywhere[: people // 2] += 9.0 * unit(rng.normal(size=(1, 32)))
    return unit(anywhere)


def test_crowding_is_the_mean_cosine_with_the_nearest_strangers():
    rng = np.random.default_rng(0)
    embeddings = unit(rng.normal(size=(40, 16)))
    picture = np.arange(40) // 2
    taught = Taught(embeddings, picture, picture < 15)
    found = targets(taught, nearest=4, double=0.5, block=7)
    for row, value in enumerate(found):
        cosines = [
            float(embeddings[row] @ embeddings[other])
            for other in range(40)
            if picture[other] < 15 and picture[other] != picture[row]
        ]
        nearest = sorted((one for one in cosines if one <= 0.5), reverse=True)[:4]
        assert value == pytest.approx(np.mean(nearest), abs=1e-5)


def test_neither_another_view_of_oneself_nor_a_double_is_a_stranger():
    one, other = np.eye(8, dtype=np.float32)[:2]
    near = unit(np.array([one + 0.2 * other]))[0]
    taught = Taught(np.stack([one, near, near, other]), np.array([0, 0, 1, 2]), np.ones(4, bool))
    # Its own view and its double (cosine 0.98) are left out; the other is a stranger.
    assert targets(taught, nearest=1, double=0.9)[0] == pytest.approx(0.0, abs=1e-6)
    assert targets(taught, nearest=1, double=0.99)[0] == pytest.approx(float(near @ one), abs=1e-6)


def test_with_its_crowding_everybody_s_strangers_reach_equally_far():
    settings = CrowdSettings(temperature=0.1, double=0.9)
    embeddings, picture = crowds(np.random.default_rng(2), 80), np.arange(80) // 2
    taught = Taught(embeddings, picture, np.arange(80) < 60)

    def reach(crowding: np.ndarray) -> np.ndarray:
        """Soft maximum of each face's scores with the strangers of the cohort."""
        scores = embeddings @ embeddings.T - crowding[:, None] - crowding[None]
        cosines = embeddings @ embeddings.T
        stranger = (picture[:, None] != picture[None]) & (cosines <= 0.9) & taught.cohort[None]
        return np.array(
            [0.1 * np.log(np.exp(scores[row][stranger[row]] / 0.1).sum() / 60) for row in range(80)]
        )

    assert np.ptp(reach(np.zeros(80))) > 0.2
    # The same for all, in the cohort and out of it.
    assert reach(equal_soft_maxima(taught, settings)) == pytest.approx(np.zeros(80), abs=1e-3)


def test_whoever_has_no_stranger_is_not_crowded_and_hardly_anything_is_below_0():
    rng = np.random.default_rng(3)
    alone = np.eye(1, 32, dtype=np.float32)
    taught = Taught(
        np.concatenate([crowds(rng, 200), alone, alone]), np.arange(202), np.arange(202) < 200
    )
    wanted = wanted_crowding(taught, CrowdSettings(nearest=5))
    assert np.isfinite(wanted).all()
    assert np.quantile(wanted, 0.01) >= 0.0
    lonely = Taught(np.concatenate([alone, alone]), np.arange(2), np.ones(2, bool))
    assert np.isfinite(wanted_crowding(lonely, CrowdSettings(nearest=1))).all()
    # Half of them live close together.
    assert wanted[:100].mean() > wanted[100:200].mean() + 0.05


def test_the_network_learns_who_lives_in_a_crowd_and_makes_one_threshold_hold_for_both():
    rng = np.random.default_rng(1)
    known, fresh = np.split(crowds(rng, 1200)[rng.permutation(1200)], 2)
    settings = CrowdSettings(epochs=60, hidden=32, batch_size=64, noise=0.0)
    wanted = 0.5 * targets(Taught(known, np.arange(600), np.ones(600, bool)), 10, 2.0)
    head, explained = fit(known, wanted, settings)
    assert explained > 0.9
    with torch.inference_mode():
        crowding = head(torch.from_numpy(fresh))[:, 0].numpy()
    crowded = crowding > np.median(crowding)
    cosines = fresh @ fresh.T

    def spread(scores: np.ndarray) -> float:
        """How far apart the thresholds of 1 in 100 of both halves are."""
        at = [
            np.quantile(scores[np.ix_(half, half)][~np.eye(half.sum(), dtype=bool)], 0.99)
            for half in (crowded, ~crowded)
        ]
        return abs(at[0] - at[1])

    scores = cosines - crowding[:, None] - crowding[None]
    assert spread(cosines) > 0.2
    assert spread(scores) < 0.5 * spread(cosines)


def test_no_picture_is_less_crowded_than_the_least_that_was_taught():
    crowding = Crowding(8, hidden=4, low=0.2, high=0.6, heads=2)

    def told(*outputs: float) -> float:
        for head, output in zip(crowding.heads, outputs, strict=True):
            torch.nn.init.constant_(head[-2].bias, output)
        return float(crowding(torch.zeros(1, 8)))

    assert told(-1e4, -1e4) == pytest.approx(0.2)
    assert told(1e4, 1e4) == pytest.approx(0.6)
    # The perceptrons' mean.
    assert told(-1e4, 1e4) == pytest.approx(0.4)


def test_a_checkpoint_keeps_the_crowding_and_embeds_with_it(crops, tmp_path):
    torch.manual_seed(3)
    verifier = Verifier(
        build_backbone("mobilenet-se", **OPTIONS),
        Crowding(32, hidden=8, low=0.1, high=0.7, heads=3),
    ).eval()
    config = Config("x", model=ModelSettings(backbone="mobilenet-se", options=OPTIONS))
    model.save(tmp_path / model.SCORED, verifier, config)
    assert model.checkpoint(tmp_path) == tmp_path / model.SCORED
    found = model.embed(model.load(tmp_path / model.SCORED), crops)
    assert np.array_equal(found, model.embed(verifier, crops))
    assert found.shape == (len(crops), 33)
    assert ((found[:, -1] > 0.1) & (found[:, -1] < 0.7)).all()
    bare = model.embed(Verifier(verifier.backbone), crops)
    assert (bare[:, -1] == 0.0).all()
    assert np.array_equal(bare[:, :-1], found[:, :-1])


def test_every_picture_is_shown_clean_in_a_condition_and_degraded_always_alike(faces):
    images, _ = faces
    settings = CrowdSettings(degraded=2, conditions=["dark"])
    shown, picture = views(7, images[:3], settings)
    assert picture.tolist() == [7, 7, 7, 7, 8, 8, 8, 8, 9, 9, 9, 9]
    assert shown.shape == (12, 112, 112, 3)
    again, _ = views(8, images[1:2], settings)
    assert np.array_equal(again, shown[4:8])
    assert shown[1].mean() < 0.7 * shown[0].mean()
