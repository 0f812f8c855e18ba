"""Step `choose`: which network of a training is kept: by the worst group, then by the owners.

Training looks at celebrities now and then, to see that it goes well. What is kept is decided here,
at its end: between the start (share 0) and the trained network (1) lie blends of their weights
(Wortsman et al. 2022, arXiv:2109.01903). Of each, the score that the door uses is stood in for by a
cohort: crowding is told by the strangers of the training side themselves, as `crowd` will
teach it. One threshold keeps the satisficing rate in the worst group of strangers and the worst
condition; the network that then accepts most of the enrolled people is the best. `choose.csv` has a
row for each.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch

from training.common.parallel import find_device
from training.common.runs import append_csv, open_run
from training.common.split import TRAIN, VALIDATION
from training.verifier import gallery, metrics, model, strangers
from training.verifier.augment import in_condition
from training.verifier.config import Config, CrowdSettings
from training.verifier.crowding import Taught, wanted_crowding
from training.verifier.network import Verifier
from training.verifier.train import blend

# The rate that the worst group keeps, as far as a few hundred people of each can show it.
WANTED = 1e-3
CLEAN, DARK, INFRARED = CONDITIONS = ("clean", "dark", "infrared")
PICTURES = 4


def with_cohort(embeddings: np.ndarray, cohort: np.ndarray, settings: CrowdSettings) -> np.ndarray:
    """Put the crowding of unit float32 [N, D] behind it, told by a cohort float32 [C, D]."""
    together = np.concatenate([embeddings, cohort])
    marks = np.arange(len(together)) >= len(embeddings)
    crowding = wanted_crowding(Taught(together, np.arange(len(together)), marks), settings)
    crowding = crowding[: len(embeddings), None]
    return np.hstack([embeddings, crowding]).astype(np.float32)


@dataclass(frozen=True)
class Shown:
    """Pictures uint8 [N, 112, 112, 3] by condition, the same for all networks."""

    cohort: list[np.ndarray]
    group: np.ndarray
    enrolled: dict[str, np.ndarray]
    probes: dict[str, np.ndarray]
    side: gallery.Protocol
    owners: dict[str, np.ndarray]


def show(config: Config) -> Shown:
    """Draw every picture that is looked at; ValueError where no source has strangers."""
    seed = config.evaluate.seed
    known, shown = (strangers.load(config, side) for side in (TRAIN, VALIDATION))
    if known is None or shown is None:
        raise ValueError("no source of prepare.sources has a group: nobody is a stranger")
    side = gallery.load_side(
        config, VALIDATION, people=config.train.validate_people, pictures_per_person=PICTURES
    )
    owners = side.crops[~side.enrolled]
    return Shown(
        [in_condition(known.crops, name, seed + 2) for name in CONDITIONS],
        shown.group,
        {name: in_condition(shown.crops, name, seed + 1) for name in (CLEAN, DARK)},
        {name: in_condition(shown.crops, name, seed) for name in CONDITIONS},
        side,
        {name: in_condition(owners, name, seed) for name in CONDITIONS},
    )


def standing(config: Config, verifier: Verifier, shown: Shown) -> dict[str, float]:
    """Measure one network: `threshold` of the worst group and condition, and TAR by condition."""
    cohort = np.concatenate([model.directions(verifier, crops) for crops in shown.cohort])

    def scored(crops: np.ndarray) -> np.ndarray:
        return with_cohort(model.directions(verifier, crops), cohort, config.crowd)

    enrolled = {name: scored(crops) for name, crops in shown.enrolled.items()}
    probes = {name: scored(crops) for name, crops in shown.probes.items()}
    needed = []
    for condition, kept in (*((name, CLEAN) for name in CONDITIONS), (DARK, DARK)):
        for group in np.unique(shown.group):
            rows = np.nonzero(shown.group == group)[0]
            trials = metrics.collect(enrolled[kept][rows], rows, probes[condition][rows], rows)
            needed.append(metrics.thresholds_at(trials, np.array([WANTED]))[0])
    threshold = float(np.nanmax(needed))
    side = shown.side
    templates, owner = gallery.templates(
        scored(side.crops[side.enrolled]), side.person[side.enrolled]
    )
    found = {"threshold": threshold}
    for condition, crops in shown.owners.items():
        trials = metrics.collect(templates, owner, scored(crops), side.person[~side.enrolled])
        found[condition] = float(metrics.true_accept_rates(trials, np.array([threshold]))[0])
    return found | {"tar": float(np.mean([found[name] for name in CONDITIONS]))}


def choose(config: Config) -> float:
    """Keep the best of the start, the trained network and the blends; return its share."""
    folder = open_run(config, "choose")
    torch.set_num_threads(config.train.threads)
    device = find_device(config.train.device)
    start, trained = model.build(config), model.load(folder / model.LAST).to(device)
    shown = show(config)
    best = (0.0, 0.0)
    for share in (0.0, *sorted(config.train.blends), 1.0):
        verifier = blend(start, trained, share)
        measured = copy.deepcopy(verifier)
        if config.train.compile:
            measured.compile()
        row = {"share": share, **standing(config, measured, shown)}
        append_csv(folder / "choose.csv", row)
        print(row, flush=True)
        if row["tar"] > best[1]:
            best = share, row["tar"]
            model.save(folder / model.BEST, verifier, config, share=share)
    return best[0]
