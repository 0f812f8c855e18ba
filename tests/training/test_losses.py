"""What training minimises is least where it should be."""

import math

import pytest
import torch
from torch.nn import functional

from training.verifier.losses import ArcFace, apart_loss, feature_loss, relation_loss


def test_feature_loss_is_the_share_of_the_variance_that_is_missed():
    torch.manual_seed(0)
    target = torch.randn(3, 4, 5, 5)
    assert float(feature_loss([target], [target])) == 0.0
    # Nothing but each picture's mean explains none of its variance.
    mean = target.mean((1, 2, 3), keepdim=True).expand_as(target)
    assert float(feature_loss([mean], [target])) == pytest.approx(1.0, abs=0.02)
    twice = feature_loss([mean, mean], [target, 10.0 * target])
    assert float(feature_loss([mean], [target])) < float(twice)


def test_feature_loss_does_not_depend_on_the_unit():
    torch.manual_seed(0)
    target, guess = torch.randn(2, 3, 8, 4, 4)
    one, other = feature_loss([guess], [target]), feature_loss([50 * guess], [50 * target])
    assert float(one) == pytest.approx(float(other), rel=0.01)


def test_margin_loss_starts_from_the_centres_given():
    centres = torch.eye(4)
    margin = ArcFace(4, 4, margin=0.2, scale=32.0, centres=centres)
    right = margin(centres, torch.arange(4))
    wrong = margin(centres, torch.arange(4).roll(1))
    assert float(right.detach()) < 1e-3 < float(wrong.detach())


def directions(*shape: int) -> torch.Tensor:
    torch.manual_seed(0)
    return functional.normalize(torch.randn(*shape), dim=-1)


def test_relation_loss_sees_what_one_camera_adds_to_all_its_pictures():
    target, camera = directions(12, 16), torch.tensor([-1] * 4 + [0] * 4 + [1] * 4)
    assert float(relation_loss(target, target, camera)) == 0.0
    tinted = target.clone()
    tinted[camera == 1] += directions(16)
    tinted = functional.normalize(tinted, dim=1)
    assert float(relation_loss(tinted, target, camera)) > 0.02
    # Each picture before a camera of its own: nothing says what they have in common.
    assert float(relation_loss(tinted, target, torch.arange(12))) == 0.0


def test_apart_loss_is_led_by_the_most_alike_of_one_camera():
    # Four people at right angles, and one who comes near the first.
    target = torch.eye(5)
    near = functional.normalize(torch.eye(5) + 0.5 * torch.eye(5)[[0, 1, 2, 3, 0]], dim=1)
    camera = torch.zeros(5, dtype=torch.long)
    spread = float(apart_loss(target, target, camera, temperature=0.1))
    crowded = float(apart_loss(near, target, camera, temperature=0.1))
    assert spread == pytest.approx(0.0, abs=1e-6)
    # Two of the five have a neighbour at 0.447, among four others each.
    found = 0.1 * torch.tensor([0.4472 / 0.1, 0.0, 0.0, 0.0]).logsumexp(0) - 0.1 * math.log(4)
    assert crowded == pytest.approx(2 / 5 * float(found), abs=1e-3)
    apart = torch.tensor([0, 0, 0, 0, 1])
    assert float(apart_loss(near, target, apart, temperature=0.1)) < crowded


def test_apart_loss_leaves_those_alone_who_may_be_one_person():
    one = directions(1, 8).expand(3, 8)
    loss = apart_loss(one, one, torch.zeros(3, dtype=torch.long), temperature=0.1)
    assert float(loss) == 0.0
