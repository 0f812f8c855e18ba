"""Faces with their surroundings: living ones, photographs of photographs, and their split."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from torch import Tensor

from training.common.pictures import jpeg
from training.common.split import TEST, TRAIN, VALIDATION, side_of
from training.detector.data import read_scenes
from training.liveness.attacks import ATTACKS, camera
from training.liveness.model import ENLARGED, SIDE
from vision.detector import Detector

STORED = 224
"""Pixels of a stored patch: twice the network's, so that moire and tilt are made before shrinking.
"""

FOLDS = 3


@dataclass(frozen=True)
class Patch:
    """The surroundings of a face: `rgb` uint8[224,224,3], `live` or an attack, and whose it is."""

    rgb: np.ndarray
    live: bool
    who: str


def surroundings(rgb: np.ndarray, box: np.ndarray, side: int = STORED) -> np.ndarray:
    """Cut the square of 2.7 times the box's longer side, moved and shrunk to lie in the picture.

    `rgb` uint8[H,W,3], `box` x1, y1, x2, y2; returns uint8[side,side,3]. Nothing is padded, because
    a padded edge looks like a sheet's.
    """
    height, width = rgb.shape[:2]
    x1, y1, x2, y2 = (float(value) for value in box)
    span = min(ENLARGED * max(x2 - x1, y2 - y1), height, width)
    left = min(max((x1 + x2 - span) / 2, 0), width - span)
    top = min(max((y1 + y2 - span) / 2, 0), height - span)
    picture = Image.fromarray(rgb).resize(
        (side, side), Image.Resampling.BILINEAR, box=(left, top, left + span, top + span)
    )
    return np.asarray(picture)


def sides(subjects: list[str], fold: int = -1) -> dict[str, str]:
    """Return each subject's side: train, validation or test.

    By the hash of the name where `fold` is -1. Otherwise the subjects, in the order of their
    hashes, are dealt into three: part `fold` is the test, two of the others validate.
    """
    if fold < 0:
        return {one: side_of(f"nuaa/{one}", len(subjects)) for one in subjects}
    order = sorted(set(subjects), key=lambda one: hashlib.sha256(f"nuaa/{one}".encode()).digest())
    test = order[fold::FOLDS]
    rest = [one for one in order if one not in test]
    return {
        **dict.fromkeys(rest[2:], TRAIN),
        **dict.fromkeys(rest[:2], VALIDATION),
        **dict.fromkeys(test, TEST),
    }


def read_webcam(
    path: Path | str, detector: Detector, split: str, fold: int
) -> tuple[list[Patch], int]:
    """Return the patches of one side's frames, and in how many frames no face was found."""
    rows = pq.read_table(str(path), columns=["image", "label", "subject"]).to_pylist()
    side = sides([row["subject"] for row in rows], fold)
    patches, missed = [], 0
    for row in rows:
        if side[row["subject"]] != split:
            continue
        rgb = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
        faces = detector.detect(rgb)
        if not faces:
            missed += 1
            continue
        # Others sit in the background: the visitor is the nearest.
        box = max((np.asarray(face.box) for face in faces), key=lambda one: one[2] - one[0])
        patches.append(Patch(surroundings(rgb, box), row["label"] == "live", row["subject"]))
    return patches, missed


def read_living(path: Path | str, split: str) -> list[Patch]:
    """Return the patches of the largest labelled face of each scene on one side."""
    patches = []
    for index, scene in enumerate(read_scenes(path, split)):
        sure = scene.labels.boxes[scene.labels.sure]
        if len(sure):
            box = sure[(sure[:, 2] - sure[:, 0]).argmax()]
            rgb = np.asarray(scene.picture())
            patches.append(Patch(surroundings(rgb, box), True, f"{split}/{index}"))
    return patches


def attacked(patches: list[Patch], behind: list[Patch], kind: str, seed: int) -> list[Patch]:
    """Return a simulated attack of one kind on every living patch, the same for the same seed."""
    made = []
    for index, patch in enumerate(patches):
        if patch.live:
            generator = np.random.default_rng([seed, index])
            ground = _elsewhere(behind[generator.integers(len(behind))].rgb, generator)
            rgb = ATTACKS[kind](patch.rgb, ground, generator)
            made.append(Patch(jpeg(rgb, 85), False, patch.who))
    return made


def shrink(rgb: np.ndarray) -> np.ndarray:
    """Return the network's uint8[112,112,3] of a stored patch."""
    return np.asarray(Image.fromarray(rgb).resize((SIDE, SIDE), Image.Resampling.BOX))


class SampleMaker:
    """Makes training samples: half are living; the attacks are real and simulated."""

    def __init__(
        self, webcam: list[Patch], living: list[Patch], night_share: float, *, real_attacks: bool
    ) -> None:
        self._groups = {
            "webcam": [patch for patch in webcam if patch.live],
            "living": living,
            "real": [patch for patch in webcam if not patch.live] if real_attacks else [],
        }
        self._night_share = night_share
        if not self._groups["webcam"]:
            message = "no living face from the webcam"
            raise ValueError(message)

    def make(self, generator: np.random.Generator) -> tuple[np.ndarray, bool]:
        """Return uint8[112,112,3] and whether it is alive."""
        source = self._pick(generator, "living" if generator.random() < 0.5 else "webcam")
        live = bool(generator.random() < 0.5)
        if live:
            rgb = source
        elif self._groups["real"] and generator.random() < 0.4:
            rgb = self._pick(generator, "real")
        else:
            kind = list(ATTACKS)[generator.integers(len(ATTACKS))]
            behind = self._pick(generator, "living" if generator.random() < 0.5 else "webcam")
            rgb = ATTACKS[kind](source, _elsewhere(behind, generator), generator)
        rgb = _jittered(rgb, generator)
        if generator.random() < 0.5:
            rgb = rgb[:, ::-1]
        return camera(shrink(rgb), generator, self._night_share), live

    def _pick(self, generator: np.random.Generator, group: str) -> np.ndarray:
        patches = self._groups[group] or self._groups["webcam"]
        return patches[generator.integers(len(patches))].rgb


def _elsewhere(rgb: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a random corner of a patch, enlarged: a background that has no face in its middle."""
    side = rgb.shape[0]
    span = generator.uniform(0.3, 0.6) * side
    left, top = generator.choice([0.0, 1.0], 2) * (side - span)
    box = (left, top, left + span, top + span)
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR, box=box))


def _jittered(rgb: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Move and enlarge a patch as boxes of one face differ from frame to frame."""
    side = rgb.shape[0]
    span = generator.uniform(0.82, 1.0) * side
    left, top = generator.uniform(0, side - span, 2)
    box = (left, top, left + span, top + span)
    return np.asarray(Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR, box=box))


def batches(maker: SampleMaker, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield float32[N,3,112,112] in 0..255 and float32[N] of 1 for alive, without end."""
    generator = np.random.default_rng(seed)
    while True:
        made = [maker.make(generator) for _ in range(size)]
        image = np.stack([rgb for rgb, _ in made]).astype(np.float32)
        live = np.array([alive for _, alive in made], dtype=np.float32)
        yield torch.from_numpy(image).permute(0, 3, 1, 2), torch.from_numpy(live)
