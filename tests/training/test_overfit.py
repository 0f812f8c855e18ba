"""The training code learns what is there, and nothing that is not."""

import numpy as np
import torch

from training.common.pictures import encode
from training.verifier.backbones import build_backbone
from training.verifier.config import TrainSettings
from training.verifier.network import Verifier
from training.verifier.overfit import memorise

SETTINGS = TrainSettings(
    seed=3,
    batch_size=18,
    steps=60,
    learning_rate=2e-3,
    warmup_steps=5,
    ema_decay=0.9,
    distillation_weight=0.0,
    margin_weight=1.0,
    margin=0.1,
    margin_scale=16.0,
    clean_share=1.0,
    augment_strength=0.0,
)


def _memorise(draw_face, *, shuffled: bool):
    person = np.repeat(np.arange(6), 18)
    images = [encode(draw_face(who, picture % 18)) for picture, who in enumerate(person)]
    torch.set_num_threads(1)
    torch.manual_seed(5)
    verifier = Verifier(build_backbone("mobilefacenet", width=0.25, embedding=32))
    held_out = np.arange(len(images)) % 3 == 0
    return memorise(verifier, images, person, held_out, SETTINGS, shuffled=shuffled)


def test_a_few_people_are_learned_by_heart_and_recognised_on_other_pictures(draw_face):
    outcome = _memorise(draw_face, shuffled=False)
    assert outcome.loss < 0.05
    assert outcome.accuracy > 0.75


def test_shuffled_labels_teach_nothing_about_other_pictures(draw_face):
    outcome = _memorise(draw_face, shuffled=True)
    assert outcome.accuracy < outcome.chance + 0.25
