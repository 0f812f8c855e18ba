"""Step `prepare`: any number of packs and folders -> one table of crops with a side each."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageOps
from tqdm import tqdm

from training.common.paths import use_vision
from training.common.pictures import BORDER, decode_centres, encode
from training.common.split import TEST, TRAIN, VALIDATION, person_of, side_of
from training.verifier.config import Config

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
    ]
)


@dataclass(frozen=True)
class Row:
    """One crop: stored bytes, source, person (None: unknown), width of the face in the picture."""

    image: bytes
    source: str
    person: str | None
    face_px: float


def read_pack(path: Path) -> Iterator[Row]:
    """Yield the rows of a Parquet pack of stored crops (`image`, `identity`, ...)."""
    pack = pq.ParquetFile(path)
    present = set(pack.schema_arrow.names)
    if not {"image", "identity"} <= present:
        raise ValueError(f"{path} has no `image` and `identity` columns")
    columns = ["image", "identity", *sorted({"source", "face_px"} & present)]
    for batch in pack.iter_batches(1024, columns=columns):
        for row in batch.to_pylist():
            source = row.get("source") or path.stem
            person = person_of(source, row["identity"]) if row["identity"] else None
            yield Row(row["image"], source, person, float(row.get("face_px") or np.nan))


def read_folder(path: Path, refused: dict[str, str] | None = None) -> Iterator[Row]:
    """Yield one crop for every picture in PATH/PERSON/* that shows exactly one face.

    Detected and aligned by the bundle, as at the door. The border that packs have is filled by
    repeating the edge. `refused` is told of every other picture, and why.
    """
    refused = {} if refused is None else refused
    use_vision()
    import vision  # noqa: PLC0415 - needs the path above and a bundle, packs need neither

    bundle = vision.load_bundle()
    for person in sorted(entry for entry in path.iterdir() if entry.is_dir()):
        for file in sorted(person.iterdir()):
            if file.suffix.lower() not in {".jpg", ".jpeg", ".png", ".webp"}:
                continue
            name = f"{path.name}/{person.name}/{file.name}"
            try:
                with Image.open(file) as picture:
                    # A phone notes which way it was held, and stores the pixels unturned.
                    rgb = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
            except (OSError, SyntaxError, ValueError):
                refused[name] = "not a picture"
                continue
            faces = bundle.detector.detect(rgb)
            if len(faces) != 1:
                refused[name] = "several faces" if faces else "no face"
                continue
            crop = vision.align(rgb, faces[0].landmarks)
            stored = np.pad(crop, ((BORDER, BORDER), (BORDER, BORDER), (0, 0)), mode="edge")
            width = faces[0].box[2] - faces[0].box[0]
            yield Row(encode(stored), path.name, f"{path.name}/{person.name}", float(width))


def teacher_embeddings(images: list[bytes], path: Path, threads: int = 1) -> np.ndarray:
    """Embed stored crops with an ONNX teacher: float32 [N, D] of unit length.

    The teacher takes RGB in -1..1, (x - 127.5) / 128, NHWC or NCHW as its input's shape says.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    channels_last = entry.shape[-1] == 3
    parts = []
    for start in tqdm(range(0, len(images), 64), desc="teacher", mininterval=10):
        crops = decode_centres(images[start : start + 64]).astype(np.float32)
        crops = (crops - 127.5) / 128.0
        crops = crops if channels_last else np.ascontiguousarray(crops.transpose(0, 3, 1, 2))
        parts.append(session.run(None, {entry.name: crops})[0])
    embeddings = np.concatenate(parts).astype(np.float32)
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def cached_embeddings(out: Path, images: list[bytes], path: Path) -> np.ndarray:
    """Return the teacher's embeddings, computed once for these pictures and this teacher."""
    digest = hashlib.sha256(path.read_bytes())
    for image in images:
        digest.update(hashlib.sha256(image).digest())
    key, stored = out / TEACHER_KEY, out / TEACHER
    if not (key.is_file() and stored.is_file() and key.read_text() == digest.hexdigest()):
        key.unlink(missing_ok=True)
        np.save(stored, teacher_embeddings(images, path).astype(np.float16))
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
    index = {name: number for number, name in enumerate(names)}
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


def _sides(people: list[str | None], duplicates: list[tuple[str, str]], pictures: int) -> list[str]:
    """Return the side of every row.

    Of a celebrity found twice, only one name is kept: on the side that is measured, if there is
    one, so that nobody measured was trained on.
    """
    order = {TRAIN: 0, VALIDATION: 1, TEST: 2}
    side = {person: side_of(person, pictures) for person in set(people) if person}
    # Chains count: two names that both look like a third are one person too.
    group = {person: {person} for person in side}
    for one, other in duplicates:
        merged = group.get(one, set()) | group.get(other, set())
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


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def prepare(config: Config) -> dict[str, object]:
    """Write the table, the teacher's embeddings and a summary; return the summary.

    Skipped when the summary there already describes the same sources and settings.
    """
    settings = config.prepare
    packs = [Path(config.data) / name for name in settings.packs]
    folders = [Path(config.data) / name for name in settings.folders]
    teacher = Path(config.teachers) / settings.teacher if settings.teacher else None
    inputs = {
        "packs": {path.name: _digest(path) for path in packs},
        "folders": {
            path.name: sorted(
                f"{f.relative_to(path)} {f.stat().st_size}" for f in path.rglob("*.*")
            )
            for path in folders
        },
        "teacher": _digest(teacher) if teacher else None,
        "duplicate_cosine": settings.duplicate_cosine,
        "same_people": settings.same_people,
    }
    out = config.prepared_dir
    summary_path = out / SUMMARY
    if summary_path.is_file():
        summary: dict[str, object] = json.loads(summary_path.read_text())
        if summary["inputs"] == inputs:
            return summary

    rows = [row for path in packs for row in read_pack(path)]
    refused: dict[str, str] = {}
    rows += [row for path in folders for row in read_folder(path, refused)]
    if not rows:
        raise ValueError("no picture found; set prepare.packs or prepare.folders")
    people = [row.person for row in rows]
    duplicates: list[tuple[str, str, float]] = []
    out.mkdir(parents=True, exist_ok=True)
    if teacher:
        embeddings = cached_embeddings(out, [row.image for row in rows], teacher)
        duplicates = find_duplicates(people, embeddings, settings.duplicate_cosine)
    known = [(one, other) for one, other in settings.same_people]
    sides = _sides(people, known + [(one, other) for one, other, _ in duplicates], len(rows))
    table = pa.table(
        [
            [row.image for row in rows],
            [row.source for row in rows],
            people,
            sides,
            [row.face_px for row in rows],
        ],
        schema=SCHEMA,
    )
    pq.write_table(table, out / TABLE, compression="none", row_group_size=4096)
    summary = {
        "inputs": inputs,
        "pictures": dict(Counter(sides)),
        "people": dict(Counter(dict(zip(people, sides, strict=True)).values())),
        "duplicates": [[one, other, round(cosine, 4)] for one, other, cosine in duplicates],
        "refused": refused,
    }
    summary_path.write_text(json.dumps(summary, indent=1) + "\n")
    return summary
