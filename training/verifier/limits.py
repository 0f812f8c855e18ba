"""How bad a picture may be before the table's promise breaks: limits of evidence, from data.

Pictures are made darker, blurrier and smaller step by step. In every bin of a measure the false
positive rate at the table's threshold is counted, against people enrolled from clean and from dark
pictures, whichever is worse. The fitted limit is the lowest from which on upwards no bin's rate
lies above what the table promises. Bins with few people say nothing; below the lowest that says
something nothing is promised. Detection and landmarks are those of the picture before, so that
what a small or dark face costs there is not in the curves.
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from training.common import product
from training.common.pictures import jpeg
from training.verifier import gallery, metrics
from training.verifier.augment import in_condition, low_light, motion_blur, small
from training.verifier.conditions import CLEAN, acceptable, noise_seed
from training.verifier.config import Config
from training.verifier.embedders import Embed
from training.verifier.gallery import Protocol
from training.verifier.visits import choose_probes

# Lower edges of the bins; the last bin has no upper edge.
EDGES: dict[str, list[float]] = {
    "min_brightness": [0, 10, 15, 20, 25, 30, 35, 40, 50, 60, 80, 120],
    "min_sharpness": [0, 2, 4, 7, 10, 15, 20, 30, 50, 100, 200],
    "min_face_px": [0, 10, 14, 18, 22, 26, 32, 40, 50, 65, 90],
}
# Probe pictures' people below which a bin says nothing.
PEOPLE = 20
ENROLLED_CONDITIONS = (CLEAN, "dark")


def darken(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take away light, from a little to nearly all, and make up for some of it by gain."""
    exposure = float(np.exp(rng.uniform(np.log(0.002), np.log(0.6))))
    return jpeg(low_light(crop, rng, exposure, rng.uniform(0.0, 0.6)), 70)


def blur(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur by motion or by focus (a smaller picture enlarged), from a little to beyond use."""
    if rng.random() < 0.5:
        return jpeg(motion_blur(crop, rng, rng.uniform(2.0, 24.0)), 70)
    return jpeg(small(crop, float(np.exp(rng.uniform(np.log(0.08), 0.0)))), 70)


def face_width(crops: np.ndarray, most: int = 60) -> float:
    """Median width in pixels of the face that the bundle's detector finds on aligned crops."""
    detector = product.detector()
    found = [detector.detect(crop) for crop in crops[:most]]
    widths = [max(face.width for face in faces) for faces in found if faces]
    # Where no face is found on crops (drawings), the template's own width has to do.
    return float(np.median(widths)) if widths else 75.0


def shrink(
    crops: np.ndarray, face_px: np.ndarray, full: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Show faces as from further away; return the pictures and their faces' widths.

    `full` is the width of a face on a crop, so a face of that many pixels is not enlarged.
    """
    wanted = np.exp(rng.uniform(np.log(8.0), np.log(110.0), len(crops)))
    widths = np.fmin(wanted, np.nan_to_num(face_px, nan=full))
    shown = [
        jpeg(small(crop, float(min(1.0, width / full))), 70)
        for crop, width in zip(crops, widths, strict=True)
    ]
    return np.stack(shown), widths


def sweep(
    shown: Protocol, rows: np.ndarray, measure: str, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the pictures uint8 [N, 112, 112, 3] of a sweep, and their `measure` float [N]."""
    crops = shown.crops[rows]
    if measure == "min_face_px":
        full = face_width(crops)
        return shrink(crops, shown.face_px[rows], full, np.random.default_rng(seed))
    view = darken if measure == "min_brightness" else blur
    swept = np.stack(
        [view(crop, np.random.default_rng((seed, place))) for place, crop in enumerate(crops)]
    )
    brightness, sharpness = gallery.qualities(swept)
    return swept, brightness if measure == "min_brightness" else sharpness


def enrolled_templates(
    config: Config, embed: Embed, shown: Protocol
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return templates and their people for every condition in which people may be enrolled."""
    found = {}
    rows = np.nonzero(shown.enrolled)[0]
    for condition in ENROLLED_CONDITIONS:
        crops = in_condition(shown.crops[rows], condition, noise_seed(config, enrolled=True))
        usable = acceptable(config, crops, shown.face_px[rows])
        if usable.any():
            found[condition] = gallery.templates(embed(crops[usable]), shown.person[rows[usable]])
    return found


def bin_figures(
    probes: np.ndarray,
    person: np.ndarray,
    enrolled: dict[str, tuple[np.ndarray, np.ndarray]],
    threshold: float,
    weights: np.ndarray,
) -> dict[str, Any]:
    """Rates of the probes of one bin at `threshold`, against the worse enrolled condition."""
    found: list[dict[str, Any]] = []
    for condition, (templates, owner) in enrolled.items():
        trials = metrics.collect(
            templates, owner, probes, person, people=weights.shape[1], tail_share=1.0
        )
        at = np.array([threshold])
        rates = [metrics.false_accept_rates(trials, at, w)[0] for w in weights]
        tar = float(metrics.true_accept_rates(trials, at)[0]) if len(trials.genuine) else None
        value = metrics.false_accept_rates(trials, at)[0]
        found.append(
            {
                "enrolled": condition,
                "probes": len(probes),
                "people": len(np.unique(person)),
                "impostors": int(trials.impostors),
                "fpr": vars(metrics.estimate(value, rates)),
                "tar": tar,
            }
        )
    worst = max(found, key=lambda one: one["fpr"]["value"])
    return worst | {"tar": found[0]["tar"]}


def curve(
    config: Config,
    embed: Embed,
    shown: Protocol,
    measure: str,
    enrolled: dict[str, tuple[np.ndarray, np.ndarray]],
    threshold: float,
) -> list[dict[str, Any]]:
    """Return the bins of one measure, lowest first; an empty bin has no rates."""
    settings = config.evaluate
    rows = choose_probes(shown, config.calibrate.limit_probes, settings.seed)
    swept, values = sweep(shown, rows, measure, settings.seed + 3)
    embeddings = embed(swept)
    weights = metrics.draw_people(len(shown.names), settings.bootstrap, settings.seed)
    edges = [*EDGES[measure], np.inf]
    bins = []
    for low, high in pairwise(edges):
        inside = (values >= low) & (values < high)
        entry: dict[str, Any] = {"low": low, "high": None if np.isinf(high) else high}
        if inside.any():
            entry |= bin_figures(
                embeddings[inside], shown.person[rows[inside]], enrolled, threshold, weights
            )
        else:
            entry |= {"probes": 0, "people": 0}
        bins.append(entry)
    return bins


def fitted_limit(bins: list[dict[str, Any]], rate: float) -> float | None:
    """Lowest edge from which on upwards every bin with enough people holds `rate`.

    None where the highest of them does not.
    """
    limit = None
    for entry in reversed(bins):
        if entry["people"] < PEOPLE:
            continue
        if entry["fpr"]["value"] > rate:
            break
        limit = float(entry["low"])
    return limit


def tar_below(bins: list[dict[str, Any]], limit: float) -> float | None:
    """TAR in the bin just below `limit`: what is given up there. None where nothing was seen."""
    known = [entry for entry in bins if entry["low"] < limit and entry.get("tar") is not None]
    return known[-1]["tar"] if known else None


def fit(
    config: Config, embed: Embed, shown: Protocol, rate: float, threshold: float
) -> dict[str, dict[str, Any]]:
    """Return for each measure the `configured` and `fitted` limit and the `bins` behind it."""
    enrolled = enrolled_templates(config, embed, shown)
    found = {}
    for measure in EDGES:
        bins = curve(config, embed, shown, measure, enrolled, threshold)
        found[measure] = {
            "configured": float(getattr(config.calibrate, measure)),
            "fitted": fitted_limit(bins, rate),
            "rate": rate,
            "threshold": threshold,
            "bins": bins,
        }
    return found


def draw(found: dict[str, dict[str, Any]], path: Path) -> None:
    """Draw the false positive rate of every bin with its interval, the limits, and the TAR."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    axes = figure.subplots(1, len(found), squeeze=False)[0]
    for axis, (measure, one) in zip(axes, found.items(), strict=True):
        bins = [entry for entry in one["bins"] if entry["probes"]]
        places = np.arange(len(bins))
        value, low, high = (
            np.array([entry["fpr"][name] for entry in bins]) for name in ("value", "low", "high")
        )
        # A logarithmic axis has no zero: what was never seen is drawn at its foot.
        foot = one["rate"] / 100.0
        axis.errorbar(
            places,
            np.maximum(value, foot),
            [np.maximum(value, foot) - np.maximum(low, foot), np.maximum(high - value, 0.0)],
            fmt="o-",
            color="#b3261e",
            label="FPR",
        )
        axis.set_yscale("log")
        axis.axhline(one["rate"], color="#b3261e", linestyle=":", linewidth=1)
        axis.set_xticks(places, [f"{entry['low']:g}" for entry in bins], fontsize=8)
        for name, style in (("configured", "--"), ("fitted", "-")):
            edges = [entry["low"] for entry in bins]
            if one[name] is not None:
                place = float(np.interp(one[name], edges, places)) - 0.5
                axis.axvline(place, color="black", linestyle=style, linewidth=1, label=name)
        axis.set_xlabel(f"{measure.removeprefix('min_')}, from")
        axis.legend(fontsize=7, loc="upper right")
        right = axis.twinx()
        right.plot(places, [entry["tar"] for entry in bins], color="#3367a6", alpha=0.7)
        right.set_ylim(0, 1)
        right.set_ylabel("TAR", color="#3367a6")
    figure.suptitle(f"at the threshold for a false positive rate of {one['rate']:g}", fontsize=10)
    figure.savefig(path, dpi=110)
