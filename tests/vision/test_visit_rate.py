"""A stranger's long visit opens about as rarely as one try, however its tries are correlated.

`DecisionPolicy` gives the argument: if no moment is special and each try passes the threshold with
the same small probability, then half of the tries have ever agreed with at most twice that
probability. The strangers here are simulated, and their frames are stacked as the product does.
"""

import numpy as np
import pytest

from tests.vision.doorstep import POLICY, Door, evidence, stack
from vision import DecisionPolicy
from vision.tracking.stacking import FEWEST, MOST

RATE = 0.05
"""Rate of one try, a thousand times that of a door, so that visits that open can be counted."""
ABOVE = 1.6448536
"""The value that a standard normal number exceeds at that rate."""
TRIES = 200
VISITS = 8000
EVERY = 0.25
IN_WINDOW = int(POLICY.window / EVERY) + 1


def alike(rng, visits, share):
    """Exchangeable frames float64[visits, TRIES], with this share of each due to the face."""
    face = rng.normal(size=(visits, 1))
    return share**0.5 * face + (1 - share) ** 0.5 * rng.normal(size=(visits, TRIES))


def drifting(rng, visits, memory):
    """Stationary frames float64[visits, TRIES], each this similar to the one before (AR(1))."""
    frames = rng.normal(size=(visits, TRIES))
    for now in range(1, TRIES):
        frames[:, now] *= (1 - memory**2) ** 0.5
        frames[:, now] += memory * frames[:, now - 1]
    return frames


def stacked(frames):
    """Return the score of each try: the mean of up to ten frames, at the rate of one."""
    tries = np.empty_like(frames)
    for now in range(TRIES):
        number = min(now + 1, MOST)
        first = now + 1 - number if number >= FEWEST else now
        tries[:, now] = frames[:, first : now + 1].mean(axis=1)
    return tries / tries.std(axis=0)


def opens(votes, policy=POLICY):
    """Say at which try a visit of bool[visits, TRIES] opens; -1 if it never does."""
    lately = np.cumsum(votes, axis=1)
    lately[:, IN_WINDOW:] -= lately[:, :-IN_WINDOW].copy()
    shares = np.cumsum(votes, axis=1) / np.arange(1, TRIES + 1)
    ready = votes & (lately >= policy.quorum) & (shares >= policy.share)
    return np.where(ready.any(axis=1), ready.argmax(axis=1), -1)


STRANGERS = [
    pytest.param(make, how, id=f"{make.__name__} {how}")
    for make, hows in ((alike, (0.0, 0.3, 0.7, 0.95)), (drifting, (0.5, 0.9, 0.99)))
    for how in hows
]


@pytest.mark.parametrize("treated", [np.asarray, stacked])
@pytest.mark.parametrize(("make", "how"), STRANGERS)
def test_a_visit_opens_at_most_twice_as_often_as_a_try(rng, make, how, treated):
    votes = treated(make(rng, VISITS, how)) >= ABOVE
    assert votes.mean() == pytest.approx(RATE, abs=0.01)
    opened = (opens(votes) >= 0).mean()
    print(f"{make.__name__} {how} {treated.__name__}: {opened / RATE:.2f} q")
    assert opened < 2 * RATE


def test_it_is_the_share_that_keeps_a_long_visit_shut(rng):
    votes = stacked(drifting(rng, VISITS, 0.5)) >= ABOVE
    assert (opens(votes, DecisionPolicy(share=1e-9)) >= 0).mean() > 4 * RATE


@pytest.mark.parametrize("make", [alike, drifting])
def test_the_decision_opens_when_the_count_above_says(rng, make):
    tries = stacked(make(rng, 4000, 0.9))
    moments = opens(tries >= ABOVE)
    # Some that open, sooner or later, and some that do not.
    chosen = [*np.nonzero(moments >= 0)[0][:12], *np.nonzero(moments < 0)[0][:4]]
    assert len(chosen) == 16
    for visit in chosen:
        door = Door(DecisionPolicy(max_duration=1000.0))
        times = []
        for now in range(TRIES):
            times.append(door.now + EVERY)
            said = 0.8 if tries[visit, now] >= ABOVE else 0.2
            look = stack(times[-MOST:], similarity=said) if now + 1 >= FEWEST else None
            by_itself = said if look is None else 0.2
            attempt = door.see(evidence(similarity=by_itself, look=look), after=EVERY, age=0.0)
            if attempt is not None:
                break
        assert (now if attempt is not None else -1) == moments[visit]
