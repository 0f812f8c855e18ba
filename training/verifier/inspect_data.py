"""Step `inspect`: what the pictures are, and what they lack, before anyone trains on them."""

from collections import Counter, defaultdict
from dataclasses import dataclass, fields

import numpy as np
import pyarrow.parquet as pq
from matplotlib.figure import Figure
from PIL import Image

from training.common.pictures import CROP, decode, decode_centres
from training.common.runs import append_csv, open_run, write_json
from training.common.sheets import Cell, sheet
from training.common.split import VALIDATION
from training.verifier import measures
from training.verifier.config import CalibrateSettings, Config, InspectSettings
from training.verifier.embedders import bundled_embedder
from training.verifier.measures import Measures
from training.verifier.prepare import EXCLUDED, TABLE, TEACHER, equal_pictures, prepare

# Independent impostor trials without an error that prove a rate below 1e-4 at 95 %: the binomial
# bound, log(0.05) / log(1 - 1e-4), rounded up (the "rule of three" gives 30,000).
PROOF_TRIALS = 29_956
BLOCK = 512


@dataclass(frozen=True)
class Pictures:
    """The prepared table's columns, one entry a picture; `person` is None where unknown."""

    image: list[bytes]
    source: list[str]
    person: list[str | None]
    side: list[str]
    face_px: np.ndarray

    def __len__(self) -> int:
        return len(self.image)


def load(config: Config) -> Pictures:
    """Read the prepared table."""
    table = pq.read_table(config.prepared_dir / TABLE)
    return Pictures(
        table["image"].to_pylist(),
        table["source"].to_pylist(),
        table["person"].to_pylist(),
        table["side"].to_pylist(),
        table["face_px"].to_numpy(),
    )


def draw(count: int, most: int, seed: int) -> np.ndarray:
    """Return int [min(count, most)]: rows drawn without replacement, in order; 0: all rows."""
    if not most or count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))


def embeddings_of(
    config: Config, pictures: Pictures, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return rows int [N] and their embeddings float32 [N, D].

    The teacher's, of every picture, where `prepare` has made them; else the bundle's, of the rows
    `wanted` only, for they must be computed.
    """
    cached = config.prepared_dir / TEACHER
    if config.prepare.teacher and cached.is_file():
        found = np.load(cached).astype(np.float32)
        if len(found) == len(pictures):
            return np.arange(len(pictures)), found / np.linalg.norm(found, axis=1, keepdims=True)
    crops = decode_centres([pictures.image[row] for row in wanted])
    return wanted, bundled_embedder(config)(crops)[:, :-1]


def near_copies(embeddings: np.ndarray, limit: float) -> list[tuple[int, int, float]]:
    """Pairs (i, j, cosine), i < j, of unit float32 [N, D] with a cosine above `limit`."""
    found = []
    for start in range(0, len(embeddings), BLOCK):
        cosines = embeddings[start : start + BLOCK] @ embeddings[start:].T
        for one, other in zip(*np.nonzero(np.triu(cosines, 1) > limit), strict=True):
            found.append((start + int(one), start + int(other), float(cosines[one, other])))
    return found


@dataclass(frozen=True)
class Suspect:
    """A picture (row of the embeddings) that is far from the others of its person."""

    row: int
    person: str
    cosine: float
    nearest: str
    nearest_cosine: float


def centres_of(
    embeddings: np.ndarray, person: list[str | None]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the people's names, each row's number among them (-1: unknown), their sums [P, D]."""
    names = sorted({name for name in person if name})
    index: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    number = np.array([index.get(name, -1) for name in person])
    sums = np.zeros((len(names), embeddings.shape[1]), np.float32)
    np.add.at(sums, number[number >= 0], embeddings[number >= 0])
    return names, number, sums


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def label_noise(
    embeddings: np.ndarray, person: list[str | None], limit: float, *, least: int = 3
) -> list[Suspect]:
    """Find pictures whose cosine to the mean of their person's others is below `limit`.

    Of people with fewer than `least` pictures nothing can be said: of two that differ, either
    may be the wrong one. Least alike first.
    """
    names, number, sums = centres_of(embeddings, person)
    if not names:
        return []
    count = np.bincount(number[number >= 0], minlength=len(names))
    rows = np.nonzero(number >= 0)[0]
    rows = rows[count[number[rows]] >= least]
    others = _unit(sums[number[rows]] - embeddings[rows])
    own = np.einsum("nd,nd->n", others, embeddings[rows])
    found = []
    centres = _unit(sums)
    for row, cosine in zip(rows[own < limit], own[own < limit], strict=True):
        to_all = centres @ embeddings[row]
        to_all[number[row]] = -1.0
        nearest = int(to_all.argmax())
        found.append(
            Suspect(
                int(row), names[number[row]], float(cosine), names[nearest], float(to_all[nearest])
            )
        )
    return sorted(found, key=lambda suspect: suspect.cosine)


def alike_people(
    embeddings: np.ndarray, person: list[str | None], limit: float
) -> list[tuple[str, str, float]]:
    """Pairs of people whose mean embeddings' cosine exceeds `limit`, most alike first."""
    names, _, sums = centres_of(embeddings, person)
    pairs = near_copies(_unit(sums), limit) if names else []
    found = [(names[one], names[other], cosine) for one, other, cosine in pairs]
    return sorted(found, key=lambda pair: -pair[2])


def shares(
    measured: Measures, face_px: np.ndarray, settings: InspectSettings
) -> dict[str, float | None]:
    """Share 0..1 of the pictures that are of each kind, None where nothing is known of it."""
    kinds = kinds_of(measured, face_px, settings)
    return {
        name: float(flags[known].mean()) if known.any() else None
        for name, (flags, known) in kinds.items()
    }


# The kinds whose faces do not look at the camera.
LOOKING_AWAY = ("turned to a side", "looking up or down")


def kinds_of(
    measured: Measures, face_px: np.ndarray, settings: InspectSettings
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each kind of picture, bool [N]: which are of it, and of which it is known."""
    every = np.ones(len(face_px), bool)
    posed = np.isfinite(measured.yaw)
    return {
        "dark": (measured.brightness < settings.dark_brightness, every),
        "lit from one side": (measured.side_light > settings.side_light, every),
        "without colour, as by infrared light": (measured.colour < settings.grey_colour, every),
        "blurred": (measured.sharpness < settings.blurred_sharpness, every),
        "of faces far away": (face_px < settings.small_face_px, np.isfinite(face_px)),
        LOOKING_AWAY[0]: (np.abs(measured.yaw) > settings.turned_degrees, posed),
        LOOKING_AWAY[1]: (np.abs(measured.pitch) > settings.nodded_degrees, posed),
    }


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.0195 or share == 0 else f"{100 * share:.1f} %"


def kind_warnings(found: dict[str, float | None], wanted: float) -> list[str]:
    """Say which kinds of picture are missed."""
    lines = []
    for name, share in found.items():
        if share is None:
            lines.append(f"Of no picture is it known whether it is {name}.")
        elif share < wanted:
            only = f"Only {_percent(share)}" if share else "None"
            lines.append(f"{only} of these pictures are {name}: what is not there is not learnt.")
    return lines


def evidence_warnings(
    measured: Measures, face_px: np.ndarray, limits: CalibrateSettings
) -> list[str]:
    """Say how many pictures the door itself would refuse."""
    refused = {
        "too dark": measured.brightness < limits.min_brightness,
        "too blurred": measured.sharpness < limits.min_sharpness,
        "too small": face_px < limits.min_face_px,
    }
    return [
        f"{_percent(flags.mean())} of these pictures are {name} for the door to take as evidence."
        for name, flags in refused.items()
        if flags.any()
    ]


def people_warnings(count: Counter[str], side: dict[str, str], unlabelled: int) -> list[str]:
    """Say whether there are people enough, and pictures enough of each."""
    if not count:
        return ["No picture has a name: there is nothing to measure with."]
    lines = []
    total = count.total()
    single = sum(number == 1 for number in count.values())
    few = sum(number < 5 for number in count.values())
    if single:
        lines.append(
            f"{single} of {len(count)} people have one picture only: they are strangers to "
            "measure with, but nobody is recognised by them."
        )
    if few > len(count) / 2:
        lines.append(
            f"{few} of {len(count)} people have fewer than five pictures; a door enrols with five, "
            "and needs others to be tried with."
        )
    most, number = count.most_common(1)[0]
    if number > 0.25 * total and len(count) > 1:
        lines.append(f"{_percent(number / total)} of the pictures with a name show {most}.")
    measured = {name: count[name] for name in count if side.get(name) == VALIDATION}
    trials = sum(measured.values()) * max(0, sum(n > 1 for n in measured.values()) - 1)
    if trials < PROOF_TRIALS:
        lines.append(
            f"{len(measured)} people are on the validation side, about {trials} impostor trials: "
            f"a false positive rate below 0.01 % needs {PROOF_TRIALS} independent ones to show."
        )
    if unlabelled:
        lines.append(f"{unlabelled} pictures have no name: distillation uses them, nothing else.")
    return lines


def _kept_names(pictures: Pictures, rows: np.ndarray) -> list[str | None]:
    """Names of the rows, without people that `prepare` has already left out as found twice."""
    return [None if pictures.side[row] == EXCLUDED else pictures.person[row] for row in rows]


def copy_warnings(equal: int, across: int, near: int, near_across: int, compared: int) -> list[str]:
    """Say what of the pictures is there twice."""
    lines = []
    if equal:
        lines.append(f"{equal} pictures are byte for byte the copy of another.")
    if across:
        lines.append(f"{across} pictures stand byte for byte under two names.")
    if near:
        lines.append(
            f"{near} of {compared} pictures ({_percent(near / compared)}) are nearly the same as "
            f"an earlier one, {near_across} of them under another name: they teach little."
        )
    return lines


def _summary(values: np.ndarray) -> dict[str, float] | None:
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    points = np.quantile(known, [0.05, 0.25, 0.5, 0.75, 0.95])
    names = ("5 %", "25 %", "median", "75 %", "95 %")
    return {name: round(float(point), 2) for name, point in zip(names, points, strict=True)}


def draw_histograms(columns: dict[str, np.ndarray], log: set[str]) -> Figure:
    """Draw a histogram of every column; those in `log` on a logarithmic axis."""
    figure = Figure(figsize=(12, 3 * -(-len(columns) // 3)), layout="constrained")
    axes = figure.subplots(-(-len(columns) // 3), 3, squeeze=False).ravel()
    for axis, (name, values) in zip(axes, columns.items(), strict=False):
        known = values[np.isfinite(values)]
        axis.set_title(f"{name} ({known.size})", fontsize=10)
        if not known.size:
            continue
        bins: int | np.ndarray = 40
        if name in log:
            known = np.maximum(known, 0.5)
            low, high = known.min(), known.max()
            bins = np.geomspace(low * 0.99, high * 1.01, 41)
            axis.set_xscale("log")
        axis.hist(known, bins=bins, color="#3367a6")
    for axis in axes[len(columns) :]:
        axis.set_axis_off()
    return figure


def inspect(config: Config) -> list[str]:
    """Write inspect.json, .csv, .png and .txt into the run's folder; return the sentences."""
    settings = config.inspect
    summary = prepare(config)
    folder = open_run(config, "inspect")
    pictures = load(config)
    total = len(pictures)
    sample = draw(total, settings.sample, config.train.seed)
    measured = measures.measure(np.stack([decode(pictures.image[row]) for row in sample]))
    face_px = pictures.face_px[sample]
    wanted = draw(total, settings.compare, config.train.seed)
    known, embeddings = embeddings_of(config, pictures, wanted)

    names = _kept_names(pictures, known)
    suspects = label_noise(embeddings, names, settings.stranger_cosine)
    alike = alike_people(embeddings, names, config.prepare.duplicate_cosine)
    equal = equal_pictures(pictures.image)
    inside = np.nonzero(np.isin(known, wanted))[0]
    near = near_copies(embeddings[inside], settings.copy_cosine)
    whose = [pictures.person[known[row]] for row in inside]
    copies = {other: whose[one] == whose[other] for one, other, _ in near}

    people = Counter(name for name in pictures.person if name)
    side = {name: where for name, where in zip(pictures.person, pictures.side, strict=True) if name}
    kinds = shares(measured, face_px, settings)
    lines = people_warnings(people, side, total - people.total())
    lines += kind_warnings(kinds, settings.wanted_share)
    lines += evidence_warnings(measured, face_px, config.calibrate)
    lines += copy_warnings(
        sum(len(group) - 1 for group in equal),
        sum(len({pictures.person[row] for row in group}) > 1 for group in equal),
        len(copies),
        sum(not same for same in copies.values()),
        len(inside),
    )
    lines += _people_found(suspects, alike)
    refused: dict[str, str] = dict(summary.get("refused", {}))
    lines += [
        f"{number} pictures were left out: {why}."
        for why, number in Counter(refused.values()).items()
    ]

    rows = {field.name: getattr(measured, field.name) for field in fields(Measures)}
    columns = rows | {
        "width of the face, pixels": face_px,
        "pictures of a person": np.array(list(people.values()), float),
    }
    draw_histograms(
        columns, {"sharpness", "width of the face, pixels", "pictures of a person", "side_light"}
    ).savefig(folder / "inspect.png", dpi=100)
    for name, picture in draw_doubts(pictures, known, suspects, alike).items():
        picture.save(folder / name)
    table = folder / "inspect.csv"
    table.unlink(missing_ok=True)
    for name, count in people.most_common():
        append_csv(table, {"person": name, "pictures": count, "side": side[name]})
    write_json(
        folder / "inspect.json",
        {
            "pictures": total,
            "people": len(people),
            "measured": len(sample),
            "compared": len(inside),
            "quantiles": {name: _summary(values) for name, values in columns.items()},
            "shares": kinds,
            "warnings": lines,
            "equal": [[_label(pictures, row) for row in group] for group in equal],
            "near_copies": [
                [
                    _label(pictures, known[inside[one]]),
                    _label(pictures, known[inside[other]]),
                    cosine,
                ]
                for one, other, cosine in near[:1000]
            ],
            "far_from_their_person": [
                {**vars(suspect), "row": int(known[suspect.row])} for suspect in suspects
            ],
            "alike_people": alike,
            "refused": refused,
        },
    )
    head = [f"{total} pictures, {people.total()} of them of {len(people)} people."]
    if len(sample) < total:
        head.append(f"Light, blur and pose were measured on {len(sample)} drawn at random.")
    if len(inside) < total:
        head.append(f"Near copies were looked for among {len(inside)} drawn at random.")
    (folder / "inspect.txt").write_text("\n".join([*head, "", *lines]) + "\n")
    print("\n".join([*head, *lines]))
    return lines


def _people_found(suspects: list[Suspect], alike: list[tuple[str, str, float]]) -> list[str]:
    lines = []
    if suspects:
        worst = suspects[0]
        lines.append(
            f"{len(suspects)} pictures are far from the others of their person and may show "
            f"somebody else, the first of them one of {worst.person} (cosine {worst.cosine:.2f})."
        )
    if alike:
        one, other, cosine = alike[0]
        lines.append(
            f"{len(alike)} pairs of names look like one person, "
            f"first of all {one} and {other} (cosine {cosine:.2f})."
        )
    return lines


def draw_doubts(
    pictures: Pictures,
    known: np.ndarray,
    suspects: list[Suspect],
    alike: list[tuple[str, str, float]],
    most: int = 24,
) -> dict[str, Image.Image]:
    """Return sheets of the doubtful labels by file name, none where there is no doubt.

    A suspect is shown after two other pictures of its name and before one of the name it
    resembles most; two names that look like one person with two pictures each.
    """
    rows = defaultdict(list)
    for row, name in enumerate(pictures.person):
        rows[name].append(row)

    def crops(name: str, count: int, without: int = -1) -> list[np.ndarray]:
        found = [row for row in rows[name] if row != without][:count]
        shown = list(decode_centres([pictures.image[row] for row in found])) if found else []
        return shown + [np.zeros((CROP, CROP, 3), np.uint8)] * (count - len(shown))

    doubts = []
    for suspect in suspects[:most]:
        row = int(known[suspect.row])
        own, (other,) = crops(suspect.person, 2, row), crops(suspect.nearest, 1)
        lines = [
            f"{suspect.cosine:.2f} to {suspect.person}, the third (row {row})",
            f"{suspect.nearest_cosine:.2f} to {suspect.nearest}, the fourth",
        ]
        doubts.append(Cell([*own, *decode_centres([pictures.image[row]]), other], lines))
    names = [
        Cell([*crops(one, 2), *crops(other, 2)], [f"{cosine:.2f}  {one}", other])
        for one, other, cosine in alike[:most]
    ]
    found = {"inspect-suspects.png": doubts, "inspect-names.png": names}
    return {name: sheet(cells, columns=3) for name, cells in found.items() if cells}


def _label(pictures: Pictures, row: int) -> str:
    return f"{pictures.person[row] or pictures.source[row]} (row {int(row)})"
