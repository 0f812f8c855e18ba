"""Step `promise`: what every row of the table really lets in, group by group, and what it costs.

Calibration sets the thresholds; this counts what they do, for the bundle at hand or any other
(`--set export.models=DIR`), so that two of them can be laid side by side. `promise.json`:

- `verifier`: version and SHA-256 of what was measured
- `rows`: RATE -> `threshold`; `groups`: GROUP -> the worst condition's `fpr`, `high` (the upper end
  of its 95 % interval over people), `above` (impostor trials at or above the threshold), `trials`
  and `condition`; `tar`: CONDITION -> estimate, of enrolled validation people; `owners`: CONDITION
  -> `missed`, `opened` (see `owners.py`)
- `broken`: sentences, one for each group and row where `high` is above the rate
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.common import bundle
from training.common.runs import open_run, write_json
from training.verifier import gallery, metrics, owners, strangers, webcam
from training.verifier.conditions import measure
from training.verifier.config import Config
from training.verifier.embedders import embedder
from training.verifier.evaluate import key
from training.verifier.table import UPPER

# The rates that a household may choose, and those between.
RATES = (1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4)


def rate_with_bound(
    trials: metrics.Trials, threshold: float, draws: np.ndarray
) -> dict[str, float]:
    """Count impostor trials at or above `threshold`, with the bound over draws of people.

    Where none is, the bound is that of none in so many trials.
    """
    at = np.array([threshold])
    rate = float(metrics.false_accept_rates(trials, at)[0])
    drawn = [metrics.false_accept_rates(trials, at, weights)[0] for weights in draws]
    high = float(np.quantile(drawn, UPPER)) if rate else metrics.none_in(trials.impostors)
    return {
        "fpr": rate,
        "high": high,
        "above": int((trials.tail >= np.float32(threshold)).sum()),
        "trials": int(trials.impostors),
    }


def promise(config: Config) -> dict[str, Any]:
    """Measure the bundle's table on strangers of every group, on enrolled people and on owners."""
    torch.set_num_threads(config.evaluate.threads)
    folder = open_run(config, "promise")
    entry = bundle.read(Path(config.export.models))["models"]["verifier"]
    rows = [row for row in entry["thresholds"] if row["fpr"] in RATES]
    embed = embedder(config, "bundle")
    draws_of: dict[int, np.ndarray] = {}

    def draws(trials: metrics.Trials) -> np.ndarray:
        if trials.people not in draws_of:
            draws_of[trials.people] = metrics.draw_people(
                trials.people, config.evaluate.bootstrap, config.evaluate.seed
            )
        return draws_of[trials.people]

    named = []
    shown = strangers.load(config, config.evaluate.side)
    if shown is not None:
        named += [(g, c, t) for c, g, t in strangers.trials(config, embed, shown)]
    people = webcam.load(config)
    if people is not None:
        named += [
            (webcam.NAME, name.split(",")[0], trials)
            for name, trials in webcam.impostors(config, embed, people)
        ]
    sets = list(measure(config, embed, gallery.load_side(config, config.evaluate.side)))
    enrolled = {one.condition: one.trials() for one in sets}
    willing = {} if people is None else owners.figures(config, embed, people, rows)
    found: dict[str, Any] = {}
    broken = []
    for row in rows:
        at = row["threshold"]
        groups: dict[str, Any] = {}
        for group, condition, trials in named:
            one = rate_with_bound(trials, at, draws(trials)) | {"condition": condition}
            if group not in groups or one["high"] > groups[group]["high"]:
                groups[group] = one
        broken += [
            f"{group} in {one['condition']}: up to {one['high']:.2g} at the row for {row['fpr']:g}"
            for group, one in groups.items()
            # Of so few people before the webcam no bound can be that low; what was seen can.
            if one["fpr" if group == webcam.NAME else "high"] > row["fpr"]
        ]
        found[key(row["fpr"])] = {
            "threshold": at,
            "groups": groups,
            "tar": {
                name: vars(
                    metrics.estimate(
                        metrics.true_accept_rates(trials, np.array([at]))[0],
                        [
                            metrics.true_accept_rates(trials, np.array([at]), weights)[0]
                            for weights in draws(trials)
                        ],
                    )
                )
                for name, trials in enrolled.items()
            },
            "owners": {
                condition: {what: one[what][key(row["fpr"])] for what in ("missed", "opened")}
                for condition, one in willing.items()
            },
        }
    figures = {
        "verifier": {"version": entry["version"], "sha256": entry["files"]["onnx"]["sha256"]},
        "rows": found,
        "broken": broken,
    }
    write_json(folder / "promise.json", figures)
    print(table_of(figures))
    return figures


def table_of(figures: dict[str, Any]) -> str:
    """Say the figures in a few lines."""
    lines = []
    for rate, row in figures["rows"].items():
        groups = ", ".join(
            f"{group} {one['fpr']:.1e} (<= {one['high']:.1e}, {one['condition']})"
            for group, one in row["groups"].items()
        )
        tars = ", ".join(f"{name} {100 * one['value']:.1f}" for name, one in row["tar"].items())
        missed = ", ".join(
            f"{name} {100 * one['missed']['value']:.1f}" for name, one in row["owners"].items()
        )
        lines.append(f"{rate} at {row['threshold']}: {groups}; TAR {tars}; owners missed {missed}")
    return "\n".join([*lines, *(figures["broken"] or ["no row is broken in any group"])])
