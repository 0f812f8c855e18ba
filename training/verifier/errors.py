"""Step `errors`: the worst pairs as pictures, what costs most, and what to collect next.

`errors-WHAT/errors.json` in the run's folder:
- `far`, `threshold`, `people`: the one threshold at which all is compared
- `conditions`, `kinds`: costliest first, `name`, `loss`, `low` and `high` (its 95 % interval over
  people), `clear` (the interval leaves out no loss), `tar`, `rest`, `share`, `trials`, `people`
- `next`: sentences
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from training.common.runs import append_csv, open_run, write_json
from training.common.sheets import Cell, sheet
from training.verifier import gallery, groups, metrics
from training.verifier.augment import in_condition
from training.verifier.conditions import CLEAN, LIGHTING, acceptable, noise_seed
from training.verifier.config import Config
from training.verifier.embedders import Embed, embedder
from training.verifier.evaluate import COUNTED, common_threshold
from training.verifier.gallery import Protocol
from vision.matching.similarity import pairwise_scores

# A loss of TAR smaller than this is not worth collecting pictures for.
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
    with, `share` their part of the genuine trials (1 for a simulated condition). `low` and `high`
    are the loss's 95 % interval over people.
    """

    name: str
    tar: float
    rest: float
    share: float
    trials: int
    people: int
    low: float
    high: float

    @property
    def loss(self) -> float:
        """How much higher the TAR of all were, if these probes did as well as the rest."""
        return self.share * (self.rest - self.tar)

    @property
    def clear(self) -> bool:
        """Whether the interval leaves out that there is no loss at all."""
        return self.low > 0.0


def score(config: Config, embed: Embed, shown: Protocol, condition: str) -> Scored:
    """Compare every probe in `condition` (`probe/enrolled`) with every enrolled person.

    Crops that the door would refuse are left out. Raises ValueError where nothing is left.
    """
    probe_condition, _, enrolled_condition = condition.partition("/")
    rows, crops, embeddings = {}, {}, {}
    for enrolled, name in ((True, enrolled_condition or CLEAN), (False, probe_condition)):
        own = np.nonzero(shown.enrolled == enrolled)[0]
        view = in_condition(shown.crops[own], name, noise_seed(config, enrolled))
        usable = acceptable(config, view, shown.face_px[own])
        if not usable.any():
            raise ValueError(f"no picture of {condition} is good enough to be measured")
        rows[enrolled], crops[enrolled] = own[usable], view[usable]
        embeddings[enrolled] = embed(view[usable])
    templates, owner = gallery.templates(embeddings[True], shown.person[rows[True]])
    person = shown.person[rows[False]]
    return Scored(
        pairwise_scores(templates, embeddings[False]),
        owner,
        person,
        rows[True],
        rows[False],
        crops[True],
        crops[False],
        metrics.collect(templates, owner, embeddings[False], person, people=len(shown.names)),
    )


def genuine_of(scored: Scored) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return template, probe and score of every genuine trial: int, int, float32 [G]."""
    template, probe = np.nonzero(scored.owner[:, None] == scored.person[None, :])
    return template, probe, scored.scores[template, probe]


def accepted_by_person(scored: Scored, threshold: float, flag: np.ndarray) -> np.ndarray:
    """Count accepted and all genuine trials of flagged probes (bool [M]): float64 [people, 2]."""
    _, probe, scores = genuine_of(scored)
    probe, scores = probe[flag[probe]], scores[flag[probe]]
    person = scored.person[probe]
    return np.stack(
        [
            np.bincount(person[scores >= np.float32(threshold)], minlength=scored.trials.people),
            np.bincount(person, minlength=scored.trials.people),
        ],
        axis=1,
    ).astype(float)


def rank_conditions(
    found: dict[str, Scored], threshold: float, *, draws: int = 200, seed: int = 7
) -> list[Kind]:
    """Compare every condition, simulated or of real lamps, with clean probes, costliest first.

    People are drawn together in all conditions; those under lamps are others, drawn for
    themselves.
    """

    def counts(name: str) -> np.ndarray:
        one = found[name]
        return accepted_by_person(one, threshold, np.ones(len(one.person), bool))

    def drawn(count: np.ndarray) -> np.ndarray:
        weights = metrics.draw_people(len(count), draws, seed)
        return metrics.share_of(count, weights)

    clean = counts(CLEAN)
    rest = metrics.share_of(clean, np.ones((1, len(clean))))[0]
    kinds = []
    for name in found:
        if name == CLEAN:
            continue
        count = counts(name)
        tar = metrics.share_of(count, np.ones((1, len(count))))[0]
        low, high = metrics.interval(drawn(clean) - drawn(count))
        people = int((count[:, 1] > 0).sum())
        trials = int(count[:, 1].sum())
        kinds.append(
            Kind(name, float(tar), float(rest), 1.0, trials, people, float(low), float(high))
        )
    return sorted(kinds, key=lambda kind: -kind.loss)


def rank_kinds(config: Config, shown: Protocol, clean: Scored, threshold: float) -> list[Kind]:
    """Compare kinds of clean probe with all other clean probes, costliest first.

    Of a kind with fewer than ten genuine trials nothing is said.
    """
    flags = groups.flags_of(config, shown, clean.probe_row, clean.enrolled_row)
    settings = config.evaluate
    weights = metrics.draw_people(clean.trials.people, settings.bootstrap, settings.seed)
    plain = np.ones((1, clean.trials.people))
    kinds = []
    for name, (flag, known) in flags.items():
        own = accepted_by_person(clean, threshold, flag & known)
        rest = accepted_by_person(clean, threshold, ~(flag & known))
        if own[:, 1].sum() < COUNTED or rest[:, 1].sum() < COUNTED:
            continue

        def loss(w: np.ndarray, own: np.ndarray = own, rest: np.ndarray = rest) -> np.ndarray:
            share = (w @ own[:, 1]) / np.maximum(w @ (own + rest)[:, 1], 1e-12)
            return share * (metrics.share_of(rest, w) - metrics.share_of(own, w))

        low, high = metrics.interval(loss(weights))
        kinds.append(
            Kind(
                name,
                float(metrics.share_of(own, plain)[0]),
                float(metrics.share_of(rest, plain)[0]),
                float(own[:, 1].sum() / (own + rest)[:, 1].sum()),
                int(own[:, 1].sum()),
                int((own[:, 1] > 0).sum()),
                float(low),
                float(high),
            )
        )
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
    scores[scored.owner[:, None] == scored.person[None, :]] = metrics.NO_SCORE
    # No more than this many trials are of one pair of people, who bring so many probes each.
    most_alike = 2 * int(np.bincount(scored.person).max())
    keep = min(scores.size, most * most_alike)
    top = np.argpartition(scores.ravel(), scores.size - keep)[scores.size - keep :]
    top = top[np.argsort(-scores.ravel()[top], kind="stable")]
    found: dict[frozenset[int], tuple[int, int, float]] = {}
    for template, probe in zip(*np.divmod(top, scores.shape[1]), strict=True):
        value = float(scores[template, probe])
        pair = frozenset((int(scored.owner[template]), int(scored.person[probe])))
        if len(pair) == 2 and value > metrics.NO_SCORE:
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
    """Say in sentences what to collect or look at next; `alike` are the worst impostors' scores.

    What is not told from chance is named as such and asks for people, not for pictures of a kind.
    """
    lines = []
    for kind in conditions:
        if kind.clear and kind.loss >= NOTICED:
            wanted = ADVICE.get(kind.name, f"pictures in {kind.name} light")
            lines.append(
                f"Probes in the condition {kind.name} lose {_points(kind)} of TAR "
                f"({100 * kind.rest:.1f} to {100 * kind.tar:.1f} %): collect {wanted}."
            )
    for kind in kinds:
        if kind.clear and kind.loss >= NOTICED / 2:
            wanted = ADVICE.get(kind.name, f"more pictures {kind.name}")
            if kind.name.startswith(groups.SOURCE):
                wanted = "nothing yet, look at the sheets: a source is no reason in itself"
            lines.append(
                f"Pictures {kind.name} are {100 * kind.share:.0f} % of the clean probes and cost "
                f"{_points(kind)} of TAR (theirs is {100 * kind.tar:.1f}, of the rest "
                f"{100 * kind.rest:.1f} %; {kind.trials} probes of {kind.people} people): "
                f"collect {wanted}."
            )
    unclear = [kind for kind in [*conditions, *kinds] if not kind.clear and kind.high >= NOTICED]
    if unclear:
        named = ", ".join(
            f"{kind.name} ({100 * kind.low:+.1f} to {100 * kind.high:+.1f} points, "
            f"{kind.people} people)"
            for kind in unclear
        )
        lines.append(
            f"Not told from chance, but not small for certain: {named}. To know, measure more "
            "people of these kinds."
        )
    if same := sum(value >= ONE_PERSON for value in alike):
        lines.append(
            f"Worst pairs of people that score {ONE_PERSON} or more: {same}. Look at "
            "impostor-clean.png, and put those who are one person into prepare.same_people."
        )
    return lines or ["No condition or kind of picture stands out: collect more people."]


def _points(kind: Kind) -> str:
    return f"{100 * kind.loss:.1f} points ({100 * kind.low:.1f} to {100 * kind.high:.1f})"


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
    shown = gallery.load(config, people=settings.people)
    if len(set(shown.person[shown.enrolled].tolist())) < 2:
        raise ValueError("fewer than two people have two pictures: there is nothing to compare")
    conditions = dict.fromkeys([CLEAN, *config.evaluate.conditions])
    found = {name: score(config, embed, shown, name) for name in conditions}
    common = common_threshold({name: s.trials for name, s in found.items()}, settings.far)
    rate, threshold = common["far"], common["threshold"]

    sides = dict.fromkeys(found, shown)
    if config.evaluate.lighting_pack and not config.evaluate.pack:
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
    simulated = rank_conditions(
        found, threshold, draws=config.evaluate.bootstrap, seed=config.evaluate.seed
    )
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
            "conditions": [_plain(kind) for kind in simulated],
            "kinds": [_plain(kind) for kind in kinds],
            "next": lines,
        },
    )
    print("\n".join([head, *lines]))
    return lines


def _plain(kind: Kind) -> dict[str, object]:
    return vars(kind) | {"loss": kind.loss, "clear": kind.clear}


def _write(folder: Path, kinds: list[Kind], lines: list[str]) -> None:
    table = folder / "errors.csv"
    table.unlink(missing_ok=True)
    for kind in kinds:
        row = {
            name: getattr(kind, name) for name in ("loss", "low", "high", "tar", "rest", "share")
        }
        row = {name: round(value, 4) for name, value in row.items()}
        append_csv(table, {"kind": kind.name, **row, "trials": kind.trials, "people": kind.people})
    (folder / "errors.txt").write_text("\n".join(lines) + "\n")
