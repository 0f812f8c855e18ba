"""Who is trained on and who is measured."""

from collections import Counter

import pytest

from training.common.split import LARGE, TEST, TRAIN, VALIDATION, person_of, side_of


def test_the_celeba_sources_share_their_people():
    assert person_of("celeba_wild", "celeba_wild/7301") == "celeba/7301"
    assert person_of("celeba_small", "celeba_small/7301") == "celeba/7301"
    assert person_of("pins", "pins/7301") == "pins/7301"


def test_the_sides_of_known_names_never_change():
    # A change of these would move people that a shipped model was trained on to the test side.
    sides = {name: side_of(name, 1000) for name in ("celeba/1", "celeba/2", "pins/Megan Fox")}
    assert sides == {name: side_of(name, 999_999) for name in sides}
    found = [side_of(f"celeba/{k}", 10) for k in range(8)]
    assert found == [TEST, TRAIN, TRAIN, VALIDATION, TEST, VALIDATION, TRAIN, TEST]


@pytest.mark.parametrize(("pictures", "share"), [(1000, 0.20), (LARGE, 0.05)])
def test_shares(pictures, share):
    counts = Counter(side_of(f"someone/{k}", pictures) for k in range(20_000))
    assert counts[VALIDATION] / 20_000 == pytest.approx(share, abs=0.01)
    assert counts[TEST] / 20_000 == pytest.approx(share, abs=0.01)


def test_growing_moves_people_into_training_only():
    for k in range(5000):
        small, large = side_of(f"x/{k}", 10), side_of(f"x/{k}", LARGE)
        assert large in (small, TRAIN)
