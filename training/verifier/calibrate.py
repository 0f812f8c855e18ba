"""Step `calibrate`: the table false positive rate -> threshold -> misses; what a cosine is worth.

Writes the table, the confidence and the quality limits into models.json, and into the run's folder

`calibrate.json`:
- `table`: the rows of models.json, each with `worst`, the domain that sets it
- `galleries`: SIZE -> rows as of `table`, for the best of a gallery of that size, each with
  `union_threshold` (what the table says of fpr / SIZE, which is what `vision.Thresholds` uses),
  None where the table ends before
- `gallery_rule`: which of the two the product uses, and why
- `domains`: NAME -> `people`, `impostors`, `thresholds`, `measured` (lists by rate)
- `watched`: NAME -> `people`, `impostors`, `pairs of people`, `highest`, `fpr at threshold`:
  RATE -> `threshold`, `fpr`, `fpr_high`, `pairs of people`, `of one pair` (the share of those
  trials that two people make up); domains too small to set a threshold
- `worst_case`: RATE -> `threshold`, `fpr_high`, `where`, `pairs_of_people`, `of_one_pair`: the
  highest bound at that row of any domain in which a false positive was seen, watched or not
- `limits`: MEASURE -> `configured`, `fitted`, `rate`, `threshold`, `bins` (see `limits.py`)
- `owners`: CONDITION -> what each rate costs willing owners, visit by visit (see `owners.py`)
- `tries`: CONDITION -> `owner`, `anybody` -> what each rate misses over the years (`tries.py`)
- `costs`: `miss_day`, `miss_night` of willing owners, `aged_day`, `aged_night` over the years:
  RATE -> estimate; the rows have its value. What was not measured is left out
- `advice`: sentences on what a person should look at

`limits.png` shows the limits' curves, `calibration-record.json` is the record that is published
(see `record.py`). `check` counts again from pictures.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle
from training.common.paths import ROOT
from training.common.runs import open_run, write_json
from training.verifier import gallery, limits, metrics, owners, record, strangers, tries, webcam
from training.verifier.conditions import CLEAN, Measured, measure, measure_lighting
from training.verifier.config import Config
from training.verifier.embedders import Embed, embedder
from training.verifier.table import (
    by_source,
    fit_confidence,
    make_domains,
    make_table,
    watch,
    worst_cases,
)
from vision.matching.thresholds import OperatingPoint, Thresholds

# The rate at which quality limits are fitted and the watched domains are spoken of.
WANTED = 1e-4
RULE = (
    "The union bound: the row for fpr / people of the table for one person. It holds for any "
    "gallery, however alike the enrolled are; a family is no random gallery. The measured rows "
    "are means over random galleries and cannot be above it."
)


def measure_all(config: Config, embed: Embed, side: str) -> list[Measured]:
    """Embed a side in every condition and the real lamps; ValueError without clean pictures."""
    if CLEAN not in config.evaluate.conditions:
        raise ValueError(f"evaluate.conditions must name {CLEAN}")
    sets = list(measure(config, embed, gallery.load_side(config, side)))
    if (lighting := measure_lighting(config, embed)) is not None:
        sets.append(lighting)
    return sets


def everybody(
    config: Config, embed: Embed, sets: list[Measured], side: str
) -> Iterator[tuple[str, metrics.Trials]]:
    """Yield the trials of all impostors by the name of their domain: what the table rests on.

    Enrolled people against one another, strangers within each group, and people before a webcam.
    """
    yield from by_source(sets)
    if (shown := strangers.load(config, side)) is not None:
        for condition, group, trials in strangers.trials(config, embed, shown):
            yield f"{condition}, {group}", trials
    if (people := webcam.load(config)) is not None:
        yield from webcam.impostors(config, embed, people)


def calibrate(config: Config) -> None:
    """Measure the bundled verifier through `vision` and write thresholds into models.json."""
    torch.set_num_threads(config.evaluate.threads)
    folder = open_run(config, "calibrate")
    settings = config.calibrate
    embed = embedder(config, "bundle")
    sets = measure_all(config, embed, "validation")
    clean_set = next(one for one in sets if one.condition == CLEAN)
    sizes = tuple(sorted({1, *config.evaluate.gallery_sizes}))
    domains, watched = make_domains(config, everybody(config, embed, sets, "validation"), sizes)
    clean = clean_set.trials()
    few = {name: trials for name, trials in watched.items() if webcam.NAME in name}
    rows = make_table(domains, clean, settings, few=few)
    slope, offset = fit_confidence(clean.genuine, _impostor_sample(clean_set))
    galleries = {
        str(size): with_union(make_table(domains, clean, settings, size, few), rows, size)
        for size in sizes
        if size > 1
    }
    missing = tries.figures(
        tries.film(config, embed, clean_set.shown),
        rows,
        draws=config.evaluate.bootstrap,
        seed=config.evaluate.seed,
    )
    costs = tries.costs(missing)
    willing = {}
    if (people := webcam.load(config)) is not None:
        willing = owners.figures(config, embed, people, rows)
        light = (CLEAN, *settings.night)
        counted = {name: one["missed"] for name, one in willing.items() if name in light}
        costs |= tries.worst_by_light(counted, "miss")
    rows = tries.with_costs(rows, costs)
    watching = {name: watch(config, trials, rows) for name, trials in watched.items()}
    worst = worst_cases(rows, watching)
    found = {}
    at = next((row["threshold"] for row in rows if row["fpr"] == WANTED), None)
    if settings.limit_probes and at is not None:
        found = limits.fit(config, embed, clean_set.shown, WANTED, at)
        limits.draw(found, folder / "limits.png")
    lines = advice(rows, worst, found)
    write_json(
        folder / "calibrate.json",
        {
            "table": rows,
            "galleries": galleries,
            "gallery_rule": RULE,
            "domains": {
                one.name: {
                    "people": int((one.trials.enrolled > 0).sum()),
                    "impostors": int(one.trials.impostors),
                    "thresholds": [round(float(t), 4) for t in one.columns[1].thresholds],
                    "measured": one.columns[1].measured.tolist(),
                }
                for one in domains
            },
            "watched": watching,
            "worst_case": worst,
            "limits": found,
            "tries": missing,
            "owners": willing,
            "costs": costs,
            "advice": lines,
        },
    )
    for row in rows:
        print(row, flush=True)
    print("\n".join(lines), flush=True)
    models = Path(config.export.models)
    bundle.update_entry(
        models,
        "verifier",
        thresholds=[{k: v for k, v in row.items() if k != "worst"} for row in rows],
        confidence={"slope": round(slope, 3), "offset": round(offset, 3)},
        quality={name: float(getattr(settings, name)) for name in limits.EDGES},
    )
    kept = record.make_record(models, {one.name: one.trials for one in domains}, watched, few)
    write_json(folder / "calibration-record.json", kept)
    if settings.record and models.resolve() == ROOT / "custom_components/face_lock/models":
        # Of the product's own bundle alone: a copy to try things on must not change it.
        path = ROOT / settings.record
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(kept, separators=(",", ":")) + "\n")


def with_union(
    measured: list[dict[str, Any]], rows: list[dict[str, Any]], size: int
) -> list[dict[str, Any]]:
    """Put beside each row of a gallery what the product uses: the table's row for fpr / size."""
    points = [OperatingPoint(**{k: v for k, v in row.items() if k != "worst"}) for row in rows]
    thresholds = Thresholds(points, slope=1.0, offset=0.0)

    def union(fpr: float) -> float | None:
        try:
            return thresholds.operating_point(fpr, size).threshold
        except ValueError:
            return None

    return [row | {"union_threshold": union(row["fpr"])} for row in measured]


def advice(
    rows: list[dict[str, Any]], worst: dict[str, Any], found: dict[str, dict[str, Any]]
) -> list[str]:
    """Say where the table's promise is not borne out, and which limits the pictures ask for."""
    lines = []
    row = next((row for row in rows if row["fpr"] == WANTED), None)
    if row is not None:
        case = worst[f"{WANTED:.0e}"]
        if case["fpr_high"] > row["fpr"]:
            lines.append(
                f"At the row for {row['fpr']:g}, {case['where']} allows up to "
                f"{case['fpr_high']:.2g} ({case['pairs_of_people']} pairs of people were seen "
                f"above it, two people alone make up {100 * (case['of_one_pair'] or 0):.0f} %): "
                "too few people to set a threshold, so the table does not cover it."
            )
    for name, one in found.items():
        if one["fitted"] is None:
            lines.append(f"{name}: the promise holds in no region at its upper end.")
        elif one["fitted"] > one["configured"]:
            lines.append(
                f"{name} is {one['configured']:g}, but below {one['fitted']:g} the promise is "
                "broken or nothing was measured: raise it."
            )
        elif one["fitted"] < one["configured"]:
            tar = limits.tar_below(one["bins"], one["configured"])
            given_up = "" if tar is None else f", where {100 * tar:.0f} % of the genuine pass"
            lines.append(
                f"{name} is {one['configured']:g}; the promise holds down to {one['fitted']:g}. "
                f"Whether to lower it is a matter of what passes just below it{given_up}."
            )
    return lines


def check(config: Config) -> list[str]:
    """Count again from pictures what models.json promises; return what is broken.

    Every measured row, in every domain that has enough people: the rate counted must be at most
    the row's upper bound. On another side (`evaluate.side=test`) these are people whom
    calibration has not seen; there the counted rate must be at most the row's rate. Raises
    ValueError where no row was measured: nothing would be checked.
    """
    torch.set_num_threads(config.evaluate.threads)
    folder = open_run(config, "calibrate check")
    side = config.evaluate.side
    entry = bundle.read(Path(config.export.models))["models"]["verifier"]
    rows = [row for row in entry["thresholds"] if row["measured"]]
    if not rows:
        raise ValueError("the table has no measured row to check")
    embed = embedder(config, "bundle")
    sets = measure_all(config, embed, side)
    domains, watched = make_domains(config, everybody(config, embed, sets, side))
    counted = [
        {
            "domain": one.name,
            "fpr": row["fpr"],
            "threshold": row["threshold"],
            "counted": float(
                metrics.false_accept_rates(one.trials, np.array([row["threshold"]]))[0]
            ),
            "bound": row["fpr_high"] if side == "validation" else row["fpr"],
        }
        for one in domains
        for row in rows
    ]
    broken = [
        f"{one['domain']}: {one['counted']:.3g} at {one['threshold']}, the row for {one['fpr']:g} "
        f"allows {one['bound']:.3g}"
        for one in counted
        if one["counted"] > one["bound"]
    ]
    write_json(
        folder / f"calibrate-check-{side}.json",
        {
            "side": side,
            "rows": counted,
            "watched": {name: watch(config, trials, rows) for name, trials in watched.items()},
            "broken": broken,
        },
    )
    print(f"{len(counted)} rates of {len(domains)} domains counted again, {len(broken)} broken")
    print("\n".join(broken), flush=True)
    return broken


def _impostor_sample(measured: Measured, most: int = 200_000) -> np.ndarray:
    """Draw a sample of all impostor scores, not of the tail alone."""
    rng = np.random.default_rng(0)
    one = rng.integers(len(measured.enrolled), size=most)
    other = rng.integers(len(measured.probe), size=most)
    different = measured.enrolled_person[one] != measured.probe_person[other]
    enrolled, probe = measured.enrolled[one], measured.probe[other]
    cosines = (enrolled[:, :-1] * probe[:, :-1]).sum(axis=1)
    return (cosines - enrolled[:, -1] - probe[:, -1])[different]
