"""Willing people before a webcam, on several days: what an owner at a door is like.

Celebrities photographed over decades say how recognition ages; these say what somebody meets who
was enrolled weeks ago and looks at the camera. A pack has `image`, `label` (only `live` counts),
`subject` and `file`, SUBJECT_glasses_light_SESSION_NUMBER: frames of a session in order of time.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from training.common import product
from training.common.pictures import BORDER, centre
from training.verifier import gallery, metrics
from training.verifier.augment import in_condition
from training.verifier.conditions import CLEAN, acceptable
from training.verifier.config import Config
from training.verifier.embedders import Embed
from vision.imaging.align import align

CACHE = "webcam-frames.npz"
NAME = "webcam"


@dataclass(frozen=True)
class Webcam:
    """Crops uint8 [N, 128, 128, 3] of frames in order of subject, session and time.

    They have the border that training shifts and turns them in; `crops` are without. `subject` and
    `session` are int [N], `number` int [N] the frame's own number in its session.
    """

    stored: np.ndarray
    subject: np.ndarray
    session: np.ndarray
    number: np.ndarray
    face_px: np.ndarray

    @property
    def crops(self) -> np.ndarray:
        """What a recogniser gets of each frame: uint8 [N, 112, 112, 3]."""
        return centre(self.stored)

    @property
    def first_session(self) -> np.ndarray:
        """Which frames are of their subject's first session: bool [N]."""
        first = {who: self.session[self.subject == who].min() for who in np.unique(self.subject)}
        return self.session == np.array([first[who] for who in self.subject])


def load(config: Config) -> Webcam | None:
    """Find and align the faces with the bundle, once; None where the settings name no pack."""
    if not config.evaluate.webcam_pack:
        return None
    pack = Path(config.data) / config.evaluate.webcam_pack
    cache = config.prepared_dir / CACHE
    if cache.is_file() and cache.stat().st_mtime > pack.stat().st_mtime:
        with np.load(cache) as kept:
            return Webcam(**kept)
    table = pq.read_table(pack, filters=[("label", "=", "live")])
    detect = product.detector().detect
    rows: list[tuple[int, int, int]] = []
    crops, widths = [], []
    order = sorted(table.to_pylist(), key=lambda row: _place(row["file"]))
    for row in order:
        with Image.open(io.BytesIO(row["image"])) as picture:
            rgb = np.asarray(picture.convert("RGB"))
        # Others sit in the background.
        face = max(detect(rgb), key=lambda face: face.width, default=None)
        if face is not None:
            rows.append(_place(row["file"]))
            crops.append(align(rgb, face.landmarks, border=BORDER))
            widths.append(face.width)
    subject, session, number = np.array(rows).T
    kept = {
        "stored": np.stack(crops),
        "subject": subject,
        "session": session,
        "number": number,
        "face_px": np.array(widths),
    }
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, **kept)
    return Webcam(**kept)


def _place(file: str) -> tuple[int, int, int]:
    """Return subject, session and number of a frame by its name."""
    subject, *_, session, number = Path(file).stem.split("_")
    return int(subject), int(session), int(number)


def impostors(config: Config, embed: Embed, people: Webcam) -> Iterator[tuple[str, metrics.Trials]]:
    """Yield trials of frames against the people enrolled, by condition; few people, to be watched.

    Everybody is enrolled with frames of their first session; the frames of all sessions come.
    """
    enrolled = enrolment(people, people.first_session)
    templates, owner = gallery.templates(embed(people.crops[enrolled]), people.subject[enrolled])
    rest = np.setdiff1d(np.arange(len(people.crops)), enrolled)
    for condition in (CLEAN, *config.calibrate.night):
        crops = in_condition(people.crops[rest], condition, config.evaluate.seed)
        usable = acceptable(config, crops, people.face_px[rest])
        if usable.any():
            probes, person = embed(crops[usable]), people.subject[rest[usable]]
            yield f"{condition}, {NAME}", metrics.collect(templates, owner, probes, person)


def enrolment(people: Webcam, chosen: np.ndarray) -> np.ndarray:
    """Return the rows that enrol each subject: frames of `chosen` bool [N], spread over time."""
    rows = []
    for subject in np.unique(people.subject[chosen]):
        own = np.nonzero(chosen & (people.subject == subject))[0]
        spread = np.linspace(0, len(own) - 1, min(gallery.ENROLLED, len(own)))
        rows += own[spread.astype(int)].tolist()
    return np.unique(rows)
