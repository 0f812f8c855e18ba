"""Step `train`: distil the teacher's view of clean pictures into views by night.

A training that was cut off goes on with the same command. `torchrun` trains in several processes,
on one machine or more (see training.common.parallel).
"""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import distributed
from tqdm import tqdm

from training.common import parallel
from training.common.average import Average
from training.common.layers import channels_last
from training.common.log import CURVES, Log
from training.common.parallel import Team
from training.common.runs import Work, begin, write_json
from training.verifier import gallery, metrics, model
from training.verifier.augment import in_condition
from training.verifier.config import Config, TrainSettings
from training.verifier.dataset import Batch, load_training_set
from training.verifier.loader import batches
from training.verifier.losses import (
    ArcFace,
    apart_loss,
    distillation_loss,
    feature_loss,
    relation_loss,
)
from training.verifier.model import BEST, LAST
from training.verifier.network import Verifier
from training.verifier.prepare import TABLE, TEACHER

# The satisficing metric of a lock: nobody else gets in more often than this.
WANTED_FAR = 1e-4
# Two TARs this close are not told apart on a few hundred people.
CLOSE = 0.005
# All that a training needs to go on; it goes when the training is done.
STATE = "state.pt"
FIGURES = "train.json"
# Settings that change how fast a training is, not what it learns.
SPEED = tuple(f"train.{name}" for name in ("threads", "workers", "device", "save_every"))
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@torch.no_grad()
def blend(start: Verifier, trained: Verifier, share: float) -> Verifier:
    """Return the network `share` (0..1) of the way from `start`'s weights to `trained`'s."""
    mixed = copy.deepcopy(trained)
    start = copy.deepcopy(start).to(next(trained.parameters()).device)
    for value, first in zip(mixed.state_dict().values(), start.state_dict().values(), strict=True):
        if value.dtype.is_floating_point:
            value.copy_(torch.lerp(first, value, share))
    return mixed


def precision_of(settings: TrainSettings, device: torch.device) -> torch.dtype:
    """Return the type that layers compute in; ValueError for one that the device has not."""
    name = settings.precision
    if name == "auto":
        name = "bfloat16" if device.type == "cuda" else "float32"
    if name not in PRECISIONS or (name == "float16" and device.type != "cuda"):
        raise ValueError(f"train.precision {name!r} cannot be had on {device.type}")
    return PRECISIONS[name]


class Trainer:
    """One optimiser step at a time; who calls decides on schedule, validation and the end."""

    def __init__(
        self,
        verifier: Verifier,
        people: int,
        settings: TrainSettings,
        team: Team | None = None,
        *,
        centres: torch.Tensor | None = None,
        start: Verifier | None = None,
    ) -> None:
        """Train `verifier` in place; `centres` are where a margin loss over `people` starts.

        `start` shows it its maps of clean views; without one it is the verifier as it comes.
        """
        self.settings = settings
        self.team = team or Team()
        self.precision = precision_of(settings, self.team.device)
        self.verifier = channels_last(verifier.to(self.team.device)).train()
        self.average = Average(verifier, settings.ema_decay)
        self.start = copy.deepcopy(start or verifier).to(self.team.device).eval()
        self.start.requires_grad_(False)
        parameters = list(verifier.parameters())
        self.margin = None
        if settings.margin_weight and people:
            self.margin = ArcFace(
                people,
                verifier.backbone.embedding_size,
                margin=settings.margin,
                scale=settings.margin_scale,
                centres=centres,
            ).to(self.team.device)
            parameters += list(self.margin.parameters())
        self.optimizer = torch.optim.AdamW(
            parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        # Keeps small gradients from vanishing in float16; elsewhere it does nothing.
        self.scaler = torch.amp.GradScaler(
            self.team.device.type, enabled=self.precision == torch.float16
        )
        if settings.compile:
            self.verifier.compile()
            self.start.compile()
        self._embed = self.team.wrap(self.verifier)
        # A batch without known people leaves the centres out.
        self._margin = self.margin and self.team.wrap(self.margin, unused=True)

    def step(self, batch: Batch, learning_rate: float) -> float:
        """Train on one batch; return its loss. Raises FloatingPointError where it is not finite.

        In a team each process brings its own batch and sees its own loss.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        device = self.team.device
        image = self._on_device(batch.image)
        mixed = self.precision != torch.float32
        with torch.autocast(device.type, self.precision, mixed):
            embedding, maps = self._embed(image, maps=True)
        embedding = embedding.float()
        loss = embedding.sum() * 0.0
        if self.settings.feature_weight:
            with torch.no_grad(), torch.autocast(device.type, self.precision, mixed):
                _, hints = self.start(self._on_device(batch.clean), maps=True)
            loss = loss + self.settings.feature_weight * feature_loss(maps, hints)
        if batch.target is not None:
            target = batch.target.to(device, non_blocking=True)
            if self.settings.distillation_weight:
                loss = loss + self.settings.distillation_weight * distillation_loss(
                    embedding, target
                )
            camera = batch.camera.to(device, non_blocking=True)
            if self.settings.relation_weight:
                loss = loss + self.settings.relation_weight * relation_loss(
                    embedding, target, camera
                )
            if self.settings.apart_weight:
                loss = loss + self.settings.apart_weight * apart_loss(
                    embedding, target, camera, temperature=self.settings.apart_temperature
                )
        if self._margin is not None:
            person = batch.person.to(device, non_blocking=True)
            loss = loss + self.settings.margin_weight * self._margin(embedding, person)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"the loss is {value}")
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.verifier.parameters(), 5.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update(self.verifier)
        return value

    def _on_device(self, views: torch.Tensor) -> torch.Tensor:
        """Make float32 [N, 3, 112, 112] of uint8 [N, 112, 112, 3]; their memory is channels-last.

        Bytes travel, and become numbers where they are needed.
        """
        return views.to(self.team.device, non_blocking=True).permute(0, 3, 1, 2).float()

    def state_dict(self) -> dict[str, Any]:
        """Return what `load_state_dict` needs to go on as if nothing had happened."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the state of a trainer with the same settings."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])

    def _parts(self) -> dict[str, Any]:
        parts = {
            "verifier": self.verifier,
            "average": self.average,
            "optimizer": self.optimizer,
            "scaler": self.scaler,
        }
        return parts | ({"margin": self.margin} if self.margin is not None else {})


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


Watch = Callable[[int, Standing], None]
"""Told the step and the standing at every validation; may raise, which ends the training."""


def train(
    config: Config, validator: Validator | None = None, *, watch: Watch | None = None
) -> Trained:
    """Train as the config says; leave best.pt, last.pt, train.json, tables and curves in the run.

    What was cut off goes on; what is done is not done again. A `validator` that has already
    measured the same start is not asked to do so again.

    Raises ValueError where the run's folder holds a training with other settings or pictures.
    """
    torch.set_num_threads(config.train.threads)
    with parallel.team(config.train.device) as team:
        work = team.from_first(lambda: _begin(config))
        if work is None:
            return team.from_first(lambda: _read_figures(config.run_dir / FIGURES))
        return _Training(config, team, work, validator, watch).run()


def _begin(config: Config) -> Work | None:
    """Open the run, or return None where it is done."""
    inputs = [config.prepared_dir / TABLE, config.prepared_dir / TEACHER]
    if config.model.warm_start:
        inputs.append(Path(config.teachers) / config.model.warm_start)
    if config.train.first:
        inputs.append(Path(config.train.first))
    keys = ("model", "train", "evaluate.bootstrap", "evaluate.seed")
    folder = config.run_dir
    if config.again:
        (folder / STATE).unlink(missing_ok=True)
    work = begin(config, "train", keys, inputs, but=SPEED)
    if work is not None and (folder / STATE).is_file():
        begun = torch.load(folder / STATE, map_location="cpu", weights_only=True)["digest"]
        if begun != work.digest:
            raise ValueError(
                f"{folder} holds a training with other settings or pictures that was cut off: "
                "name another run, or begin anew with --again"
            )
    return work


@dataclass(frozen=True)
class _Desk:
    """What only the first process of a team has: it measures, and writes down."""

    validator: Validator
    log: Log


class _Training:
    """One training from its first step, or from where it was cut off, to its end."""

    def __init__(
        self,
        config: Config,
        team: Team,
        work: Work,
        validator: Validator | None,
        watch: Watch | None,
    ) -> None:
        settings = config.train
        self.config, self.team, self.work, self.watch = config, team, work, watch
        data = load_training_set(config)
        if data.target is None and not settings.margin_weight:
            raise ValueError("nothing to learn from: no teacher embeddings and no margin loss")
        judge = (validator or Validator(config)) if team.first else None
        self.start = model.build(config)
        first = model.load(Path(settings.first)) if settings.first else copy.deepcopy(self.start)
        self.trainer = Trainer(
            first, data.people, settings, team, centres=data.centres(), start=self.start
        )
        self.step, self.seconds = 0, 0.0
        state = self._load()
        self.desk: _Desk | None = None
        if judge is not None:
            if state is not None:
                judge.start = state["start"] and Standing(**state["start"])
                print(f"train: goes on from step {self.step}", flush=True)
            tables = {} if state is None else state["tables"]
            self.desk = _Desk(judge, Log(work.folder, tables, self.step))
        self.batches = batches(data, settings, team, self.step)
        if state is None:
            standing, best = self._measure(self.trainer.average.network, None)
            self.found = Trained(best, standing)
        else:
            self.found = Trained(Standing(**state["best"]), Standing(**state["last"]))

    def run(self) -> Trained:
        """Take the steps that are left, validate, and write what the run leaves."""
        settings, trained = self.config.train, self.trainer.average.network
        bar = tqdm(
            desc="train",
            total=settings.steps or None,
            initial=self.step,
            mininterval=5,
            disable=not self.team.first,
        )
        while (progress := _progress(settings, self.step, self._spent())) < 1.0:
            begun = time.monotonic()
            rate = learning_rate(settings, self.step, progress)
            loss = self.trainer.step(next(self.batches), rate)
            self.seconds += time.monotonic() - begun
            self.step += 1
            bar.update()
            self._note(rate, loss)
        bar.close()
        if self.step % settings.validate_every:
            self._validate(trained)
        for share in settings.blends:
            self._validate(blend(self.start, trained, share), share)
        if self.desk:
            model.save(self.work.folder / LAST, trained, self.config, step=self.step)
            figures = {"steps": self.step, "seconds": self.seconds, **self.found.best.figures}
            write_json(self.work.folder / FIGURES, figures | {"standing": asdict(self.found)})
            self.desk.log.close()
            self.work.finish(BEST, LAST, FIGURES, CURVES)
            (self.work.folder / STATE).unlink(missing_ok=True)
        return self.found

    def _note(self, rate: float, loss: float) -> None:
        """Write down, validate and save what is due after this step."""
        settings = self.config.train
        if self.desk and self.step % 20 == 0:
            row = {"step": self.step, "seconds": round(self.seconds, 1), "rate": rate}
            self.desk.log.add("metrics", row | {"loss": round(loss, 5)})
        due = self.step % settings.validate_every == 0
        if due:
            self._validate(self.trainer.average.network)
        if self.desk and (due or self.step % settings.save_every == 0):
            self._save(self.desk)

    def _spent(self) -> float:
        """Seconds of training; every process must stop at the same step, so the first's count."""
        if self.team.size > 1 and self.config.train.minutes:
            seconds = torch.tensor(self.seconds, device=self.team.device)
            distributed.broadcast(seconds, 0)
            return float(seconds)
        return self.seconds

    def _validate(self, verifier: Verifier, share: float = 1.0) -> None:
        """Measure a network on the first process and keep it if it is the best so far."""
        standing, best = self._measure(verifier, self.found.best, share)
        self.found = Trained(best, standing if share == 1.0 else self.found.last)
        if self.watch and share == 1.0:
            self.watch(self.step, standing)

    def _measure(
        self, verifier: Verifier, best: Standing | None, share: float = 1.0
    ) -> tuple[Standing, Standing]:
        """Return a network's standing, and that of the best once it is compared with `best`."""

        def measure() -> tuple[Standing, Standing]:
            if self.desk is None:
                raise RuntimeError("only the first process measures")
            # The start is known where a validator or a state brought its standing along.
            known = self.desk.validator.start if self.step == 0 else None
            standing = known or self.desk.validator(verifier)
            row = {"step": self.step, "share": share, "satisfied": standing.satisfied}
            row |= {name: round(value, 5) for name, value in standing.figures.items()}
            self.desk.log.add("validation", row, board=share == 1.0)
            print(row, flush=True)
            # Of two that are equally good, the one nearer to the start is the safer.
            if best is not None and not standing.better_than(best, CLOSE if share < 1.0 else 0.0):
                return standing, best
            model.save(self.work.folder / BEST, verifier, self.config, step=self.step, share=share)
            return standing, standing

        return self.team.from_first(measure)

    def _save(self, desk: _Desk) -> None:
        """Write the state in one step: a training cut off meanwhile has the one before."""
        partial = self.work.folder / (STATE + ".partial")
        start = desk.validator.start
        torch.save(
            {
                "digest": self.work.digest,
                "step": self.step,
                "seconds": self.seconds,
                "trainer": self.trainer.state_dict(),
                "random": torch.get_rng_state(),
                **asdict(self.found),
                "start": None if start is None else asdict(start),
                "tables": desk.log.tables,
            },
            partial,
        )
        partial.replace(self.work.folder / STATE)

    def _load(self) -> dict[str, Any] | None:
        """Go on from the state that the first process has, if any, and return it."""
        path = self.work.folder / STATE

        def read() -> dict[str, Any] | None:
            if not path.is_file():
                return None
            return torch.load(path, map_location="cpu", weights_only=True)

        state = self.team.from_first(read)
        if state is None:
            return None
        self.trainer.load_state_dict(state["trainer"])
        torch.set_rng_state(state["random"])
        self.step, self.seconds = state["step"], state["seconds"]
        return state


def _read_figures(path: Path) -> Trained:
    standing = json.loads(path.read_text())["standing"]
    return Trained(Standing(**standing["best"]), Standing(**standing["last"]))


def _progress(settings: TrainSettings, step: int, seconds: float) -> float:
    limits = [step / settings.steps] if settings.steps else []
    limits += [seconds / (60.0 * settings.minutes)] if settings.minutes else []
    if not limits:
        raise ValueError("train.steps and train.minutes are both 0: training would never end")
    return max(limits)
