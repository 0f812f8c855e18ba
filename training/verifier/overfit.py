"""Step `overfit`: the code can learn a few people by heart, and only what is there to learn.

With true labels the loss falls to nearly zero and held-out pictures of the same people are told
apart. With shuffled labels it may fall too, but held-out pictures must stay at chance: were they
not, labels would be leaking into the pictures.
"""

from dataclasses import dataclass, replace as changed

import numpy as np
import pyarrow.parquet as pq
import torch

from training.common.pictures import decode_centres
from training.common.runs import open_run, write_json
from training.common.split import TRAIN
from training.verifier import model
from training.verifier.backbones import Verifier, build_backbone
from training.verifier.config import Config, TrainSettings
from training.verifier.dataset import TrainingSet
from training.verifier.prepare import TABLE
from training.verifier.train import Trainer


@dataclass(frozen=True)
class Outcome:
    """Mean loss of the last steps, and the share of held-out pictures given to their person."""

    loss: float
    accuracy: float
    chance: float


def memorise(
    verifier: Verifier,
    images: list[bytes],
    person: np.ndarray,
    held_out: np.ndarray,
    settings: TrainSettings,
    *,
    shuffled: bool = False,
) -> Outcome:
    """Train on the pictures not `held_out` (bool [N]) with a margin loss, clean views only.

    `images` are stored crops, `person` int [N] from 0. With `shuffled` the training labels are
    permuted; held-out pictures keep theirs.
    """
    rng = np.random.default_rng(settings.seed)
    torch.manual_seed(settings.seed)
    rows = np.nonzero(~held_out)[0]
    labels = person[rows]
    if shuffled:
        labels = rng.permutation(labels)
    data = TrainingSet([images[row] for row in rows], None, labels)
    people = int(person.max()) + 1
    trainer = Trainer(verifier, people, settings)
    losses = []
    batches = data.batches(settings.batch_size, 1.0, rng)
    for step in range(settings.steps):
        # A constant rate after the warm-up: there is no schedule to finish here.
        warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
        losses.append(trainer.step(next(batches), settings.learning_rate * warm))
    known = model.embed(verifier, decode_centres(data.images))
    centres = np.stack([known[labels == number].mean(axis=0) for number in range(people)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    unseen = model.embed(verifier, decode_centres([images[k] for k in np.nonzero(held_out)[0]]))
    guess = (unseen @ centres.T).argmax(axis=1)
    return Outcome(
        loss=float(np.mean(losses[-10:])),
        accuracy=float((guess == person[held_out]).mean()),
        chance=1.0 / people,
    )


def overfit(config: Config, *, people: int = 8, pictures: int = 24) -> dict[str, Outcome]:
    """Memorise the training people with most pictures, from random weights, twice."""
    folder = open_run(config, "overfit")
    settings = changed(
        config.train, margin_weight=1.0, distillation_weight=0.0, batch_size=32, steps=120,
        learning_rate=2e-3, warmup_steps=10, bfloat16=False,
    )  # fmt: skip
    torch.set_num_threads(settings.threads)
    table = pq.read_table(config.prepared_dir / TABLE, filters=[("side", "=", TRAIN)])
    names = np.array(table["person"].to_pylist())
    found, counts = np.unique(names, return_counts=True)
    chosen = found[np.argsort(-counts, kind="stable")[:people]]
    rows = np.concatenate([np.nonzero(names == name)[0][:pictures] for name in chosen])
    person = np.concatenate(
        [np.full(min(pictures, int((names == name).sum())), k) for k, name in enumerate(chosen)]
    )
    images = table["image"].take(rows).to_pylist()
    held_out = np.arange(len(rows)) % 3 == 0
    options = {**config.model.options, "batch_norm": True}
    outcomes = {}
    for name, shuffled in (("true labels", False), ("shuffled labels", True)):
        torch.manual_seed(settings.seed)
        verifier = Verifier(build_backbone(config.model.backbone, **options))
        outcome = memorise(verifier, images, person, held_out, settings, shuffled=shuffled)
        outcomes[name] = outcome
        print(name, outcome, flush=True)
    write_json(folder / "overfit.json", {name: vars(value) for name, value in outcomes.items()})
    return outcomes
