"""Step `overfit`: the code can learn a few people by heart, and only what is there to learn.

With true labels the loss falls to nearly zero and held-out pictures of the same people are told
apart. With shuffled labels it may fall too, but held-out pictures must stay at chance: were they
not, labels would be leaking into the pictures.
"""

import time
from dataclasses import asdict, dataclass, replace as changed
from inspect import signature

import numpy as np
import pyarrow.parquet as pq
import torch
from tqdm import trange

from training.common.pictures import decode_centres
from training.common.runs import begin, write_json
from training.common.split import TRAIN
from training.verifier import model
from training.verifier.backbones import BACKBONES, build_backbone
from training.verifier.config import Config, TrainSettings
from training.verifier.dataset import TrainingSet
from training.verifier.loader import batches
from training.verifier.network import Verifier
from training.verifier.prepare import TABLE
from training.verifier.train import Trainer, learning_rate

# Pictures of each person, every third of them held out.
PICTURES = 24
# A small network and no degraded pictures: two minutes each on one core.
WIDTH = 0.5
STEPS = 200


@dataclass(frozen=True)
class Outcome:
    """What memorising came to.

    `loss` is the mean of the last ten steps, `accuracy` the share of held-out pictures given to
    their person, `chance` what guessing would come to. `seconds` are of processor time.
    """

    loss: float
    accuracy: float
    chance: float
    held_out: int
    steps: int
    seconds: float


def memorise(
    verifier: Verifier,
    images: list[bytes],
    person: np.ndarray,
    held_out: np.ndarray,
    settings: TrainSettings,
    *,
    shuffled: bool = False,
) -> Outcome:
    """Train on the pictures not `held_out` (bool [N]) with a margin loss.

    `images` are stored crops, `person` int [N] from 0. With `shuffled` the training labels are
    permuted; held-out pictures keep theirs.
    """
    begun = time.process_time()
    torch.manual_seed(settings.seed)
    rows = np.nonzero(~held_out)[0]
    labels = person[rows]
    if shuffled:
        labels = np.random.default_rng(settings.seed).permutation(labels)
    data = TrainingSet(
        [images[row] for row in rows], None, labels, strength=settings.augment_strength
    )
    people = int(person.max()) + 1
    trainer = Trainer(verifier, people, settings)
    shown = batches(data, settings)
    losses = []
    bar = trange(settings.steps, desc="shuffled labels" if shuffled else "true labels")
    for step in bar:
        rate = learning_rate(settings, step, step / settings.steps)
        losses.append(trainer.step(next(shown), rate))
        bar.set_postfix(loss=f"{losses[-1]:.3f}")
    known = model.directions(verifier, decode_centres(data.images))
    centres = np.stack([known[labels == number].mean(axis=0) for number in range(people)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    unseen = model.directions(
        verifier, decode_centres([images[k] for k in np.nonzero(held_out)[0]])
    )
    guess = (unseen @ centres.T).argmax(axis=1)
    return Outcome(
        loss=float(np.mean(losses[-10:])),
        accuracy=float((guess == person[held_out]).mean()),
        chance=1.0 / people,
        held_out=len(guess),
        steps=settings.steps,
        seconds=round(time.process_time() - begun, 1),
    )


def overfit(config: Config, *, people: int = 8) -> dict[str, Outcome] | None:
    """Memorise the training people with most pictures, from random weights, twice.

    Leaves overfit.json in the run's folder; returns None where it is there already.
    """
    keys = ("model.backbone", "model.options", "train.seed")
    work = begin(config, "overfit", keys, [config.prepared_dir / TABLE], options=people)
    if work is None:
        return None
    settings = changed(
        config.train,
        distillation_weight=0.0,
        margin_weight=1.0,
        # With less, ten steps are enough to learn them by heart, and teach nothing about others.
        margin=0.3,
        margin_scale=24.0,
        # Shifted and mirrored, but not degraded.
        clean_share=1.0,
        augment_strength=1.0,
        feature_weight=0.0,
        batch_size=40,
        steps=STEPS,
        learning_rate=2e-3,
        warmup_steps=10,
        weight_decay=0.0,
        precision="float32",
        compile=False,
        workers=0,
    )
    torch.set_num_threads(settings.threads)
    images, person = _most_pictured(config, people)
    held_out = np.arange(len(images)) % 3 == 0
    options = {**config.model.options, "width": WIDTH}
    # From random weights it learns sooner with it; not every backbone has it.
    if "batch_norm" in signature(BACKBONES[config.model.backbone]).parameters:
        options["batch_norm"] = True
    outcomes = {}
    for name, shuffled in (("true labels", False), ("shuffled labels", True)):
        torch.manual_seed(settings.seed)
        verifier = Verifier(build_backbone(config.model.backbone, **options))
        outcome = memorise(verifier, images, person, held_out, settings, shuffled=shuffled)
        outcomes[name] = outcome
        print(name, outcome, flush=True)
    write_json(
        work.folder / "overfit.json", {name: asdict(value) for name, value in outcomes.items()}
    )
    work.finish("overfit.json")
    return outcomes


def _most_pictured(config: Config, people: int) -> tuple[list[bytes], np.ndarray]:
    """Return stored crops of the training people with most pictures, and whose they are."""
    table = pq.read_table(config.prepared_dir / TABLE, filters=[("side", "=", TRAIN)])
    names = np.array(table["person"].to_pylist())
    found, counts = np.unique(names, return_counts=True)
    chosen = found[np.argsort(-counts, kind="stable")[:people]]
    rows = [np.nonzero(names == name)[0][:PICTURES] for name in chosen]
    person = np.repeat(np.arange(len(chosen)), [len(own) for own in rows])
    return table["image"].take(np.concatenate(rows)).to_pylist(), person
