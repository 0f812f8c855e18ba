"""Step `prepare`: any number of sources -> one table of crops with a side each."""

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from tqdm import tqdm

from training.common import bundle, product
from training.common.pictures import decode_centres
from training.common.split import TEST, TRAIN, VALIDATION, rule, side_of
from training.verifier import model
from training.verifier.config import Config
from training.verifier.sources import Aligner, Source, fingerprint, read, source_of

TABLE = "faces.parquet"
TEACHER = "teacher.npy"
TEACHER_KEY = "teacher.sha256"
SUMMARY = "prepare.json"
UNLABELLED = "unlabelled"
EXCLUDED = "excluded"

SCHEMA = pa.schema(
    [
        ("image", pa.binary()),
        ("source", pa.string()),
        ("person", pa.string()),
        ("side", pa.string()),
        ("face_px", pa.float32()),
        ("group", pa.string()),
    ]
)


Teach = Callable[[np.ndarray], np.ndarray]
"""uint8 [N, 112, 112, 3] -> float32 [N, D]."""


def teacher_embeddings(images: list[bytes], teach: Teach, *, mirrors: bool = False) -> np.ndarray:
    """Embed stored crops with a teacher: float32 [N, D] of unit length.

    With `mirrors` the embedding of a crop and that of its mirror image are added.
    """
    parts = []
    for start in tqdm(range(0, len(images), 64), desc="teacher", mininterval=10):
        crops = decode_centres(images[start : start + 64])
        part = _unit(teach(crops))
        parts.append(_unit(part + _unit(teach(crops[:, :, ::-1]))) if mirrors else part)
    return np.concatenate(parts).astype(np.float32)


def teacher(config: Config) -> Teach:
    """Return the teacher: the run's own start, or any ONNX file that takes what MobileFaceNet does.

    That is RGB in -1..1, (x - 127.5) / 128, NHWC or NCHW as its input's shape says.
    """
    if config.prepare.teacher == config.model.warm_start:
        # Surely what training starts from; compiled, it is four times as fast as onnxruntime.
        start = model.build(config)
        if config.train.compile:
            start.compile()
        return lambda crops: model.directions(start, crops)
    path = Path(config.teachers) / config.prepare.teacher
    options = ort.SessionOptions()
    options.intra_op_num_threads = config.train.threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    channels_last = entry.shape[-1] == 3

    def teach(crops: np.ndarray) -> np.ndarray:
        values = (crops.astype(np.float32) - 127.5) / 128.0
        values = values if channels_last else values.transpose(0, 3, 1, 2)
        return session.run(None, {entry.name: np.ascontiguousarray(values)})[0]

    return teach


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cached_embeddings(config: Config, images: list[bytes]) -> np.ndarray:
    """Return the teacher's embeddings, computed once for these pictures and this teacher."""
    out, mirrors = config.prepared_dir, config.prepare.teacher_mirrors
    digest = hashlib.sha256((Path(config.teachers) / config.prepare.teacher).read_bytes())
    for image in images:
        digest.update(hashlib.sha256(image).digest())
    if mirrors:
        digest.update(b"mirrors")
    key, stored = out / TEACHER_KEY, out / TEACHER
    if not (key.is_file() and stored.is_file() and key.read_text() == digest.hexdigest()):
        key.unlink(missing_ok=True)
        torch.set_num_threads(config.train.threads)
        found = teacher_embeddings(images, teacher(config), mirrors=mirrors)
        np.save(stored, found.astype(np.float16))
        key.write_text(digest.hexdigest())
    return np.load(stored).astype(np.float32)


def find_duplicates(
    people: list[str | None], embeddings: np.ndarray, limit: float
) -> list[tuple[str, str, float]]:
    """Pairs of people of different sources whose mean embeddings' cosine exceeds `limit`.

    The same celebrity stands under two names in two sources. Within a source the names are
    trusted: cleaning there with the teacher's own eyes would flatter its impostor tail.
    """
    names = sorted({person for person in people if person})
    index: dict[str | None, int] = {name: number for number, name in enumerate(names)}
    centres = np.zeros((len(names), embeddings.shape[1]), np.float32)
    rows = [row for row, person in enumerate(people) if person]
    np.add.at(centres, [index[people[row]] for row in rows], embeddings[rows])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    source = np.array([name.split("/")[0] for name in names])
    found = []
    for one, other in zip(*np.nonzero(np.triu(centres @ centres.T > limit, 1)), strict=True):
        if source[one] != source[other]:
            found.append((names[one], names[other], float(centres[one] @ centres[other])))
    return found


def sides_of(
    people: list[str | None],
    same: Sequence[Sequence[str]],
    pictures: int,
    halved: frozenset[str] = frozenset(),
    measured: frozenset[str] = frozenset(),
) -> list[str]:
    """Return the side of every row; `same` are groups of names that are one person.

    People in `halved` are split in halves, those in `measured` are all on the validation side; see
    `Source`.
    Of a person under several names, only one name is kept: on the side that is measured, if there
    is one, so that nobody measured was trained on.
    """
    order = {TRAIN: 0, VALIDATION: 1, TEST: 2}
    side = {
        person: VALIDATION
        if person in measured
        else side_of(person, pictures, halves=person in halved)
        for person in set(people)
        if person
    }
    # Chains count: two names that both look like a third are one person too.
    group = {person: {person} for person in side}
    for names in same:
        merged = set().union(*(group.get(name, set()) for name in names))
        group |= dict.fromkeys(merged, merged)
    excluded = {
        person
        for person, names in group.items()
        if person != max(names, key=lambda name: (order[side[name]], name))
    }
    return [
        UNLABELLED if person is None else EXCLUDED if person in excluded else side[person]
        for person in people
    ]


def equal_pictures(images: list[bytes]) -> list[list[int]]:
    """Return the groups of rows whose pictures are the same, byte for byte."""
    rows = defaultdict(list)
    for row, image in enumerate(images):
        rows[hashlib.sha256(image).digest()].append(row)
    return [group for group in rows.values() if len(group) > 1]


def leaks(images: list[bytes], people: list[str | None], sides: list[str]) -> dict[str, object]:
    """Say what could tie the sides together: people on two of them, and equal pictures.

    Pictures without a name are trained on, so that they count as the training side.
    """
    trained = [TRAIN if side == UNLABELLED else side for side in sides]
    stands = defaultdict(set)
    for person, side in zip(people, trained, strict=True):
        if person and side != EXCLUDED:
            stands[person].add(side)
    equal = equal_pictures(images)
    across = [group for group in equal if len({trained[row] for row in group} - {EXCLUDED}) > 1]
    return {
        "people on two sides": sorted(name for name, found in stands.items() if len(found) > 1),
        "equal pictures": sum(len(group) - 1 for group in equal),
        "equal pictures under two names": sum(
            len({people[row] for row in group}) > 1 for group in equal
        ),
        "equal pictures on two sides": [
            [f"{sides[row]}: {people[row] or 'no name'} (row {row})" for row in group]
            for group in across
        ],
    }


def _inputs(config: Config, sources: list[Source]) -> dict[str, object]:
    """Return all that the table depends on."""
    settings = config.prepare
    whole = any(not source.aligned for source in sources)
    return {
        "sources": [
            # Compared with what JSON gives back, which knows no tuples.
            {
                # Where it is not set it says nothing: tables made before it was there stay good.
                **{name: v for name, v in vars(source).items() if name != "measured" or v},
                "path": source.path.name,
                "group": list(source.group),
                "digest": fingerprint(source),
            }
            for source in sources
        ],
        # Other weights cut other crops.
        "detector": bundle.read(product.MODELS)["models"]["detector"]["files"] if whole else None,
        "teacher": _digest(Path(config.teachers) / settings.teacher) if settings.teacher else None,
        "teacher_mirrors": settings.teacher_mirrors,
        "duplicate_cosine": settings.duplicate_cosine,
        "same_people": settings.same_people,
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prepare(config: Config) -> dict[str, Any]:
    """Write the table, the teacher's embeddings and a summary; return the summary.

    Skipped when the summary there already describes the same sources and settings. Raises
    ValueError where no source has a picture.
    """
    settings = config.prepare
    sources = [source_of(entry, Path(config.data)) for entry in settings.sources]
    inputs = _inputs(config, sources)
    out = config.prepared_dir
    summary_path = out / SUMMARY
    if summary_path.is_file():
        summary: dict[str, Any] = json.loads(summary_path.read_text())
        if summary["inputs"] == inputs:
            return summary

    aligner = None if all(source.aligned for source in sources) else Aligner()
    refused: dict[str, str] = {}
    rows, halved, measured = [], set(), set()
    for source in sources:
        found = list(read(source, aligner, refused))
        rows += found
        if source.halves:
            halved |= {row.person for row in found if row.person}
        if source.measured:
            measured |= {row.person for row in found if row.person}
    if not rows:
        raise ValueError(f"no picture in prepare.sources ({len(refused)} refused)")
    images, people = [row.image for row in rows], [row.person for row in rows]
    duplicates: list[tuple[str, str, float]] = []
    out.mkdir(parents=True, exist_ok=True)
    if settings.teacher:
        embeddings = cached_embeddings(config, images)
        duplicates = find_duplicates(people, embeddings, settings.duplicate_cosine)
    same = [*settings.same_people, *((one, other) for one, other, _ in duplicates)]
    sides = sides_of(people, same, len(rows), frozenset(halved), frozenset(measured))
    columns = [
        images,
        [row.source for row in rows],
        people,
        sides,
        [row.face_px for row in rows],
        [row.group for row in rows],
    ]
    table = pa.table(columns, schema=SCHEMA)
    pq.write_table(table, out / TABLE, compression="none", row_group_size=4096)
    side = {person: side for person, side in zip(people, sides, strict=True) if person}
    summary = {
        "inputs": inputs,
        "split": rule(len(rows)),
        "pictures": dict(Counter(sides)),
        "people": dict(Counter(side.values())),
        "duplicates": [[one, other, round(cosine, 4)] for one, other, cosine in duplicates],
        "leaks": leaks(images, people, sides),
        "refused": refused,
    }
    summary_path.write_text(json.dumps(summary, indent=1) + "\n")
    return summary


def report(summary: dict[str, Any]) -> str:
    """Say in a few lines what `prepare` found."""
    found = summary["leaks"]
    people = summary["people"]
    sides = (
        f"{side} {pictures}" + (f" of {people[side]} people" if side in people else "")
        for side, pictures in sorted(summary["pictures"].items())
    )
    lines = [
        f"Pictures: {', '.join(sides)}.",
        f"Split: {summary['split']}.",
        f"{len(summary['duplicates'])} pairs of names were found to be one person.",
        f"{len(found['people on two sides'])} people stand on two sides.",
        f"{found['equal pictures']} pictures are byte for byte the copy of another.",
        f"{found['equal pictures under two names']} pictures stand under two names.",
        f"{len(found['equal pictures on two sides'])} pictures stand on two sides.",
    ]
    reasons = Counter(summary["refused"].values())
    lines += [f"{number} pictures were left out: {why}." for why, number in reasons.items()]
    return "\n".join(lines)
