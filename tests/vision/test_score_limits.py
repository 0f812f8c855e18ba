"""The score below which a face is refused depends on its size and light, and is never guessed."""

import pytest

from vision.networks.score_limits import Light, ScoreLimit, ScoreLimits

NEAR = ScoreLimit(Light.DAY, 64, 4096, 0.3, 0.6)
FAR = ScoreLimit(Light.DAY, 40, 64, 0.1, 0.2)
DIM = ScoreLimit(Light.DIM, 40, 4096, 0.05, 0.1)
LIMITS = ScoreLimits(90, (NEAR, FAR, DIM))


@pytest.mark.parametrize(
    ("width", "brightness", "infrared", "limit"),
    [
        (64, 90, False, NEAR),
        (63.9, 90, False, FAR),
        (40, 200, False, FAR),
        (39.9, 200, False, None),
        (64, 89.9, False, DIM),
        (4096, 90, False, None),
        (64, 90, True, None),
        (float("nan"), 90, False, None),
    ],
)
def test_a_face_has_the_limit_of_its_size_and_light_or_none(width, brightness, infrared, limit):
    assert LIMITS.of(width, brightness, infrared=infrared) is limit


def test_nothing_is_said_where_nothing_was_measured():
    assert ScoreLimits().of(80, 120, infrared=False) is None


@pytest.mark.parametrize(
    "figures",
    [
        (64, 64, 0.1, 0.2),
        (-1, 64, 0.1, 0.2),
        (40, 64, 0.3, 0.2),
        (40, 64, -0.1, 0.2),
        (40, 64, 0.1, 1.1),
        (40, 64, float("nan"), 0.2),
    ],
)
def test_a_limit_that_is_none_is_refused(figures):
    with pytest.raises(ValueError, match="limit"):
        ScoreLimit(Light.DAY, *figures)


def test_a_face_has_one_limit():
    with pytest.raises(ValueError, match="two limits"):
        ScoreLimits(90, (NEAR, ScoreLimit(Light.DAY, 50, 65, 0.1, 0.2)))
    ScoreLimits(90, (NEAR, FAR, ScoreLimit(Light.INFRARED, 40, 4096, 0.1, 0.2)))
