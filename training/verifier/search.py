"""Step `search`: look for better settings with Optuna, a short training at a time.

The study lies in the run's folder (search.db, SQLite): a search that was cut off goes on where it
stopped, and a finished one goes on when more trials are asked for.
"""

import copy
from pathlib import Path
from typing import Any

import optuna
import torch
import yaml
from matplotlib.figure import Figure
from optuna.trial import FrozenTrial, TrialState
from scipy.stats import spearmanr

from training.common.runs import append_csv, open_run, write_json
from training.verifier.config import Config, from_dict
from training.verifier.train import SPEED, Standing, Validator, train

STUDY = "search.db"
# Fewer finished trials say nothing about which setting matters.
RANKED = 4


def objective_of(standing: Standing) -> float:
    """Return one number for a standing: TAR, 1 less where the satisficing metric is missed.

    Whatever satisfies is above whatever does not, as in `Standing.better_than`.
    """
    return standing.tar if standing.satisfied else standing.tar - 1.0


def with_values(config: Config, values: dict[str, float]) -> Config:
    """Return the config with other numbers at these dotted keys.

    Raises ValueError for a key that does not exist.
    """
    content = copy.deepcopy(config.to_dict())
    for key, value in values.items():
        section: Any = content
        *parents, last = key.split(".")
        for parent in parents:
            section = section.get(parent)
            if not isinstance(section, dict):
                raise ValueError(f"no setting {key} to search over")  # noqa: TRY004 - bad input
        if last not in section:
            raise ValueError(f"no setting {key} to search over")
        section[last] = value
    return from_dict(content)


def suggest(trial: optuna.Trial, config: Config) -> dict[str, float]:
    """Draw a value of every setting in `search.space`, an integer where the config has one.

    Raises ValueError for a range that is not [low, high], [low, high, log] or [low, high, step].
    """
    values: dict[str, float] = {}
    for key, given in config.search.space.items():
        low, high, *how = given
        log = how == ["log"]
        if len(how) > 1 or (how and not log and not isinstance(how[0], int | float)):
            raise ValueError(f"search.space.{key} is not [low, high], with log or a step behind")
        step = how[0] if how and not log else None
        if isinstance(_at(config, key), int):
            values[key] = trial.suggest_int(key, int(low), int(high), step=step or 1, log=log)
        else:
            values[key] = trial.suggest_float(key, float(low), float(high), step=step, log=log)
    return values


def _at(config: Config, key: str) -> Any:
    """Return the value at a dotted key, None where there is none (`with_values` then says so)."""
    found: Any = config.to_dict()
    for part in key.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def open_study(config: Config, folder: Path) -> optuna.Study:
    """Open the run's study, or begin it. Trials that were cut off count as failed.

    Raises ValueError where the study was begun with another space, length or network: its
    results could not be compared.
    """
    done = _counted(folder / STUDY)
    study = optuna.create_study(
        study_name=config.name,
        storage=f"sqlite:///{(folder / STUDY).resolve()}",
        direction="maximize",
        load_if_exists=True,
        # Another seed for every start, or a search that goes on would ask the same again.
        sampler=optuna.samplers.TPESampler(seed=config.search.seed + done, n_startup_trials=5),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=RANKED),
    )
    settings = config.to_dict()
    slow = {key.removeprefix("train.") for key in SPEED}
    begun = {
        "space": settings["search"]["space"],
        "steps": config.search.steps,
        "validations": config.search.validations,
        "model": settings["model"],
        "train": {key: value for key, value in settings["train"].items() if key not in slow},
    }
    known = study.user_attrs.get("begun")
    if known is not None and known != begun:
        raise ValueError(f"{folder / STUDY} was begun with other settings; move it away")
    study.set_user_attr("begun", begun)
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
    return study


def _counted(path: Path) -> int:
    """Return how many trials a study's file holds; 0 where there is none yet."""
    if not path.is_file():
        return 0
    summaries = optuna.get_all_study_summaries(f"sqlite:///{path.resolve()}")
    return sum(summary.n_trials for summary in summaries)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """Return the study's finished trials, best first."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return sorted(trials, key=lambda trial: -_worth(trial))


def _worth(trial: FrozenTrial) -> float:
    """Return a trial's objective; of one that was given up, the last that it reported."""
    if trial.value is None:
        raise ValueError(f"trial {trial.number} has reported nothing")
    return trial.value


def given_up(study: optuna.Study) -> list[FrozenTrial]:
    """Return the trials that stood below the median on their way, in the order of their numbers."""
    return study.get_trials(deepcopy=False, states=(TrialState.PRUNED,))


def run_trial(config: Config, study: optuna.Study, validator: Validator | None) -> FrozenTrial:
    """Train once with drawn settings; tell the study, and return the trial as it ended.

    A loss that is not finite fails the trial, not the search: it is worth -1.
    """
    trial = study.ask()
    drawn = with_values(config, suggest(trial, config))
    drawn.name = f"{config.name}/search/trial-{trial.number:03d}"
    drawn.train.steps, drawn.train.minutes = config.search.steps, 0.0
    drawn.train.validate_every = -(-config.search.steps // config.search.validations)
    # Only what training ends with is judged: blends hide a rate that is too high.
    drawn.train.blends = []
    drawn.again = True

    def note(standing: Standing) -> None:
        trial.set_user_attr("satisfied", standing.satisfied)
        trial.set_user_attr("figures", standing.figures)

    def watch(step: int, standing: Standing) -> None:
        note(standing)
        trial.report(objective_of(standing), step)
        if step < config.search.steps and trial.should_prune():
            raise optuna.TrialPruned

    try:
        standing = train(drawn, validator, watch=watch).last
    except FloatingPointError:
        standing = Standing(False, 0.0, {})
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    note(standing)
    return study.tell(trial, objective_of(standing))


def search(config: Config) -> list[FrozenTrial]:
    """Run trials until `search.trials` have ended; report; return the finished ones, best first."""
    torch.set_num_threads(config.train.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with_values(config, dict.fromkeys(config.search.space, 0))
    folder = open_run(config, "search")
    study = open_study(config, folder)
    # The same people in the same light for every trial, unless they are what is searched over.
    own = all(key.startswith("train.") for key in config.search.space)
    validator = Validator(config) if own else None
    while len(finished(study)) + len(given_up(study)) < config.search.trials:
        trial = run_trial(config, study, validator)
        if validator is not None and validator.start is not None:
            study.set_user_attr("start", validator.start.figures)
            study.set_user_attr("start_objective", objective_of(validator.start))
        report(config, study, folder)
        print(f"trial {trial.number}: {trial.state.name.lower()}, {trial.value}", flush=True)
    report(config, study, folder)
    print((folder / "search.txt").read_text())
    return finished(study)


def report(config: Config, study: optuna.Study, folder: Path) -> None:
    """Write search.csv, .json, .png, .txt and .yaml (the best settings) from the study."""
    trials = finished(study)
    if not trials:
        return
    table = folder / "search.csv"
    table.unlink(missing_ok=True)
    rows = []
    for trial in trials + given_up(study):
        row = {"trial": trial.number, "state": trial.state.name.lower()}
        row |= {
            "objective": round(_worth(trial), 5),
            "steps": max(trial.intermediate_values or [0]),
        }
        row["satisfied"] = trial.user_attrs["satisfied"]
        row |= {key: trial.params[key] for key in config.search.space}
        figures = trial.user_attrs["figures"]
        row |= {
            name: round(figures[name], 5) if name in figures else ""
            for name in ("tar", "threshold", "clean_tar_1e-4", "dark_tar_1e-4", "infrared_tar_1e-4")
        }
        append_csv(table, row)
        rows.append(row)
    write_json(
        folder / "search.json",
        {"begun": study.user_attrs["begun"], "trials": rows, **_start(study)},
    )
    best = {key: trials[0].params[key] for key in config.search.space}
    (folder / "search.yaml").write_text(yaml.safe_dump(_nested(best), sort_keys=False))
    (folder / "search.txt").write_text("\n".join(sentences(config, study)) + "\n")
    _draw(config, trials, study.user_attrs.get("start_objective")).savefig(
        folder / "search.png", dpi=100
    )


def _start(study: optuna.Study) -> dict[str, Any]:
    return {
        key: study.user_attrs[key]
        for key in ("start", "start_objective")
        if key in study.user_attrs
    }


def sentences(config: Config, study: optuna.Study) -> list[str]:
    """Say what the search found, what it is worth beside the start, and what mattered."""
    trials = finished(study)
    satisfied = [trial for trial in trials if trial.user_attrs["satisfied"]]
    best = trials[0]
    chosen = ", ".join(f"{key} {best.params[key]:.3g}" for key in config.search.space)
    lines = [
        f"{len(trials)} trials of {config.search.steps} steps, {len(satisfied)} of them satisfy.",
        f"{len(given_up(study))} more were given up on their way.",
        f"Best is trial {best.number}: {best.value:.4f} with {chosen}.",
    ]
    start = study.user_attrs.get("start_objective")
    if start is not None:
        word = "above" if best.value > start else "not above"
        lines.append(f"The start itself stands at {start:.4f}: the best is {word} it.")
    if not satisfied:
        lines.append("None satisfies: 1 was taken from each TAR, and none of them is to be used.")
    if len(trials) >= RANKED:
        values = [trial.value for trial in trials]
        for key in config.search.space:
            drawn = [trial.params[key] for trial in trials]
            rank = float(spearmanr(drawn, values).statistic) if len(set(values)) > 1 else 0.0
            lines.append(f"Rank correlation of {key} with the objective: {rank:+.2f}.")
    return lines


def _nested(values: dict[str, float]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    for key, value in values.items():
        section = content
        *parents, last = key.split(".")
        for parent in parents:
            section = section.setdefault(parent, {})
        section[last] = value
    return content


def _draw(config: Config, trials: list[FrozenTrial], start: float | None) -> Figure:
    figure = Figure(figsize=(4 * len(config.search.space), 3.5), layout="constrained")
    axes = figure.subplots(1, len(config.search.space), squeeze=False, sharey=True)[0]
    for axis, (key, given) in zip(axes, config.search.space.items(), strict=True):
        axis.scatter([trial.params[key] for trial in trials], [trial.value for trial in trials])
        axis.set_xlabel(key)
        if len(given) == 3:
            axis.set_xscale("log")
        if start is not None:
            axis.axhline(start, color="grey", linestyle=":")
    axes[0].set_ylabel("TAR, 1 less where not satisfied")
    return figure
