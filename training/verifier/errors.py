"""Step `errors`: the worst pairs as pictures, what costs most, and what to collect next."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training.common.pictures import BORDER
from training.common.runs import append_csv, open_run, write_json
from training.common.sheets import Cell, sheet
from training.verifier import gallery, measures, metrics, model
from training.verifier.augment import in_condition
from training.verifier.config import Config
from training.verifier.evaluate import LIGHTING, Embed, acceptable, bundled_embedder
from training.verifier.gallery import Protocol
from training.verifier.inspect_data import kinds_of
from training.verifier.train import BEST

CLEAN = "clean"
SOURCE = "from "
# Impostor trials that must lie above a threshold for its rate to be counted rather than guessed.
COUNTED = 10
# A loss of TAR smaller than this is not told from chance on a few hundred people.
NOTICED = 0.01
# Two people whose worst trial scores this high are one person, or twins, more often than an error.
ONE_PERSON = 0.8


@dataclass(frozen=True)
class Scored:
    """All trials of a condition: scores float32 [T, M] of templates against probes.

    `enrolled_row` and `probe_row` are rows of the side; `owner` int [T] the templates' people,
    `person` int [M] the probes'. `enrolled` and `probe` are the crops as they were embedded.
    """

    scores: np.ndarray
    owner: np.ndarray
    person: np.ndarray
    enrolled_row: np.ndarray
    probe_row: np.ndarray
    enrolled: np.ndarray
    probe: np.ndarray
    trials: metrics.Trials


@dataclass(frozen=True)
class Kind:
    """A kind of probe and what it costs.

    `tar` is that of these probes at the common threshold, `rest` that of what they are compared
    with, `share` their part of the genuine trials (1 for a simulated condition).
    """

    name: str
    tar: float
    rest: float
    share: float
    trials: int

    @property
    def loss(self) -> float:
        """How much higher the TAR of all were, if these probes did as well as the rest."""
        return self.share * (self.rest - self.tar)


def score(config: Config, embed: Embed, shown: Protocol, condition: str) -> Scored:
    """Compare every probe in `condition` (`probe/enrolled`) with every enrolled person.

    Crops that the door would refuse are left out. Raises ValueError where nothing is left.
    """
    probe_condition, _, enrolled_condition = condition.partition("/")
    rows, crops, embeddings = {}, {}, {}
    for enrolled, name in ((True, enrolled_condition or CLEAN), (False, probe_condition)):
        own = np.nonzero(shown.enrolled == enrolled)[0]
        view = in_condition(shown.crops[own], name, config.evaluate.seed + int(enrolled))
        usable = acceptable(config, view, shown.face_px[own])
        if not usable.any():
            raise ValueError(f"no picture of {condition} is good enough to be measured")
        rows[enrolled], crops[enrolled] = own[usable], view[usable]
        embeddings[enrolled] = embed(view[usable])
    templates, owner = gallery.templates(embeddings[True], shown.person[rows[True]])
    person = shown.person[rows[False]]
    return Scored(
        templates @ embeddings[False].T,
        owner,
        person,
        rows[True],
        rows[False],
        crops[True],
        crops[False],
        metrics.collect(templates, owner, embeddings[False], person, people=len(shown.names)),
    )


def counted_rate(wanted: float, impostors: float) -> float:
    """Return `wanted`, or the next power of ten that this many impostor trials can count."""
    rate = wanted
    while rate < 0.1 and rate * impostors < COUNTED:
        rate *= 10.0
    return rate


def common_threshold(found: dict[str, Scored], rate: float) -> float:
    """Return the threshold that holds `rate` in every condition, as at a door."""
    return max(float(metrics.thresholds_at(s.trials, np.array([rate]))[0]) for s in found.values())


def genuine_of(scored: Scored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return template, probe and score of every genuine trial: int, int, float32 [G]."""
    template, probe = np.nonzero(scored.owner[:, None] == scored.person[None, :])
    return template, probe, scored.scores[template, probe]


def rank_conditions(found: dict[str, Scored], threshold: float) -> list[Kind]:
    """Compare every condition, simulated or of real lamps, with clean probes, costliest first."""
    tar = {name: float((genuine_of(s)[2] >= threshold).mean()) for name, s in found.items()}
    kinds = [
        Kind(name, tar[name], tar[CLEAN], 1.0, len(found[name].trials.genuine))
        for name in found
        if name != CLEAN
    ]
    return sorted(kinds, key=lambda kind: -kind.loss)


def rank_kinds(config: Config, shown: Protocol, clean: Scored, threshold: float) -> list[Kind]:
    """Compare kinds of clean probe with all other clean probes, costliest first.

    Of a kind with fewer than ten genuine trials nothing is said.
    """
    # Stored crops have a border; the side that is measured was read without it.
    stored = np.pad(clean.probe, ((0, 0), (BORDER,) * 2, (BORDER,) * 2, (0, 0)), mode="edge")
    measured = measures.measure(stored)
    flags = {
        name: flag & known
        for name, (flag, known) in kinds_of(
            measured, shown.face_px[clean.probe_row], config.inspect
        ).items()
    }
    source = shown.source[clean.probe_row]
    flags |= {f"{SOURCE}{name}": source == name for name in sorted(set(source.tolist()))}
    enrolled = np.bincount(shown.person[clean.enrolled_row], minlength=len(shown.names))
    flags["of people with one enrolled picture"] = enrolled[clean.person] == 1
    _, probe, scores = genuine_of(clean)
    accepted = scores >= threshold
    kinds = []
    for name, flag in flags.items():
        of_it = flag[probe]
        if of_it.sum() >= COUNTED and (~of_it).sum() >= COUNTED:
            tar, rest = float(accepted[of_it].mean()), float(accepted[~of_it].mean())
            kinds.append(Kind(name, tar, rest, float(of_it.mean()), int(of_it.sum())))
    return sorted(kinds, key=lambda kind: -kind.loss)


def worst_genuine(scored: Scored, most: int) -> list[tuple[int, int, float]]:
    """Template, probe and score of the lowest genuine trials, one a person."""
    template, probe, scores = genuine_of(scored)
    found: dict[int, tuple[int, int, float]] = {}
    for number in np.argsort(scores, kind="stable"):
        trial = (int(template[number]), int(probe[number]), float(scores[number]))
        found.setdefault(int(scored.person[trial[1]]), trial)
        if len(found) == most:
            break
    return list(found.values())


def worst_impostors(scored: Scored, most: int) -> list[tuple[int, int, float]]:
    """Template, probe and score of the highest impostor trials, one a pair of people."""
    scores = scored.scores.copy()
    scores[scored.owner[:, None] == scored.person[None, :]] = -2.0
    # No more than this many trials are of one pair of people, who bring so many probes each.
    most_alike = 2 * int(np.bincount(scored.person).max())
    keep = min(scores.size, most * most_alike)
    top = np.argpartition(scores.ravel(), scores.size - keep)[scores.size - keep :]
    top = top[np.argsort(-scores.ravel()[top], kind="stable")]
    found: dict[frozenset[int], tuple[int, int, float]] = {}
    for template, probe in zip(*np.divmod(top, scores.shape[1]), strict=True):
        value = float(scores[template, probe])
        pair = frozenset((int(scored.owner[template]), int(scored.person[probe])))
        if len(pair) == 2 and value > -2.0:
            found.setdefault(pair, (int(template), int(probe), value))
        if len(found) == most:
            break
    return list(found.values())


def cells(
    scored: Scored, shown: Protocol, trials: list[tuple[int, int, float]], *, enrolled: int = 2
) -> list[Cell]:
    """Show each trial: up to `enrolled` pictures of the template, then the probe."""
    known_person = shown.person[scored.enrolled_row]
    found = []
    for template, probe, value in trials:
        owner = int(scored.owner[template])
        crops = list(scored.enrolled[np.nonzero(known_person == owner)[0][:enrolled]])
        crops += [np.zeros_like(scored.probe[probe])] * (enrolled - len(crops))
        names = (shown.names[owner], shown.names[int(scored.person[probe])])
        found.append(Cell([*crops, scored.probe[probe]], [f"{value:.3f}  {names[0]}", names[1]]))
    return found


ADVICE = {
    "dim": "pictures taken at dusk and in rooms with one lamp",
    "dark": "pictures taken at night with the door's own camera",
    "infrared": "pictures taken with the camera's infrared lamp",
    "dark/dark": "pictures at night to enrol with as well",
    LIGHTING: "pictures under lamps from the side and from above, as at the door",
    "of people with one enrolled picture": "more pictures of each person to enrol with",
}


def next_pictures(kinds: list[Kind], conditions: list[Kind], alike: list[float]) -> list[str]:
    """Say in sentences what to collect or look at next; `alike` are the worst impostors' scores."""
    lines = []
    for kind in conditions:
        if kind.loss >= NOTICED:
            wanted = ADVICE.get(kind.name, f"pictures in {kind.name} light")
            lines.append(
                f"Probes in the condition {kind.name} lose {100 * kind.loss:.1f} points of TAR "
                f"({100 * kind.rest:.1f} to {100 * kind.tar:.1f} %): collect {wanted}."
            )
    for kind in kinds:
        if kind.loss >= NOTICED / 2:
            wanted = ADVICE.get(kind.name, f"more pictures {kind.name}")
            if kind.name.startswith(SOURCE):
                wanted = "nothing yet, look at the sheets: a source is no reason in itself"
            lines.append(
                f"Pictures {kind.name} are {100 * kind.share:.0f} % of the clean probes and cost "
                f"{100 * kind.loss:.1f} points of TAR (theirs is {100 * kind.tar:.1f}, of the rest "
                f"{100 * kind.rest:.1f} %): collect {wanted}."
            )
    if same := sum(value >= ONE_PERSON for value in alike):
        lines.append(
            f"Worst pairs of people that score {ONE_PERSON} or more: {same}. Look at "
            "impostor-clean.png, and put those who are one person into prepare.same_people."
        )
    return lines or ["No condition or kind of picture stands out: collect more people."]


def errors(config: Config, what: str = "checkpoint") -> list[str]:
    """Write errors-WHAT/: sheets, errors.csv, .json and .txt; return the sentences.

    Raises ValueError where fewer than two people of the side are enrolled.
    """
    torch.set_num_threads(config.evaluate.threads)
    settings = config.errors
    run = open_run(config, f"errors {what}")
    folder = run / f"errors-{what}"
    folder.mkdir(exist_ok=True)
    embed = embedder(config, what)
    shown = gallery.load_side(config, config.evaluate.side, people=settings.people)
    if len(set(shown.person[shown.enrolled].tolist())) < 2:
        raise ValueError(f"fewer than two people of the {config.evaluate.side} side are enrolled")
    conditions = dict.fromkeys([CLEAN, *config.evaluate.conditions])
    found = {name: score(config, embed, shown, name) for name in conditions}
    rate = counted_rate(settings.far, min(s.trials.impostors for s in found.values()))
    threshold = common_threshold(found, rate)

    sides = dict.fromkeys(found, shown)
    if config.evaluate.lighting_pack:
        # Too few people to set a threshold, but these lamps are real.
        lamps, _ = gallery.load_lighting(
            Path(config.data) / config.evaluate.lighting_pack, config.evaluate.seed
        )
        found[LIGHTING], sides[LIGHTING] = score(config, embed, lamps, CLEAN), lamps
    alike: list[float] = []
    for name, scored in found.items():
        genuine = worst_genuine(scored, settings.pairs)
        impostor = worst_impostors(scored, settings.pairs)
        if name == CLEAN:
            alike = [value for _, _, value in impostor]
        for kind, trials in (("genuine", genuine), ("impostor", impostor)):
            if trials:
                path = folder / f"{kind}-{name.replace('/', '-')}.png"
                sheet(cells(scored, sides[name], trials)).save(path)
    simulated = rank_conditions(found, threshold)
    kinds = rank_kinds(config, shown, found[CLEAN], threshold)
    lines = next_pictures(kinds, simulated, alike)
    head = (
        f"{len(shown.names)} people of the {config.evaluate.side} side, {what}, at the threshold "
        f"{threshold:.3f} (FAR {rate:g} in the worst condition)."
    )
    _write(folder, [*simulated, *kinds], [head, "", *lines])
    write_json(
        folder / "errors.json",
        {
            "far": rate,
            "threshold": threshold,
            "people": len(shown.names),
            "conditions": [vars(kind) | {"loss": kind.loss} for kind in simulated],
            "kinds": [vars(kind) | {"loss": kind.loss} for kind in kinds],
            "next": lines,
        },
    )
    print("\n".join([head, *lines]))
    return lines


def embedder(config: Config, what: str) -> Embed:
    """Return how `checkpoint` (the run's), `start` or `bundle` embeds crops."""
    if what == "bundle":
        return bundled_embedder(config)
    network = model.load(config.run_dir / BEST) if what == "checkpoint" else model.build(config)
    return lambda crops: model.embed(network, crops)


def _write(folder: Path, kinds: list[Kind], lines: list[str]) -> None:
    table = folder / "errors.csv"
    table.unlink(missing_ok=True)
    for kind in kinds:
        row = {name: getattr(kind, name) for name in ("loss", "tar", "rest", "share")}
        row = {name: round(value, 4) for name, value in row.items()}
        append_csv(table, {"kind": kind.name, **row, "trials": kind.trials})
    (folder / "errors.txt").write_text("\n".join(lines) + "\n")
