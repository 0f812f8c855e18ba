"""What training minimises is least where it should be."""

import pytest
import torch

from training.verifier.losses import ArcFace, feature_loss


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
