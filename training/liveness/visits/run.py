"""Render all visits, let the door see them, and keep what it saw."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from training.common.split import TRAIN
from training.detector.data import Scene, read_scenes
from training.detector.night import NIGHTS, simulate
from training.liveness.data import sides, visitor
from training.liveness.settings import LivenessConfig
from training.liveness.visits.camera import LIGHTS
from training.liveness.visits.kinds import FRAMES, Visit, render
from training.liveness.visits.observe import Observed, enrolled, observe
from training.liveness.visits.people import Person, read_people
from vision import align, load_bundle
from vision.imaging.quality import measure
from vision.networks.bundle import Bundle
from vision.pad import measure_cues
from vision.types import Evidence, Face

ATTACKS = ("print", "still", "video", "cutout", "wall")
OBSERVED = "visits.pkl"

# Real frames of one person in one session, in the order in which they were taken.
Session = list[np.ndarray]

_REAL_FRAMES = 8
_REAL_STEP = 4
_FAR = 0.55
"""What real frames are scaled by to be those of somebody twice as far away."""
_CONDITIONS = (("dim", False), ("infrared", False), ("day", True))
"""Light and distance that real frames are also seen in, simulated, every second visit of them."""
_TAKEN_FROM_SESSION = 10
"""Frames of a session that one replayed video shows."""


@dataclass(frozen=True)
class Job:
    """One visit to be seen. `session` and `start` say which real frames, empty for rendered ones
    except a replay of real ones.
    """  # noqa: D205 - one sentence

    kind: str
    light: str
    side: str
    who: str
    seed: int
    session: str = ""
    start: int = 0
    far: bool = False


def observe_visits(config: LivenessConfig) -> list[Observed]:
    """See every visit, in as many processes as there may be threads; return all that were seen.

    A file in the run's folder keeps them, and what is there is not seen a second time: a run that
    was cut off goes on. Real frames come first.
    """
    _see_all(config, list(_real(config)))
    _see_all(config, list(_pictures(config)))
    _see_all(config, list(_rendered(config)))
    return read_visits(config)


def _see_all(config: LivenessConfig, jobs: list[Job]) -> None:
    path = config.run_dir / OBSERVED
    known: dict[Job, Observed | None] = pickle.loads(path.read_bytes()) if path.is_file() else {}
    missing = [job for job in jobs if config.again or job not in known]
    # Whenever it is cut off, some of every kind are there.
    mixed = [missing[index] for index in np.random.default_rng(1).permutation(len(missing))]
    with get_context("fork").Pool(max(1, config.threads), begin, (config,)) as pool:
        for number, (job, one) in enumerate(pool.imap_unordered(_see_one, mixed, chunksize=2)):
            known[job] = one
            if number % 25 == 24 or number == len(mixed) - 1:
                _keep(path, known)
                print(f"{number + 1} of {len(mixed)} visits", flush=True)


def _keep(path: Path, known: dict[Job, Observed | None]) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(pickle.dumps(known))
    partial.replace(path)


def read_visits(config: LivenessConfig) -> list[Observed]:
    """Return all visits that were seen so far. FileNotFoundError where none were."""
    known = pickle.loads((config.run_dir / OBSERVED).read_bytes())
    return sorted((one for one in known.values() if one), key=lambda one: (one.kind, one.who))


def _see_one(job: Job) -> tuple[Job, Observed | None]:
    return job, _see(job)


def _rendered(config: LivenessConfig) -> Iterator[Job]:
    """Living people of both sides that no network was trained on; attacks with the test side's."""
    validation, test = (
        [(one.who, side) for one in people(config, side)] for side in ("validation", "test")
    )
    mixed = [one for pair in zip(validation, test, strict=False) for one in pair]
    # As many by each light as LIGHTS says, whatever the number.
    lights = np.random.default_rng(config.seed).permutation(
        np.repeat(list(LIGHTS), [round(20 * share) for share in LIGHTS.values()])
    )
    for number, (who, side) in enumerate(mixed[: config.visits_living]):
        yield Job("living", str(lights[number % len(lights)]), side, who, number)
    held_out = sorted(name for name in _sessions(config, live=True) if _side(config, name) != TRAIN)
    for kind_number, kind in enumerate(ATTACKS):
        for number, (who, side) in enumerate(test[: config.visits_attack]):
            # Paper and glass do not look in infrared as they do by day: that is not simulated.
            light = "dim" if number % 4 == 3 else "day"
            seed = 100_000 * (kind_number + 1) + number
            if kind == "video" and number % 2:
                # Real frames of somebody alive, on a screen: the movement is no simulation then.
                name = held_out[(number // 2) % len(held_out)]
                start = (number // 2 // len(held_out)) * _TAKEN_FROM_SESSION
                yield Job(kind, light, "real frames", name[:4], seed, name, start)
            else:
                yield Job(kind, light, side, who, seed)


def _real(config: LivenessConfig) -> Iterator[Job]:
    """Webcam frames of living people and of printed photographs, as they are, and by night."""
    seed = 0
    for live in (True, False):
        kind = "real living" if live else "real print"
        for name, session in _sessions(config, live=live).items():
            side, who = _side(config, name), name[:4]
            for start in range(0, len(session) - _REAL_FRAMES + 1, _REAL_STEP):
                yield Job(kind, "day", side, who, 0, name, start)
                for light, far in _CONDITIONS if start % (2 * _REAL_STEP) == 0 else ():
                    seed += 1
                    yield Job(kind, light, side, who, seed, name, start, far)


PICTURE = "picture of the living"
_SMALLEST = 40.0


def _pictures(config: LivenessConfig) -> Iterator[Job]:
    """Single pictures of living people by many cameras, of sides that no network was trained on."""
    found = 0
    for side in ("validation", "test"):
        for index, scene in enumerate(_read_scenes(config.scenes, side)):
            boxes = scene.labels.boxes[scene.labels.sure]
            widths = boxes[:, 2] - boxes[:, 0]
            if len(widths) and widths.max() >= _SMALLEST and found < config.visits_pictures:
                found += 1
                who = hashlib.sha256(scene.encoded).hexdigest()[:12]
                yield Job(PICTURE, "day", side, who, 0, start=index)


def _look_at(config: LivenessConfig, bundle: Bundle, job: Job) -> Observed | None:
    """Measure a picture's largest face, as a quorum of equal frames; `None` if it is not usable."""
    scene = _read_scenes(config.scenes, job.side)[job.start]
    labels = scene.labels
    sure = np.flatnonzero(labels.sure)
    largest = sure[(labels.boxes[sure, 2] - labels.boxes[sure, 0]).argmax()]
    x1, y1, x2, y2 = (float(value) for value in labels.boxes[largest])
    face = Face((x1, y1, x2, y2), labels.landmarks[largest].astype(np.float32), 1.0)
    rgb = np.asarray(scene.picture())
    try:
        quality = measure(face, align(rgb, face.landmarks))
    except ValueError:
        return None
    cues = measure_cues(bundle.liveness, rgb, face, bundle.antispoofing)
    if cues is None or bundle.quality.problem(quality) is not None:
        return None
    frames = [Evidence(face, quality, cues=cues)] * 3
    return Observed(job.kind, job.light, job.side, job.who, False, frames, len(frames))


@cache
def _read_scenes(path: str, side: str) -> list[Scene]:
    return list(read_scenes(path, side))


def _changed(frames: Sequence[np.ndarray], job: Job) -> list[np.ndarray]:
    """Return real frames in the light and at the distance of a visit."""
    generator = np.random.default_rng(job.seed)
    changed = []
    for rgb in frames:
        if job.far:
            size = (round(rgb.shape[1] * _FAR), round(rgb.shape[0] * _FAR))
            rgb = np.asarray(Image.fromarray(rgb).resize(size))  # noqa: PLW2901 - the same frame
        if job.light != "day":
            rgb = simulate(rgb, NIGHTS[job.light], generator)  # noqa: PLW2901
        changed.append(rgb)
    return changed


def _side(config: LivenessConfig, name: str) -> str:
    subjects = sorted({one[:4] for one in _sessions(config, live=True)})
    return sides(subjects)[name[:4]]


_CONFIG: list[LivenessConfig] = []
_BUNDLE: list[Bundle] = []


def begin(config: LivenessConfig) -> None:
    """Make a process ready to see visits."""
    _CONFIG[:] = [config]
    _BUNDLE[:] = [load_bundle(config.models)]


def worker() -> tuple[LivenessConfig, Bundle]:
    """Return what `begin` gave this process."""
    return _CONFIG[0], _BUNDLE[0]


def _see(job: Job) -> Observed | None:
    """See one visit; `None` where the person who is to be enrolled has no face to find."""
    config, bundle = worker()
    if job.kind == PICTURE:
        return _look_at(config, bundle, job)
    if job.session:
        live = job.kind != "real print"
        session = _sessions(config, live=live)[job.session]
        frames = session[job.start : job.start + _TAKEN_FROM_SESSION]
        template_of = next(
            (one for one in reversed(_faces(config, job.who)) if bundle.detector.detect(one)), None
        )
        if template_of is None or len(frames) < _REAL_FRAMES:
            return None
        face = visitor(bundle.detector.detect(template_of))
        template = enrolled(bundle, template_of, face.landmarks)
        if job.kind != "video":
            seen = _changed(frames[:_REAL_FRAMES], job)
            track, decided = observe(bundle, template, seen, whole=config.visits_whole)
            return Observed(job.kind, job.light, job.side, job.who, job.far, track, decided)
        video = [(rgb, bundle.detector.detect(rgb)) for rgb in frames]
        shown = tuple((rgb, np.array(visitor(faces).box)) for rgb, faces in video if faces)
        box = shown[0][1]
        someone = Person(
            shown[0][0], np.ones(shown[0][0].shape[:2]), box, np.zeros((5, 2)), job.who
        )
        visit = Visit(job.kind, someone, job.light, np.random.default_rng(job.seed), video=shown)
    else:
        someone = person(config, job.who)
        template = enrolled(bundle, someone.rgb, someone.landmarks)
        visit = Visit(job.kind, someone, job.light, np.random.default_rng(job.seed), FRAMES)
    track, decided = observe(bundle, template, render(visit), whole=config.visits_whole)
    return Observed(job.kind, job.light, job.side, job.who, job.far, track, decided)


@cache
def _read_people(scenes: str, mattes: str, side: str) -> tuple[Person, ...]:
    return tuple(read_people(scenes, mattes, side))


def people(config: LivenessConfig, side: str) -> tuple[Person, ...]:
    """Return a side's people, read once a process."""
    return _read_people(config.scenes, config.mattes, side)


def person(config: LivenessConfig, who: str) -> Person:
    """Return one of them by name."""
    both = (*people(config, "validation"), *people(config, "test"))
    return next(one for one in both if one.who == who)


@cache
def _read_sessions(spoof: str, live: bool) -> dict[str, list[bytes]]:
    rows = pq.read_table(spoof, columns=["image", "label", "file"]).to_pylist()
    found: dict[str, list[tuple[int, bytes]]] = {}
    for row in rows:
        if (row["label"] == "live") == live:
            session, _, number = Path(row["file"]).stem.rpartition("_")
            found.setdefault(session, []).append((int(number), row["image"]))
    return {name: [image for _, image in sorted(found[name])] for name in sorted(found)}


@cache
def _decoded(spoof: str, live: bool, name: str) -> list[np.ndarray]:
    return [
        np.asarray(Image.open(io.BytesIO(image)).convert("RGB"))
        for image in _read_sessions(spoof, live)[name]
    ]


def _sessions(config: LivenessConfig, *, live: bool) -> dict[str, Session]:
    names = _read_sessions(config.spoof, live)
    return {name: _decoded(config.spoof, live, name) for name in names}


def _faces(config: LivenessConfig, subject: str) -> Session:
    """Return a living subject's frames, the last session's last."""
    return [
        rgb
        for name, frames in _sessions(config, live=True).items()
        if name.startswith(subject)
        for rgb in frames
    ]
