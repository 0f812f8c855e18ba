"""Step `evaluate`: error rates by condition, of the checkpoint and of the exported file."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from training.common import bundle
from training.common.paths import use_vision
from training.common.runs import append_csv, open_run, write_json
from training.verifier import gallery, metrics, model
from training.verifier.augment import in_condition
from training.verifier.config import Config
from training.verifier.train import BEST

RATES = (1e-3, 1e-4, 1e-5)
LIGHTING = "lighting"

Embed = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """Embeddings of one condition, so that trials of any kind can be made of them.

    `enrolled` are the pictures that make templates, `probe` those shown to the door.
    """

    condition: str
    enrolled: np.ndarray
    enrolled_person: np.ndarray
    enrolled_source: np.ndarray
    probe: np.ndarray
    probe_person: np.ndarray
    probe_source: np.ndarray
    people: int

    def trials(self, *, source: str = "", pairs: bool = False) -> metrics.Trials:
        """Compare probes with enrolled people, or with single pictures of them (`pairs`).

        `source` keeps people and probes of one source (a prefix) only.
        """
        ours = np.char.startswith(self.enrolled_source, source)
        theirs = np.char.startswith(self.probe_source, source)
        pictures, person = self.enrolled[ours], self.enrolled_person[ours]
        if pairs:
            _, first = np.unique(person, return_index=True)
            templates, owners = pictures[first], person[first]
        else:
            templates, owners = gallery.templates(pictures, person)
        return metrics.collect(
            templates, owners, self.probe[theirs], self.probe_person[theirs], people=self.people
        )


def acceptable(config: Config, crops: np.ndarray, face_px: np.ndarray) -> np.ndarray:
    """Which crops the door would take as evidence: bool [N]. An unknown width passes."""
    limits = config.calibrate
    brightness, sharpness = gallery.qualities(crops)
    return (
        (brightness >= limits.min_brightness)
        & (sharpness >= limits.min_sharpness)
        & ~(face_px < limits.min_face_px)
    )


def measure(config: Config, embed: Embed, side: str) -> Iterator[Measured]:
    """Embed a side's pictures in every condition, leaving out what the door would not take.

    A condition is that of the probe, with clean pictures enrolled, or `probe/enrolled`.
    """
    shown = gallery.load_side(config, side)
    seen: dict[tuple[str, bool], tuple[np.ndarray, np.ndarray]] = {}

    def look(condition: str, enrolled: bool) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows the door would take, and their embeddings; each made once."""
        if (condition, enrolled) not in seen:
            rows = np.nonzero(shown.enrolled == enrolled)[0]
            # Enrolled and probe pictures get different noise.
            seed = config.evaluate.seed + int(enrolled)
            crops = in_condition(shown.crops[rows], condition, seed)
            usable = acceptable(config, crops, shown.face_px[rows])
            seen[condition, enrolled] = rows[usable], embed(crops[usable])
        return seen[condition, enrolled]

    for condition in config.evaluate.conditions:
        probe_condition, _, enrolled_condition = condition.partition("/")
        probes, probe = look(probe_condition, enrolled=False)
        known, enrolled = look(enrolled_condition or "clean", enrolled=True)
        yield Measured(
            condition,
            enrolled,
            shown.person[known],
            shown.source[known],
            probe,
            shown.person[probes],
            shown.source[probes],
            len(shown.names),
        )


def measure_lighting(config: Config, embed: Embed) -> Measured | None:
    """Embed the pack of real lamps: frontal light enrolled, all other lamps as probes."""
    if not config.evaluate.lighting_pack:
        return None
    shown, _ = gallery.load_lighting(
        Path(config.data) / config.evaluate.lighting_pack, config.evaluate.seed
    )
    usable = acceptable(config, shown.crops, shown.face_px)
    known, probes = shown.enrolled & usable, ~shown.enrolled & usable
    return Measured(
        LIGHTING,
        embed(shown.crops[known]),
        shown.person[known],
        shown.source[known],
        embed(shown.crops[probes]),
        shown.person[probes],
        shown.source[probes],
        len(shown.names),
    )


def figures(trials: metrics.Trials, draws: int, seed: int) -> dict[str, object]:
    """TAR at each FAR with its interval, best accuracy, and how many trials they rest on."""
    rates = tuple(rate for rate in RATES if rate * trials.impostors >= 10)
    found = metrics.tar_at_far(trials, rates, draws=draws, seed=seed) if rates else {}
    return {
        "people": int((trials.probes > 0).sum()),
        "genuine": len(trials.genuine),
        "impostors": int(trials.impostors),
        "accuracy": metrics.best_accuracy(trials),
        "tar": {f"{rate:.0e}": asdict(estimate) for rate, estimate in found.items()},
        "threshold": {
            f"{rate:.0e}": float(metrics.thresholds_at(trials, np.array([rate]))[0])
            for rate in rates
        },
    }


def report(config: Config, embed: Embed, side: str) -> dict[str, dict[str, object]]:
    """Measure one network in every condition, against enrolled people and against pairs."""
    settings = config.evaluate
    found: dict[str, dict[str, object]] = {}
    for measured in measure(config, embed, side):
        trials = measured.trials()
        found[measured.condition] = figures(trials, settings.bootstrap, settings.seed)
        if measured.condition == "clean":
            pairs = measured.trials(pairs=True)
            found["clean, pairs"] = figures(pairs, settings.bootstrap, settings.seed)
    if (lighting := measure_lighting(config, embed)) is not None:
        found[LIGHTING] = figures(lighting.trials(), settings.bootstrap, settings.seed)
    return found


def bundled_embedder(config: Config) -> Embed:
    """Return the exported verifier as the door runs it, through `vision`.

    Without `vision.load_bundle`, which rightly refuses a verifier that has no thresholds yet.
    """
    use_vision()
    from vision.runtime import ModelFiles, choose  # noqa: PLC0415 - needs the path above
    from vision.verifier import Verifier  # noqa: PLC0415

    folder = Path(config.export.models)
    entry = bundle.read(folder)["models"]["verifier"]
    ncnn = entry["files"]["ncnn"]
    files = ModelFiles(
        onnx=folder / entry["files"]["onnx"]["name"],
        ncnn_param=folder / ncnn["param"]["name"],
        ncnn_bin=folder / ncnn["bin"]["name"],
    )
    verifier = Verifier(
        choose(config.evaluate.runtime).load(files, config.evaluate.threads),
        model=entry["files"]["onnx"]["sha256"],
        embedding_size=entry["embedding_size"],
    )

    def embed(crops: np.ndarray) -> np.ndarray:
        parts = [verifier.embed(crops[start : start + 64]) for start in range(0, len(crops), 64)]
        return np.concatenate(parts)

    return embed


def evaluate(config: Config, what: str = "checkpoint") -> None:
    """Measure `checkpoint` (the run's), `start` (the untrained network) or `bundle`."""
    torch.set_num_threads(config.evaluate.threads)
    folder = open_run(config, f"evaluate {what}")
    if what == "bundle":
        embed = bundled_embedder(config)
    else:
        network = model.load(folder / BEST) if what == "checkpoint" else model.build(config)

        def embed(crops: np.ndarray) -> np.ndarray:
            return model.embed(network, crops)

    side = config.evaluate.side
    found = report(config, embed, side)
    write_json(folder / f"evaluate-{what}-{side}.json", found)
    table = folder / f"evaluate-{what}-{side}.csv"
    table.unlink(missing_ok=True)
    for condition, row in found.items():
        flat = {"condition": condition}
        flat |= {key: row[key] for key in ("people", "genuine", "impostors")}
        flat["accuracy"] = round(row["accuracy"], 4)
        for rate in RATES:
            estimate = row["tar"].get(f"{rate:.0e}")
            text = "{value:.4f} ({low:.4f}-{high:.4f})".format(**estimate) if estimate else ""
            flat[f"TAR at {rate:.0e}"] = text
        append_csv(table, flat)
        print(" | ".join(str(value) for value in flat.values()), flush=True)
