"""The steps: see the visits, choose limits, ask the challenges, and report on what was seen."""

from __future__ import annotations

import json
from pathlib import Path

from training.common.runs import revision
from training.liveness.settings import LivenessConfig
from training.liveness.visits.challenges import ask_all
from training.liveness.visits.figures import challenge_figures, table, visit_figures
from training.liveness.visits.run import observe_visits, read_visits
from vision import load_bundle

REPORT = "liveness-visits.json"
_CHALLENGES = "challenges.json"
_ASKED_LIVING, _ASKED_ATTACK = 24, 14


def simulate(config: LivenessConfig) -> None:
    """Keep, in the run's folder, what the door saw; what is there is not rendered again."""
    observe_visits(config)


def challenge(config: LivenessConfig) -> None:
    """Keep, in the run's folder, how the challenges ended, with the bundle's limits as they are.

    FileNotFoundError before `simulate`.
    """
    asked = ask_all(config, _ASKED_LIVING, _ASKED_ATTACK)
    (config.run_dir / _CHALLENGES).write_text(json.dumps(asked) + "\n")


def report(config: LivenessConfig, reports: Path) -> str:
    """Write liveness-visits.json and return the table. FileNotFoundError before `simulate`.

    Challenges that were not asked are those that were last reported.
    """
    seen = read_visits(config)
    asked = config.run_dir / _CHALLENGES
    kept = reports / REPORT
    if asked.is_file():
        challenges = challenge_figures(json.loads(asked.read_text()))
    else:
        challenges = json.loads(kept.read_text())["challenges"] if kept.is_file() else {}
    bundle = load_bundle(config.models)
    points = bundle.liveness.points if bundle.liveness else ()
    figures = {
        "revision": revision(),
        "bundle": bundle.info.version,
        "network": bundle.info.liveness,
        "antispoofing": bundle.info.antispoofing,
        "levels": visit_figures(seen, points),
        "challenges": challenges,
    }
    reports.mkdir(parents=True, exist_ok=True)
    (reports / REPORT).write_text(json.dumps(figures, indent=1) + "\n")
    return table(figures)
