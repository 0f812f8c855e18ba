"""Whether a foreign network tells people apart when it is shown pictures by its contract.

A network that is shown the wrong colours or the wrong cut still answers, and may still tell most
people apart: only a comparison with what else it might have meant finds the mistake.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from training.common.paths import ROOT
from training.common.pictures import centre, decode
from training.verifier import gallery, joining
from training.verifier.config import Config
from training.verifier.contract import Contract, alternatives, described
from training.verifier.sources import Aligner, Found, Row

FREE = ROOT / "tests" / "pictures"
PEOPLE, EACH = 100, 3
"""Of the run's own pictures, beside the free ones."""
LEAST = 0.9
"""Share of genuine pairs and impostor pairs of which the genuine one must score higher."""
CLEARLY = 0.01
"""In at most this share of draws of people may the contract separate better than another one that
is then held for the right one."""
DRAWS, SEED = 400, 7


@dataclass(frozen=True)
class Separation:
    """How well scores tell genuine pairs from impostor pairs.

    `ordered` is the share of both of which the genuine pair scores higher (the area under the ROC
    curve), `distance` that of their means in standard deviations (d'), `draws` float64 [D] the same
    in bootstrap draws of people, which are alike for all contracts.
    """

    ordered: float
    distance: float
    draws: np.ndarray


def free_pictures() -> tuple[np.ndarray, np.ndarray]:
    """Crops uint8 [N, 112, 112, 3] of the repository's own pictures, and whose each is.

    Raises ValueError where they are not there.
    """
    aligner = Aligner()
    crops, names = [], []
    for file in sorted(FREE.glob("*.jpg")):
        row = aligner(Found(file.read_bytes(), "free", file.stem.rstrip("0123456789"), file.name))
        if isinstance(row, Row):
            crops.append(centre(decode(row.image)))
            names.append(row.person)
    if not crops:
        raise ValueError(f"{FREE} has no pictures to check the contract on")
    return np.stack(crops), np.array(names)


def separation(embeddings: np.ndarray, person: np.ndarray) -> Separation:
    """Compare all pairs of float32 [N, D] of unit length, of which `person` [N] says whose."""
    names, number = np.unique(person, return_inverse=True)
    one, other = np.triu_indices(len(person), 1)
    scores = (embeddings @ embeddings.T)[one, other].astype(float)
    same = number[one] == number[other]
    impostor = np.sort(scores[~same])
    below = np.searchsorted(impostor, scores[same], side="left")
    rng = np.random.default_rng(SEED)
    people = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), DRAWS)

    def weights(drawn: np.ndarray) -> np.ndarray:
        return np.where(same, drawn[number[one]], drawn[number[one]] * drawn[number[other]])

    draws = np.array([_distance(scores, same, weights(drawn)) for drawn in people])
    return Separation(
        float((below / len(impostor)).mean()), _distance(scores, same, np.ones(len(scores))), draws
    )


def _distance(scores: np.ndarray, same: np.ndarray, weights: np.ndarray) -> float:
    means, variances = [], []
    for kind in (same, ~same):
        found, weight = scores[kind], weights[kind] / max(weights[kind].sum(), 1e-9)
        means.append((found * weight).sum())
        variances.append((np.square(found - means[-1]) * weight).sum())
    return float((means[0] - means[1]) / max(np.sqrt(sum(variances) / 2), 1e-9))


def check(config: Config, foreign: joining.Foreign, contract: Contract) -> dict[str, Any]:
    """Compare the contract with what it may have been mistaken for; return the figures.

    Raises:
        ValueError: pairs of one person do not score above pairs of two, or another contract
            separates them clearly better; the message names it.

    """
    free, whose = free_pictures()
    own = gallery.load_side(config, "validation", people=PEOPLE, pictures_per_person=EACH)
    crops = np.concatenate([free, own.crops])
    person = np.concatenate([whose, np.array(own.names)[own.person]])
    loaded = joining.session(foreign.model)

    def look(one: Contract) -> np.ndarray:
        return joining.embed(foreign, one, crops, loaded)

    return judge(look, person, len(free), contract)


def judge(
    look: Callable[[Contract], np.ndarray], person: np.ndarray, free: int, contract: Contract
) -> dict[str, Any]:
    """Judge `contract` by the embeddings that `look` gives; the first `free` are free pictures.

    Returns and raises what `check` does.
    """
    embeddings = look(contract)
    found = separation(embeddings, person)
    known = separation(embeddings[:free], person[:free])
    others = {}
    for other in alternatives(contract):
        try:
            others[described(other)] = separation(look(other), person)
        except ValueError:
            continue  # no embedding at all
    best = max(others, key=lambda name: others[name].distance, default="")
    if best and (found.draws >= others[best].draws).mean() <= CLEARLY:
        raise ValueError(
            f"shown {described(contract)}, the network tells people apart less well (d' "
            f"{found.distance:.2f}) than shown {best} (d' {others[best].distance:.2f}): is that "
            "its contract?"
        )
    if known.ordered < 1.0 or found.ordered < LEAST:
        raise ValueError(
            f"shown {described(contract)}, pairs of one person score above pairs of two in "
            f"{100 * known.ordered:.0f} % of the free pictures' comparisons and "
            f"{100 * found.ordered:.0f} % of all: this is no face network, or another contract"
        )
    return {
        "pictures": len(person),
        "contract": described(contract),
        "ordered": round(found.ordered, 5),
        "distance": round(found.distance, 3),
        "others": {name: round(one.distance, 3) for name, one in others.items()},
    }
