"""Step `evaluate`: error rates of the checkpoint, its start, or the bundle as the door runs it.

`evaluate-WHAT-SIDE.json` in the run's folder (SIDE is the pack's name where one is given). Every
rate is a share 0..1; `value`, `low` and `high` are a figure and its 95 % interval over people;
keys of rates are `1e-03`, `1e-04`, `1e-05`, of gallery sizes `1`, `5`, `20`:

- `what`, `side`, `people`, `pictures`
- `conditions`: NAME (the settings' conditions, `clean, pairs`, `lighting`) -> `people`,
  `enrolled`, `genuine`, `impostors`, `accuracy`, `tar`: RATE -> estimate, `threshold`: RATE ->
  cosine; rates that too few impostor trials can count are left out
- `common`: `far`, `threshold` (holds `far` in every simulated condition), `worst` (which sets it)
- `galleries`: CONDITION -> SIZE -> `tpir`: RATE -> estimate (rank one and above the threshold at
  which that share of strangers passes the whole gallery), `at_common`: `fpir`, `tpir` estimates at
  `common.threshold`
- `visits`: CONDITION -> `quorum`, `frames`, `sizes`: SIZE -> `threshold`, `visits`,
  `impostor_visits`, `tar`, `wrong_person`, `fpr`, `frame_tar` estimates. The threshold is
  `common.threshold` for one person; for more it is that of `far` divided by their number, as
  `vision.Thresholds` does
- `groups`: NAME -> `people`, `genuine`, `share`, `tar`, `tar_ratio`, `fpr`; clean probes at
  `common.threshold`
- `fairness`: `worst_tar_group`, `worst_over_overall`, `worst_of_each_draw`, `worst_fpr_group`,
  `worst_fpr`, `demographic_labels` (always false: there are none)
- `strangers`: SOURCE -> `pictures`, `trials`, `fpr`, `among_themselves`
- `pairs` (only with `evaluate.pairs`): `pairs`, `folds`, `accuracy`, `standard_error`, `tar`,
  `without_face`
- `all_pairs` (only with `evaluate.all_pairs`): `people`, `pictures`, `without_face`, `genuine`,
  `impostors`, `tar`: FAR -> share, `rows`: RATE of the bundle's table -> `threshold`, `far`, `tar`

`evaluate-WHAT-SIDE.csv` has `conditions` as a table; `roc-` and `det-WHAT-SIDE.png` the curves.
`evaluate --what parity` compares the bundle with the checkpoint: `evaluate-parity-SIDE.json` has
`largest` (the largest difference of any accuracy or TAR), `limit` and `differences`.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle
from training.common.runs import append_csv, open_run, write_json
from training.verifier import gallery, groups, metrics, pairs, visits
from training.verifier.all_pairs import measure_all_pairs
from training.verifier.conditions import CLEAN, LIGHTING, Measured, measure, measure_lighting
from training.verifier.config import Config
from training.verifier.embedders import Embed, embedder
from training.verifier.plots import save_curves

RATES = (1e-3, 1e-4, 1e-5)
# Impostor trials that must lie above a threshold for its rate to be counted rather than guessed.
COUNTED = 10
# The exported file and the checkpoint are one network: figures may differ by 0.1 points.
PARITY = 0.001


def key(rate: float) -> str:
    """Return a rate as the JSON files name it."""
    return f"{rate:.0e}"


def counted_rate(wanted: float, impostors: float) -> float:
    """Return `wanted`, or the next power of ten that this many impostor trials can count."""
    rate = wanted
    while rate < 0.1 and rate * impostors < COUNTED:
        rate *= 10.0
    return rate


def figures(trials: metrics.Trials, draws: int, seed: int) -> dict[str, Any]:
    """TAR at each FAR with its interval, best accuracy, and how many trials they rest on."""
    rates = tuple(rate for rate in RATES if rate * trials.impostors >= COUNTED)
    found = metrics.tar_at_far(trials, rates, draws=draws, seed=seed) if rates else {}
    return {
        "people": int((trials.probes > 0).sum()),
        "enrolled": int((trials.enrolled > 0).sum()),
        "genuine": len(trials.genuine),
        "impostors": int(trials.impostors),
        "accuracy": metrics.best_accuracy(trials),
        "tar": {key(rate): asdict(one) for rate, one in found.items()},
        "threshold": {
            key(rate): float(metrics.thresholds_at(trials, np.array([rate]))[0]) for rate in rates
        },
    }


def common_threshold(trials: dict[str, metrics.Trials], wanted: float) -> dict[str, Any]:
    """Return the `threshold` that holds `far` in all conditions, and the `worst` that sets it.

    `far` is `wanted`, or the next power of ten that all of them can count.
    """
    far = counted_rate(wanted, min(one.impostors for one in trials.values()))
    at = {
        name: float(metrics.thresholds_at(one, np.array([far]))[0]) for name, one in trials.items()
    }
    worst = max(at, key=lambda name: at[name])
    return {"far": far, "threshold": at[worst], "worst": worst}


def gallery_figures(
    trials: metrics.Trials, sizes: list[int], threshold: float, draws: int, seed: int
) -> dict[str, Any]:
    """Measure false and true positive identification rates for galleries of several sizes."""
    weights = metrics.draw_people(trials.people, draws, seed)
    at = np.array([threshold])
    found = {}
    for size in sizes:
        if size > (trials.enrolled > 0).sum():
            continue
        rates = tuple(rate for rate in RATES if rate * trials.impostors >= COUNTED * size)
        tpir = metrics.tar_at_far(trials, rates, draws=draws, seed=seed, size=size) if rates else {}
        both = {
            name: metrics.estimate(
                rate(trials, at, size=size)[0], [rate(trials, at, w, size=size)[0] for w in weights]
            )
            for name, rate in (
                ("fpir", metrics.false_accept_rates),
                ("tpir", metrics.true_accept_rates),
            )
        }
        found[str(size)] = {
            "tpir": {key(rate): asdict(one) for rate, one in tpir.items()},
            "at_common": {name: asdict(one) for name, one in both.items()},
        }
    return found


def visit_figures(
    config: Config,
    embed: Embed,
    shown: gallery.Protocol,
    trials: dict[str, metrics.Trials],
    common: dict[str, Any],
) -> dict[str, Any]:
    """Measure visits, with a threshold for every gallery size by the union bound."""
    settings = config.evaluate
    thresholds = {}
    for size in settings.gallery_sizes:
        wanted = common["far"] / size
        found = [metrics.thresholds_at(one, np.array([wanted]))[0] for one in trials.values()]
        thresholds[size] = float(max(found))
    quorum = visits.default_quorum()
    return {
        condition: {
            "quorum": quorum,
            "frames": settings.visit_frames,
            "sizes": visits.figures(
                visits.film(config, embed, shown, condition),
                thresholds,
                quorum=quorum,
                draws=settings.bootstrap,
                seed=settings.seed,
            ),
        }
        for condition in settings.visit_conditions
    }


def strangers(
    config: Config, embed: Embed, clean: Measured, threshold: float
) -> dict[str, dict[str, Any]]:
    """Measure a source without identities as strangers; nothing where the table has none of it."""
    settings = config.evaluate
    if not settings.strangers or settings.pack:
        return {}
    crops = gallery.load_unlabelled(
        config, settings.strangers, most=settings.stranger_pictures, seed=settings.seed
    )
    if len(crops) < 2:
        return {}
    found = groups.stranger_figures(
        clean, embed(crops), threshold, draws=settings.bootstrap, seed=settings.seed
    )
    return {settings.strangers: found}


def condition_report(
    config: Config, sets: list[Measured]
) -> tuple[dict[str, dict[str, Any]], dict[str, metrics.Trials]]:
    """Return the figures and the trials of every condition; clean ones also by single pictures."""
    settings = config.evaluate
    trials: dict[str, metrics.Trials] = {}
    for measured in sets:
        trials[measured.condition] = measured.trials()
        if measured.condition == CLEAN:
            trials["clean, pairs"] = measured.trials(pairs=True)
    found = {name: figures(one, settings.bootstrap, settings.seed) for name, one in trials.items()}
    return found, trials


def report(
    config: Config, embed: Embed, shown: gallery.Protocol
) -> tuple[dict[str, Any], dict[str, metrics.Trials]]:
    """Measure one network; return what the JSON file holds, and the trials behind it.

    Raises ValueError where `evaluate.conditions` lacks `clean` or fewer than two are enrolled.
    """
    settings = config.evaluate
    if CLEAN not in settings.conditions:
        raise ValueError(f"evaluate.conditions must name {CLEAN}")
    if len(set(shown.person[shown.enrolled].tolist())) < 2:
        raise ValueError("fewer than two people have two pictures: there is nothing to compare")
    sets = list(measure(config, embed, shown))
    # The real lamps are too few people to set a threshold, and belong to no other pack.
    lamps = None if settings.pack else measure_lighting(config, embed)
    found, trials = condition_report(config, [*sets, *([lamps] if lamps else [])])
    simulated = {name: trials[name] for name in settings.conditions}
    common = common_threshold(simulated, 1e-4)
    clean = next(one for one in sets if one.condition == CLEAN)
    content: dict[str, Any] = {
        "people": len(shown.names),
        "pictures": len(shown.person),
        "conditions": found,
        "common": common,
        "galleries": {
            name: gallery_figures(
                one, settings.gallery_sizes, common["threshold"], settings.bootstrap, settings.seed
            )
            for name, one in simulated.items()
        },
        "visits": visit_figures(config, embed, shown, simulated, common) if settings.visits else {},
        **groups.figures(config, clean, common["threshold"]),
        "strangers": strangers(config, embed, clean, common["threshold"]),
    }
    if settings.pairs:
        content["pairs"] = pair_report(config, embed)
    if settings.all_pairs:
        entry = bundle.read(Path(config.export.models))["models"]["verifier"]
        rows = [(row["fpr"], row["threshold"]) for row in entry.get("thresholds", [])]
        folder = Path(config.data) / settings.all_pairs
        content["all_pairs"] = measure_all_pairs(embed, folder, rows)
    return content, trials


def pair_report(config: Config, embed: Embed) -> dict[str, Any]:
    """Measure the run's list of pairs in LFW's format."""
    data, settings = Path(config.data), config.evaluate
    listed, folds = pairs.read_pairs(data / settings.pairs)
    scores, without_face = pairs.similarities(embed, data / settings.pairs_pictures, listed)
    same = np.array([pair.same for pair in listed])
    found = pairs.pair_figures(scores, same, folds=folds, draws=settings.bootstrap)
    return found | {"without_face": without_face}


def evaluate(config: Config, what: str = "checkpoint") -> None:
    """Measure `checkpoint` (the run's), `start` (the untrained network), `bundle`, or `parity`.

    Raises RuntimeError where `parity` finds the bundle and the checkpoint too far apart.
    """
    torch.set_num_threads(config.evaluate.threads)
    folder = open_run(config, f"evaluate {what}")
    side = Path(config.evaluate.pack).stem or config.evaluate.side
    shown = gallery.load(config)
    if what == "parity":
        found = compare(config, shown)
        write_json(folder / f"evaluate-parity-{side}.json", found)
        print(f"largest difference {100 * found['largest']:.3f} points", flush=True)
        if found["largest"] > PARITY:
            raise RuntimeError(f"bundle and checkpoint differ: {found['differences']}")
        return
    content, trials = report(config, embedder(config, what), shown)
    name = f"{what}-{side}"
    write_json(folder / f"evaluate-{name}.json", {"what": what, "side": side, **content})
    save_curves(folder, name, trials, f"{config.name}, {what}, {side}")
    _print(folder / f"evaluate-{name}.csv", content)


def compare(config: Config, shown: gallery.Protocol) -> dict[str, Any]:
    """Measure the bundle and the checkpoint on one set of pictures, and how far they are apart."""
    lamps = not config.evaluate.pack
    found = []
    for what in ("checkpoint", "bundle"):
        embed = embedder(config, what)
        sets = list(measure(config, embed, shown))
        if lamps and (one := measure_lighting(config, embed)) is not None:
            sets.append(one)
        found.append(condition_report(config, sets)[0])
    differences = {}
    for condition, first in found[0].items():
        second = found[1][condition]
        apart = {"accuracy": second["accuracy"] - first["accuracy"]}
        for rate, one in first["tar"].items():
            apart[f"tar at {rate}"] = second["tar"][rate]["value"] - one["value"]
        differences[condition] = apart
    largest = max(abs(value) for apart in differences.values() for value in apart.values())
    return {"largest": largest, "limit": PARITY, "differences": differences}


def _print(table: Path, content: dict[str, Any]) -> None:
    table.unlink(missing_ok=True)
    for condition, row in content["conditions"].items():
        flat = {"condition": condition}
        flat |= {name: row[name] for name in ("people", "genuine", "impostors")}
        flat["accuracy"] = round(row["accuracy"], 4)
        for rate in RATES:
            flat[f"TAR at {key(rate)}"] = _text(row["tar"].get(key(rate)))
        append_csv(table, flat)
        print(" | ".join(str(value) for value in flat.values()), flush=True)
    common = content["common"]
    print(f"at {common['threshold']:.3f}, FAR {common['far']:g} in {common['worst']}:", flush=True)
    for condition, sizes in content["galleries"].items():
        for size, row in sizes.items():
            both = (_text(row["at_common"][name]) for name in ("tpir", "fpir"))
            print(f"  {condition}, {size} enrolled: TPIR {' FPIR '.join(both)}", flush=True)
    for condition, visit in content["visits"].items():
        for size, row in visit["sizes"].items():
            tar, fpr, frame = (_text(row[name]) for name in ("tar", "fpr", "frame_tar"))
            print(
                f"  visits, {condition}, {size} enrolled: TAR {tar} (one frame {frame}) FPR {fpr}",
                flush=True,
            )
    if content["fairness"]:
        fairness = content["fairness"]
        ratio = _text(fairness["worst_over_overall"])
        print(f"  worst group {fairness['worst_tar_group']}: {ratio} of the TAR of all", flush=True)
    if LIGHTING not in content["conditions"]:
        print("  no picture under real lamps was measured", flush=True)


def _text(one: dict[str, float] | None) -> str:
    return "{value:.4g} ({low:.4g}-{high:.4g})".format(**one) if one else ""
