"""Who is enrolled with which pictures, and who comes as a probe, on people never trained on."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from training.common.pictures import CROP, STORED, centre, decode_centres
from training.verifier.config import Config
from training.verifier.prepare import TABLE
from vision.imaging.quality import measure
from vision.matching.similarity import centre as template
from vision.types import Face

# As many reference pictures of a person as the owner of a door may be expected to give.
ENROLLED = 5


@dataclass(frozen=True)
class Protocol:
    """Pictures of one side: crops uint8 [N, 112, 112, 3], person number and source of each.

    `enrolled` marks the pictures that make templates; all others are probes. People with one
    picture are probes only: strangers.
    """

    crops: np.ndarray
    person: np.ndarray
    source: np.ndarray
    face_px: np.ndarray
    enrolled: np.ndarray
    names: list[str]


def split_gallery(person: np.ndarray, most: int = ENROLLED) -> np.ndarray:
    """Mark up to `most` pictures of every person as enrolled, leaving at least one probe.

    Half of a person's pictures at most, so that people with few still bring probes.
    """
    enrolled = np.zeros(len(person), bool)
    for number in np.unique(person):
        rows = np.nonzero(person == number)[0]
        enrolled[rows[: min(most, (len(rows) + 1) // 2 if len(rows) > 1 else 0)]] = True
    return enrolled


def load(config: Config, *, people: int = 0) -> Protocol:
    """Read what the run measures: its own pack if it names one, else the run's side."""
    if config.evaluate.pack:
        return load_pack(config, Path(config.data) / config.evaluate.pack, people=people)
    return load_side(config, config.evaluate.side, people=people)


def load_side(
    config: Config, side: str, *, people: int = 0, pictures_per_person: int = 0
) -> Protocol:
    """Read one side of the prepared table, at most `people` people (0: all), spread evenly.

    Rows of a person are shuffled (seeded): packs keep pictures of one occasion together.
    """
    # Strangers with a group have trials of their own: within it.
    wanted = [("side", "=", side), ("group", "=", "")]
    table = pq.read_table(config.prepared_dir / TABLE, filters=wanted)
    names = np.array(table["person"].to_pylist())
    limit = pictures_per_person or config.evaluate.pictures_per_person
    rows, known = choose(names, people=people, most=limit, seed=config.evaluate.seed)
    chosen_rows = table.take(rows)
    numbers = np.searchsorted(known, names[rows])
    return Protocol(
        crops=decode_centres(chosen_rows["image"].to_pylist()),
        person=numbers,
        source=np.array(chosen_rows["source"].to_pylist()),
        face_px=chosen_rows["face_px"].to_numpy(),
        enrolled=split_gallery(numbers),
        names=known,
    )


def choose(names: np.ndarray, *, people: int, most: int, seed: int) -> tuple[np.ndarray, list[str]]:
    """Choose rows of `people` people (0: all), spread evenly, at most `most` of each, shuffled.

    Rows come person by person, in the order of the names, which are returned too.
    """
    known = sorted(set(names.tolist()))
    if people and len(known) > people:
        known = sorted({known[k] for k in np.linspace(0, len(known) - 1, people).astype(int)})
    rng = np.random.default_rng(seed)
    rows: list[int] = []
    order = np.argsort(names, kind="stable")
    starts = np.searchsorted(names[order], known, side="left")
    ends = np.searchsorted(names[order], known, side="right")
    for start, end in zip(starts, ends, strict=True):
        own = order[start:end]
        rng.shuffle(own)
        rows += own[:most].tolist()
    return np.array(rows, int), known


def load_unlabelled(config: Config, source: str, *, most: int, seed: int) -> np.ndarray:
    """Read up to `most` pictures of a source without identities: uint8 [N, 112, 112, 3]."""
    table = pq.read_table(
        config.prepared_dir / TABLE, filters=[("side", "=", "unlabelled"), ("source", "=", source)]
    )
    rows = np.sort(np.random.default_rng(seed).permutation(len(table))[:most])
    images = table.take(rows)["image"].to_pylist()
    return decode_centres(images) if images else np.zeros((0, CROP, CROP, 3), np.uint8)


def load_pack(config: Config, path: Path, *, people: int = 0) -> Protocol:
    """Read any Parquet of aligned crops: `image` (bytes, or a struct with `bytes`), `identity`.

    Crops are 112x112, or 128x128 with the border of `faces.parquet`. `source` and `face_px` are
    used where there are such columns; rows without an identity are left out. Raises ValueError
    for a crop of another size and for a missing column.
    """
    present = set(pq.read_schema(path).names)
    if missing := {"image", "identity"} - present:
        raise ValueError(f"{path} has no column {sorted(missing)}")
    table = pq.read_table(
        path, columns=sorted(present & {"image", "identity", "source", "face_px"})
    )
    table = table.filter(table["identity"].is_valid())
    names = np.array([str(name) for name in table["identity"].to_pylist()])
    rows, known = choose(
        names,
        people=people,
        most=config.evaluate.pictures_per_person,
        seed=config.evaluate.seed,
    )
    taken = table.take(rows)
    images = [
        item["bytes"] if isinstance(item, dict) else item for item in taken["image"].to_pylist()
    ]
    widths = taken["face_px"].to_pylist() if "face_px" in present else [None] * len(rows)
    sources = taken["source"].to_pylist() if "source" in present else [path.stem] * len(rows)
    numbers = np.searchsorted(known, names[rows])
    return Protocol(
        crops=np.stack(
            [decode_crop(item["bytes"] if isinstance(item, dict) else item) for item in images]
        ),
        person=numbers,
        source=np.array([str(source) for source in sources]),
        face_px=np.array([np.nan if width is None else width for width in widths], float),
        enrolled=split_gallery(numbers),
        names=known,
    )


def decode_crop(data: bytes) -> np.ndarray:
    """Decode an aligned crop to uint8 [112, 112, 3], with or without a border around it."""
    with Image.open(io.BytesIO(data)) as picture:
        rgb = np.asarray(picture.convert("RGB"))
    if rgb.shape == (STORED, STORED, 3):
        return centre(rgb)
    if rgb.shape != (CROP, CROP, 3):
        raise ValueError(f"a crop is {CROP}x{CROP} or {STORED}x{STORED}, not {rgb.shape}")
    return rgb


def load_lighting(path: Path, seed: int) -> tuple[Protocol, np.ndarray]:
    """Read the pack of real lamps; also return each lamp's angle from the camera in degrees.

    Enrolled are pictures with the lamp within 25 degrees, as an owner would take them.
    """
    table = pq.read_table(path)
    files = table["file"].to_pylist()
    identities = np.array(table["identity"].to_pylist())
    names = sorted(set(identities))
    person = np.searchsorted(names, identities)
    angles = np.array([lamp_angle(name) for name in files])
    rng = np.random.default_rng(seed)
    enrolled = np.zeros(len(person), bool)
    for number in range(len(names)):
        frontal = np.nonzero((person == number) & (angles <= 25.0))[0]
        rng.shuffle(frontal)
        enrolled[frontal[: min(ENROLLED, len(frontal) // 2)]] = True
    protocol = Protocol(
        crops=decode_centres(table["image"].to_pylist()),
        person=person,
        source=np.full(len(person), "lighting"),
        face_px=np.full(len(person), np.nan),
        enrolled=enrolled,
        names=names,
    )
    return protocol, angles


def lamp_angle(name: str) -> float:
    """Angle between lamp and camera in degrees, of a file name with A+035E+40 in it."""
    azimuth, elevation = name.split("A", 1)[1].split("E", 1)
    radians = np.deg2rad([float(azimuth), float(elevation[:3])])
    return float(np.rad2deg(np.arccos(np.clip(np.cos(radians).prod(), -1.0, 1.0))))


def templates(embeddings: np.ndarray, person: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Template of each person's embeddings float32 [N, D + 1], as `vision` makes it, and whose."""
    numbers = np.unique(person)
    return np.stack([template(embeddings[person == number]) for number in numbers]), numbers


def qualities(crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Brightness and sharpness of uint8 [N, 112, 112, 3], by the product's own measures."""
    face = Face((0.0, 0.0, 112.0, 112.0), np.zeros((5, 2), np.float32), 1.0)
    measured = [measure(face, crop) for crop in crops]
    return (
        np.array([quality.brightness for quality in measured]),
        np.array([quality.sharpness for quality in measured]),
    )
