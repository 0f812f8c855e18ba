"""Step `lamps`: the verifier under real lamps, for what so few people can show.

Frontal light is enrolled, every other lamp is a probe. FAR 1e-4 cannot be counted on them; two
figures lie to either side of it: TAR at 1e-3, and TAR where no impostor trial passes at all.
`lamps-WHAT.json` has `people`, `genuine`, `impostors`, `pairs of people`, `tar` and `threshold` at
`1e-03`, and `none`: `threshold`, `tar`, and the upper ends of the 95 % interval of the FAR there,
`far_high` with every trial counted by itself and `far_high of pairs` with every pair of people.
"""

from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from training.common.runs import open_run, write_json
from training.verifier import metrics
from training.verifier.conditions import measure_lighting
from training.verifier.config import Config
from training.verifier.embedders import embedder
from training.verifier.evaluate import figures


def above_all(trials: metrics.Trials, draws: int, seed: int) -> dict[str, Any]:
    """Return TAR at the lowest threshold that no impostor trial reaches, and its FAR's bounds."""
    threshold = np.nextafter(trials.tail[:1], np.float32(np.inf))
    tar = metrics.estimate(
        metrics.true_accept_rates(trials, threshold)[0],
        [
            metrics.true_accept_rates(trials, threshold, weights)[0]
            for weights in metrics.draw_people(trials.people, draws, seed)
        ],
    )
    return {
        "threshold": float(threshold[0]),
        "tar": asdict(tar),
        "far_high": metrics.none_in(trials.impostors),
        "far_high of pairs": metrics.none_in(pairs_of_people(trials)),
    }


def pairs_of_people(trials: metrics.Trials) -> int:
    """Count the pairs of an enrolled person and another one who was a probe."""
    enrolled, probes = trials.enrolled > 0, trials.probes > 0
    return int(enrolled.sum() * probes.sum() - (enrolled & probes).sum())


def lamps(config: Config, what: str = "bundle") -> dict[str, Any]:
    """Measure `bundle`, `start` or `checkpoint`; keep and return the figures.

    Raises ValueError where the settings name no pack of lamps.
    """
    torch.set_num_threads(config.evaluate.threads)
    measured = measure_lighting(config, embedder(config, what))
    if measured is None:
        raise ValueError("evaluate.lighting_pack names no pack")
    trials = measured.trials()
    draws, seed = config.evaluate.bootstrap, config.evaluate.seed
    found = {
        "what": what,
        **figures(trials, draws, seed),
        "pairs of people": pairs_of_people(trials),
        "none": above_all(trials, draws, seed),
    }
    write_json(open_run(config, f"lamps {what}") / f"lamps-{what}.json", found)
    rates = {f"FAR {rate}": one for rate, one in found["tar"].items()}
    for name, one in {**rates, "no impostor": found["none"]["tar"]}.items():
        print("{}: TAR {value:.4f} ({low:.4f}-{high:.4f})".format(name, **one))
    return found
