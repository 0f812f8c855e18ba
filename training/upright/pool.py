"""What is learnt from: crops as the bundle's detector aligns them, upright or wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from training.common import product
from training.common.pictures import BORDER, STORED
from training.detector import night
from training.upright.data import (
    RIGHT,
    Shown,
    Subject,
    cut,
    error_of,
    found_of,
    of_crops,
    of_frames,
    of_scenes,
    show,
)
from training.upright.model import ROOM
from training.upright.settings import UprightConfig
from vision.imaging.align import TEMPLATE, similarity_transform
from vision.imaging.quality import luma
from vision.networks.detector import Detector
from vision.networks.upright import MAX_OUTSIDE, MAX_ROLL, roll
from vision.types import Face

_LOGGER = logging.getLogger(__name__)

# Faces below the bundle's score are no evidence at the door, but what they look like is worth
# learning.
_SCORE = 0.5
# The least and the greatest width of a face in the picture that is searched, in pixels.
_WIDTHS = (30.0, 125.0)
_UPRIGHT_SHARE = 0.4
_CUT_SHARE = 0.2
_NEGATIVE_SHARE = 0.05
# Degrees. Between upright and turned nothing is learnt.
_UPRIGHT_TO, _TURNED_FROM = 45.0, 58.0
_ASKEW = 38.0
# This share of turned faces is turned by little more or little less than that.
_NEARLY_SHARE, _NEARLY = 0.3, 30.0
# Mean luma of a crop; the bundle's limit for evidence is 20.
_DARKEST = 15.0
# Times that a face is shown in a row, each time in another way: it is decoded once.
_IN_A_ROW = 4
_PART = 2000


def pool(config: UprightConfig, side: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a side's crops in grey with a border, uint8[N,64,64], and who is upright, bool[N].

    They are made in parts, which are kept in the run's folder: an interrupted run goes on.
    """
    share = 1.0 if side == "train" else 0.2
    counts = {
        "scenes": config.scene_samples,
        "crops": config.crop_samples if config.crops else 0,
        "webcam": config.frame_samples if config.webcam else 0,
    }
    folder = config.run_dir / "pool"
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for number, (source, count) in enumerate(counts.items()):
        wanted = round(count * share)
        files = [folder / f"{side}-{source}-{part}.npz" for part in range(-(-wanted // _PART))]
        missing = [index for index, file in enumerate(files) if config.again or not file.is_file()]
        if missing:
            detector = product.detector(Path(config.models), score_threshold=_SCORE)
            subjects = _subjects(config, source, side, detector)
        for index in missing:
            seed = [config.seed, *side.encode(), number, index]
            size = min(_PART, wanted - index * _PART)
            _keep(files[index], samples(subjects, detector, size, config.night_share, seed))
            _LOGGER.info("%s", files[index].name)
        for file in files:
            with np.load(file) as stored:
                parts.append((stored["crops"], stored["upright"]))
    crops, upright = zip(*parts, strict=True)
    return np.concatenate(crops), np.concatenate(upright)


def _subjects(config: UprightConfig, source: str, side: str, detector: Detector) -> list[Subject]:
    if source == "scenes":
        return of_scenes(config.scenes, side)
    if source == "crops":
        return of_crops(config.crops, side, config.crop_samples, config.seed)
    return of_frames(config.webcam, side, detector, config.frame_samples, config.seed)


def _keep(path: Path, made: Iterator[tuple[np.ndarray, bool]]) -> None:
    pairs = list(made)
    crops = np.array([crop for crop, _ in pairs], np.uint8).reshape(-1, ROOM, ROOM)
    np.savez(path, crops=crops, upright=np.array([fits for _, fits in pairs], bool))


def samples(
    subjects: Sequence[Subject],
    detector: Detector,
    count: int,
    night_share: float,
    seed: int | Sequence[int],
) -> Iterator[tuple[np.ndarray, bool]]:
    """Show `count` faces; yield what is found of them, uint8[64,64], and whether it is upright.

    Upright are heads tilted by up to 45 degrees whose landmarks are about right. Not so are heads
    turned by 58 degrees and more that got landmarks of an upright face, negatives, and faces of
    which the picture's border hides an eye, the nose or a corner of the mouth.
    """
    generator = np.random.default_rng(seed)
    # A small pack may have nobody on a side.
    for number in range(count if subjects else 0):
        if number % _IN_A_ROW == 0:
            subject = subjects[int(generator.integers(len(subjects)))]
        upright = bool(generator.random() < _UPRIGHT_SHARE)
        degrees = _degrees(upright, subject.is_crop, generator)
        width = float(np.exp(generator.uniform(*np.log(_WIDTHS))))
        shown = show(subject, degrees, width, generator)
        if generator.random() < _CUT_SHARE:
            shown = cut(shown, generator)
        pixels = night.recolour(shown.pixels, generator)
        negative = bool(generator.random() < _NEGATIVE_SHARE)
        pixels = night.degrade(255 - pixels if negative else pixels, generator, night_share)
        for face in found_of(detector, shown, pixels)[:1]:
            fits = label(face, shown, upright=upright, negative=negative)
            crop = None if fits is None else bordered(pixels, face)
            if crop is not None and crop.mean() >= _DARKEST:
                yield crop, bool(fits)


def label(face: Face, shown: Shown, *, upright: bool, negative: bool) -> bool | None:
    """Say whether a found face is to count as upright; None where that is a matter of taste."""
    if negative or shown.outside > MAX_OUTSIDE:
        return False
    if shown.outside > 0:
        return None
    if upright:
        return True if error_of(face, shown) < RIGHT else None
    # Landmarks that lie askew refuse a face by themselves.
    return False if abs(roll(face.landmarks)) <= MAX_ROLL else None


def bordered(pixels: np.ndarray, face: Face) -> np.ndarray | None:
    """Align a face as the door does, with a border of 8 pixels; grey at half size, uint8[64,64].

    None where its landmarks fall on one point.
    """
    try:
        matrix = similarity_transform(face.landmarks, TEMPLATE + np.float32(BORDER))
    except ValueError:
        return None
    inverse = np.linalg.inv(np.vstack([matrix.astype(np.float64), [0.0, 0.0, 1.0]]))[:2]
    inverse[:, 2] += 0.5 - 0.5 * (inverse[:, 0] + inverse[:, 1])
    crop = Image.fromarray(pixels).transform(
        (STORED, STORED), Image.Transform.AFFINE, tuple(inverse.ravel()), Image.Resampling.BILINEAR
    )
    half = luma(np.asarray(crop)).reshape(ROOM, 2, ROOM, 2).mean(axis=(1, 3))
    grey: np.ndarray = np.rint(half).astype(np.uint8)
    return grey


def _degrees(upright: bool, crop: bool, generator: np.random.Generator) -> float:
    if upright:
        most = _ASKEW if crop else _UPRIGHT_TO
        return float(generator.uniform(-most, most))
    if generator.random() < _NEARLY_SHARE:
        nearly = _TURNED_FROM + float(generator.uniform(0, _NEARLY))
        return nearly if generator.random() < 0.5 else 360 - nearly
    if crop:
        # The corners of a stored crop show how it lies: they must lie so in upright ones as well.
        quarter = generator.choice([90, 180, 180, 270])
        return float(
            np.clip(quarter + generator.uniform(-_ASKEW, _ASKEW), _TURNED_FROM, 360 - _TURNED_FROM)
        )
    return float(generator.uniform(_TURNED_FROM, 360 - _TURNED_FROM))
