"""What calibration counted, small and without anything of anybody: it may be published.

It holds counts of impostor trials at or above a grid of cosines in every domain, and which files
they were counted on; no picture, no embedding, no score of a trial, no name. With it anyone can
count again what models.json promises (`broken_promises`).
"""

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from training.common import bundle
from training.verifier.metrics import LEAST_COUNTED, Trials

FORMAT = 1
# Between the rows' own thresholds.
STEP = 0.01
# What a row says of the enrolled and not of strangers: no part of the promise.
COSTS = ("miss_day", "miss_night", "aged_day", "aged_night")


def table_hash(rows: list[dict[str, Any]]) -> str:
    """Return the SHA-256 of what a table as models.json holds it promises, whatever its layout."""
    promises = [{name: row[name] for name in row if name not in COSTS} for row in rows]
    text = json.dumps(promises, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def make_record(
    models: Path,
    domains: dict[str, Trials],
    watched: dict[str, Trials],
    few: Collection[str] = (),
) -> dict[str, Any]:
    """Count for the table that models.json in `models` holds.

    `few` names those of the watched domains whose counts must not be above a row's rate.

    Of a grid value below a domain's tail nothing is known: its count is None.
    """
    entry = bundle.read(models)["models"]["verifier"]
    thresholds = [row["threshold"] for row in entry["thresholds"]]
    between = np.arange(min(thresholds), max(thresholds), STEP)
    grid = sorted({*thresholds, *(round(float(value), 4) for value in between)})
    return {
        "format": FORMAT,
        "verifier": entry["files"]["onnx"]["sha256"],
        "table": table_hash(entry["thresholds"]),
        "grid": grid,
        "domains": {
            name: {
                "sets_thresholds": name in domains,
                "counts": name in few,
                "enrolled": int((trials.enrolled > 0).sum()),
                "probes": int(trials.probes.sum()),
                "impostors": int(trials.impostors),
                "above": counts_above(trials, grid),
            }
            for name, trials in {**domains, **watched}.items()
        },
    }


def counts_above(trials: Trials, grid: list[float]) -> list[int | None]:
    """Count impostor trials at or above each value; None where the tail kept is too short."""
    return [
        int((trials.tail >= np.float32(value)).sum()) if value >= trials.tail[-1] else None
        for value in grid
    ]


def broken_promises(entry: dict[str, Any], record: dict[str, Any]) -> list[str]:
    """Say what a verifier's entry in models.json promises and the record does not bear out.

    Empty where the record is of this verifier and table, and the rate counted at every measured
    row is at most the row's upper bound, and that at most the row's rate, in every domain that
    sets thresholds; before the webcam the rate counted is at most the row's
    too, where so few can count it.
    """
    if record["verifier"] != entry["files"]["onnx"]["sha256"]:
        return ["the record is of another verifier: run calibrate"]
    if record["table"] != table_hash(entry["thresholds"]):
        return ["the record is of another table: run calibrate"]
    broken = []
    places = {value: place for place, value in enumerate(record["grid"])}
    for row in entry["thresholds"]:
        if row["fpr_high"] > row["fpr"]:
            broken.append(f"the row for {row['fpr']:g} promises less than its upper bound")
        for name, one in record["domains"].items():
            if one["sets_thresholds"] and row["measured"]:
                allowed = row["fpr_high"]
            elif one["counts"] and row["fpr"] * one["impostors"] >= LEAST_COUNTED:
                allowed = row["fpr"]
            else:
                continue
            above = one["above"][places[row["threshold"]]]
            if above is None or above / one["impostors"] > allowed:
                broken.append(f"the row for {row['fpr']:g} does not hold in {name}: {above}")
    return broken
