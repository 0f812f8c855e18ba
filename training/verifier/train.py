"""Step `train`: distil the teacher's view of clean pictures into views by night."""

import copy
import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from training.common.average import Average
from training.common.runs import append_csv, open_run, write_json
from training.verifier import gallery, metrics, model
from training.verifier.augment import in_condition
from training.verifier.backbones import Verifier
from training.verifier.config import Config, TrainSettings
from training.verifier.dataset import Batch, load_training_set
from training.verifier.losses import ArcFace, distillation_loss

# The satisficing metric of a lock: nobody else gets in more often than this.
WANTED_FAR = 1e-4
# Two TARs this close are not told apart on a few hundred people.
CLOSE = 0.005
BEST = "best.pt"
LAST = "last.pt"


@torch.no_grad()
def blend(start: Verifier, trained: Verifier, share: float) -> Verifier:
    """Return the network `share` (0..1) of the way from `start`'s weights to `trained`'s."""
    mixed = copy.deepcopy(trained)
    for value, first in zip(mixed.state_dict().values(), start.state_dict().values(), strict=True):
        if value.dtype.is_floating_point:
            value.copy_(torch.lerp(first, value, share))
    return mixed


class Trainer:
    """One optimiser step at a time; who calls decides on schedule, validation and the end."""

    def __init__(self, verifier: Verifier, people: int, settings: TrainSettings) -> None:
        self.settings = settings
        self.verifier = verifier.to(memory_format=torch.channels_last).train()
        self.average = Average(verifier, settings.ema_decay)
        parameters = list(verifier.parameters())
        self.margin = None
        if settings.margin_weight and people:
            self.margin = ArcFace(
                people,
                verifier.backbone.embedding_size,
                margin=settings.margin,
                scale=settings.margin_scale,
            )
            parameters += list(self.margin.parameters())
        self.optimizer = torch.optim.AdamW(
            parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def step(self, batch: Batch, learning_rate: float) -> float:
        """Train on one batch; return its loss. Raises FloatingPointError where it is not finite."""
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        image = batch.image.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
            embedding = self.verifier(image)
        embedding = embedding.float()
        loss = embedding.sum() * 0.0
        if batch.target is not None and self.settings.distillation_weight:
            loss = loss + self.settings.distillation_weight * distillation_loss(
                embedding, batch.target
            )
        if self.margin is not None:
            loss = loss + self.settings.margin_weight * self.margin(embedding, batch.person)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.verifier.parameters(), 5.0)
        self.optimizer.step()
        self.average.update(self.verifier)
        return value


def learning_rate(settings: TrainSettings, step: int, progress: float) -> float:
    """Linear warm-up, then half a cosine from the full rate to zero over `progress` 0..1."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup_steps))
    return settings.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


@dataclass(frozen=True)
class Standing:
    """How good a checkpoint is. Ordered: the satisficing metric first, then the TAR."""

    satisfied: bool
    tar: float
    figures: dict[str, float]

    def better_than(self, other: "Standing | None", allowance: float = 0.0) -> bool:
        """Whether this checkpoint is to be preferred, even if `allowance` of TAR is lost."""
        return other is None or (
            (self.satisfied, self.tar + allowance) > (other.satisfied, other.tar)
        )


class Validator:
    """Measures a network on validation people, clean and dark, always on the same pictures."""

    CONDITIONS = ("clean", "dark", "infrared")

    def __init__(self, config: Config) -> None:
        settings = config.evaluate
        self.protocol = gallery.load_side(
            config, "validation", people=config.train.validate_people, pictures_per_person=8
        )
        probes = self.protocol.crops[~self.protocol.enrolled]
        self.probes = {name: in_condition(probes, name, settings.seed) for name in self.CONDITIONS}
        self.draws = settings.bootstrap
        self.clean_loss = config.train.clean_loss
        self.start: Standing | None = None
        self.seed = settings.seed

    def __call__(self, verifier: Verifier) -> Standing:
        """Set one threshold that holds FAR < 1e-4 in every condition by its upper bound.

        The first network measured is the start: later ones must not lose more than allowed on
        clean pictures, or they do not satisfy.
        """
        side = self.protocol
        known = model.embed(verifier, side.crops[side.enrolled])
        enrolled, enrolled_person = gallery.templates(known, side.person[side.enrolled])
        weights = metrics.draw_people(len(side.names), self.draws, self.seed)
        trials, needed, figures = {}, [], {}
        for name, crops in self.probes.items():
            trials[name] = metrics.collect(
                enrolled,
                enrolled_person,
                model.embed(verifier, crops),
                side.person[~side.enrolled],
                people=len(side.names),
            )
            drawn = [metrics.thresholds_at(trials[name], [WANTED_FAR], w)[0] for w in weights]
            needed.append(np.quantile(drawn, 0.975))
            own = metrics.thresholds_at(trials[name], [1e-3, WANTED_FAR])
            accepted = metrics.true_accept_rates(trials[name], own)
            figures[f"{name}_tar_1e-3"], figures[f"{name}_tar_1e-4"] = map(float, accepted)
        threshold = max(needed)
        figures["threshold"] = float(threshold)
        satisfied = all(
            # A threshold above every impostor proves nothing: the counts have run out.
            math.isfinite(threshold) and WANTED_FAR * trial.impostors >= 10
            for trial in trials.values()
        )
        joint = [float(metrics.true_accept_rates(t, [threshold])[0]) for t in trials.values()]
        figures["tar"] = float(np.mean(joint))
        if self.start is None:
            self.start = Standing(satisfied, figures["tar"], figures)
        least_clean = self.start.figures["clean_tar_1e-4"] - self.clean_loss
        satisfied = satisfied and figures["clean_tar_1e-4"] >= least_clean
        return Standing(satisfied, figures["tar"], figures)


@dataclass(frozen=True)
class Trained:
    """The standing of the best network of a run, and of the one that training ended with."""

    best: Standing
    last: Standing


def train(config: Config, validator: Validator | None = None) -> Trained:
    """Train as the config says; leave best.pt, metrics.csv and validation.csv in the run folder.

    A `validator` that has already measured the same start is not asked to do so again.
    """
    settings = config.train
    torch.set_num_threads(settings.threads)
    folder = open_run(config, "train")
    for name in ("metrics.csv", "validation.csv"):
        (folder / name).unlink(missing_ok=True)
    data = load_training_set(config)
    if data.target is None and not settings.margin_weight:
        raise ValueError("nothing to learn from: no teacher embeddings and no margin loss")
    validator = validator or Validator(config)
    start_weights = model.build(config)
    trainer = Trainer(copy.deepcopy(start_weights), data.people, settings)
    trained = trainer.average.network
    best = last = validator.start or _consider(config, validator, trained, 0, None)[0]
    rng = np.random.default_rng(settings.seed)
    batches = data.batches(settings.batch_size, settings.clean_share, rng)
    spent, step = 0.0, 0
    bar = tqdm(desc="train", total=settings.steps or None, mininterval=30)
    while (progress := _progress(settings, step, spent)) < 1.0:
        start = time.monotonic()
        rate = learning_rate(settings, step, progress)
        loss = trainer.step(next(batches), rate)
        spent += time.monotonic() - start
        step += 1
        bar.update()
        if step % 20 == 0:
            row = {"step": step, "seconds": round(spent, 1), "rate": rate, "loss": round(loss, 5)}
            append_csv(folder / "metrics.csv", row)
        if step % settings.validate_every == 0:
            last, best = _consider(config, validator, trained, step, best)
    bar.close()
    model.save(folder / LAST, trained, config, step=step)
    if step % settings.validate_every:
        last, best = _consider(config, validator, trained, step, best)
    for share in settings.blends:
        mixed = blend(start_weights, trained, share)
        _, best = _consider(config, validator, mixed, step, best, share=share)
    write_json(folder / "train.json", {"steps": step, "seconds": spent, **best.figures})
    return Trained(best, last)


def _progress(settings: TrainSettings, step: int, seconds: float) -> float:
    limits = [step / settings.steps] if settings.steps else []
    limits += [seconds / (60.0 * settings.minutes)] if settings.minutes else []
    if not limits:
        raise ValueError("train.steps and train.minutes are both 0: training would never end")
    return max(limits)


def _consider(
    config: Config,
    validator: Validator,
    verifier: Verifier,
    step: int,
    best: Standing | None,
    *,
    share: float = 1.0,
) -> tuple[Standing, Standing]:
    """Measure a network and keep it if it is the best so far; return its standing and the best."""
    standing = validator(verifier)
    row = {"step": step, "share": share, "satisfied": standing.satisfied}
    row |= {name: round(value, 5) for name, value in standing.figures.items()}
    append_csv(config.run_dir / "validation.csv", row)
    print(row, flush=True)
    # Of two that are equally good, the one nearer to the start is the safer.
    if not standing.better_than(best, CLOSE if share < 1.0 else 0.0):
        return standing, best
    model.save(config.run_dir / BEST, verifier, config, step=step, share=share)
    return standing, standing
