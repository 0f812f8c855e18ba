"""All views that training and measuring look at, made once: simulating costs more than learning.

A view is what the network sees of one face, uint8[2,112,112,3]
(`vision.networks.liveness.views`), living or attacked, by day or by simulated night. Every view is
made from pictures of one subject or scene alone, with backgrounds from the training side's scenes,
so that folds can pick theirs from one pool and stay apart.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from training.common.pictures import jpeg
from training.common.split import TRAIN
from training.detector import night
from training.detector.evaluate import open_detector
from training.liveness.attacks import ATTACKS, Scene
from training.liveness.data import Source, read_living, read_webcam, sides
from training.liveness.settings import LivenessConfig
from vision.networks.liveness import SIDE, views

_LOGGER = logging.getLogger(__name__)

LIVE, PRINT = "live", "print"
"""Kinds that were photographed; all others are simulated."""

PACKS = ("webcam", "scenes")

DAY = "day"
FAR = "far"
CONDITIONS = ("dim", "dark", "infrared", FAR)
"""Other than by day: what the real frames are measured under, too."""

# Faces of a far visitor, in pixels: near the least that the door recognises.
_FAR_PX = 48.0
# No face larger than this adds anything: the network sees it on 112 pixels.
_NEAR_PX = 125.0
# Copies made for training of each photographed face, and simulated attacks of each kind.
_COPIES = {"webcam": (4, 2), "scenes": (3, 2)}
_CLOSE_SHARE = 0.2
# Of the nights, half are infrared: most door cameras switch to it.
_INFRARED_SHARE = 0.5
_FACE_SCORE = 0.6
# Change it with anything that changes the views.
_REVISION = 1


@dataclass(frozen=True)
class Pool:
    """Views uint8[N,2,112,112,3] and what they are, each str[N].

    `purpose` train or measure; `kind` live, print (real), or a simulated attack; `pack` webcam or
    scenes; `who` the subject or scene; `side` of scenes; `condition` by day or otherwise.
    """

    views: np.ndarray
    purpose: np.ndarray
    kind: np.ndarray
    pack: np.ndarray
    who: np.ndarray
    side: np.ndarray
    condition: np.ndarray
    missed: int
    """Webcam frames in which no face was found."""

    def on(self, side: str, fold: int) -> np.ndarray:
        """Return bool[N]: the views of one side, the subjects' as `sides` deals them."""
        webcam = self.pack == "webcam"
        dealt = sides([str(who) for who in np.unique(self.who[webcam])], fold)
        of_subject = np.array([dealt.get(who, "") == side for who in self.who], bool)
        return np.where(webcam, of_subject, self.side == side)


Made = tuple[np.ndarray, str, str, str, str, str, str]


def open_pool(config: LivenessConfig, folder: Path) -> Pool:
    """Return the pool kept in `folder`, made anew where it was made from something else."""
    described = {
        "revision": _REVISION,
        "seed": config.seed,
        "night_share": config.night_share,
        **{Path(one).name: Path(one).stat().st_size for one in (config.spoof, config.scenes)},
    }
    table = folder / "pool.json"
    if table.is_file():
        stored = json.loads(table.read_text())
        if stored["described"] == described:
            return Pool(
                views=np.load(folder / "pool.npy", mmap_mode="r"),
                missed=stored["missed"],
                **{key: np.array(values) for key, values in stored["columns"].items()},
            )
    folder.mkdir(parents=True, exist_ok=True)
    pool = make_pool(config)
    np.save(folder / "pool.npy", pool.views)
    names = [one.name for one in fields(Pool) if one.name not in {"views", "missed"}]
    columns = {name: getattr(pool, name).tolist() for name in names}
    table.write_text(
        json.dumps({"described": described, "missed": pool.missed, "columns": columns})
    )
    return pool


def make_pool(config: LivenessConfig) -> Pool:
    """Read the packs and make every view."""
    webcam, missed = read_webcam(config.spoof, open_detector(config.detector, _FACE_SCORE))
    living = read_living(config.scenes)
    behind = [one.scene.rgb for one in living if one.side == TRAIN]
    sources = [*webcam, *living]
    made: list[Made] = []
    for number, source in enumerate(sources):
        made += of_source(source, behind, [config.seed, number], config.night_share)
        if number % 100 == 0:
            _LOGGER.info("pool: %d of %d faces", number, len(sources))
    found, *columns = zip(*made, strict=True)
    names = ("purpose", "kind", "pack", "who", "side", "condition")
    arrays: dict[str, Any] = {
        name: np.array(values) for name, values in zip(names, columns, strict=True)
    }
    return Pool(views=np.stack(found), missed=missed, **arrays)


def of_source(
    source: Source, behind: list[np.ndarray], seed: list[int], night_share: float
) -> Iterator[Made]:
    """Yield the views of one face: those to learn from, and those to measure."""
    kind = LIVE if source.live else PRINT
    about = (source.pack, source.who, source.side)
    if source.side in {"", TRAIN}:
        copies, attacks = _COPIES[source.pack]
        generator = np.random.default_rng([*seed, 0])
        for one in [kind] * copies + ([*ATTACKS] * attacks if source.live else []):
            scene = placed(source.scene, generator)
            if one in ATTACKS:
                close = bool(generator.random() < _CLOSE_SHARE)
                scene = _attack(one, scene, behind, generator, close=close)
            view, condition = seen(scene, generator, night_share)
            yield view, "train", one, *about, condition
    if source.side == TRAIN:
        return
    generator = np.random.default_rng([*seed, 1])
    yield cut(source.scene), "measure", kind, *about, DAY
    # One of the conditions, and each attack with or without an edge, in turn.
    turn = seed[-1]
    condition = CONDITIONS[turn % len(CONDITIONS)]
    yield cut(CHANGES[condition](source.scene, generator)), "measure", kind, *about, condition
    for attack in ATTACKS if source.live else ():
        close = turn % 2 == 1
        scene = _attack(attack, source.scene, behind, generator, close=close)
        scene = Scene(jpeg(scene.rgb, 85), scene.box)
        yield cut(scene), "measure", f"{attack}, close" if close else attack, *about, DAY


def cut(scene: Scene) -> np.ndarray:
    """Return what the network sees, uint8[2,112,112,3]."""
    x1, y1, x2, y2 = (float(value) for value in scene.box)
    return views(scene.rgb, (x1, y1, x2, y2))


def placed(scene: Scene, generator: np.random.Generator) -> Scene:
    """Return the scene mirrored or not, its face between far and as near as it was."""
    near = min(scene.face, _NEAR_PX)
    far = min(_FAR_PX, near)
    size = float(np.exp(generator.uniform(np.log(far), np.log(near * 1.3))))
    scene = scene.at(min(size, near) / scene.face)
    return flipped(scene) if generator.random() < 0.5 else scene


def seen(
    scene: Scene, generator: np.random.Generator, night_share: float
) -> tuple[np.ndarray, str]:
    """Return a training view as the door's camera might see it, and "day" or "night".

    Where the box lies, light, focus, night and JPEG differ.
    """
    rgb = night.recolour(scene.rgb, generator)
    condition = DAY
    if generator.random() < night_share:
        condition = "night"
        one = night.random_night(generator)
        if generator.random() < _INFRARED_SHARE:
            one = night.Night(one.photons, max(one.exposure, 0.15), one.read_noise, infrared=True)
        rgb = night.simulate(rgb, one, generator)
    else:
        rgb = night.degrade(rgb, generator, 0.0)
    moved = scene.box + scene.face * np.tile(generator.normal(0, 0.04, 2), 2)
    grown = scene.face * generator.normal(0, 0.05) / 2
    return cut(Scene(rgb, moved + np.array([-grown, -grown, grown, grown]))), condition


def flipped(scene: Scene) -> Scene:
    """Return the mirrored scene."""
    width = scene.rgb.shape[1]
    box = np.array([width - scene.box[2], scene.box[1], width - scene.box[0], scene.box[3]])
    return Scene(np.ascontiguousarray(scene.rgb[:, ::-1]), box)


def _night(name: str) -> Callable[[Scene, np.random.Generator], Scene]:
    def change(scene: Scene, generator: np.random.Generator) -> Scene:
        return Scene(night.simulate(scene.rgb, night.NIGHTS[name], generator), scene.box)

    return change


def _far(scene: Scene, _generator: np.random.Generator) -> Scene:
    return scene.at(min(_FAR_PX / scene.face, 1.0))


CHANGES = {name: _far if name == FAR else _night(name) for name in CONDITIONS}


def _attack(
    kind: str,
    scene: Scene,
    behind: list[np.ndarray],
    generator: np.random.Generator,
    *,
    close: bool,
) -> Scene:
    ground = _elsewhere(behind[generator.integers(len(behind))], generator)
    return ATTACKS[kind](scene, ground, generator, close)


def _elsewhere(rgb: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return a random corner of a picture: a background that has no face in its middle."""
    height, width = rgb.shape[:2]
    part = generator.uniform(0.3, 0.6)
    left, top = generator.choice([0.0, 1.0], 2) * (1 - part) * np.array([width, height])
    box = (left, top, left + part * width, top + part * height)
    resized = Image.fromarray(rgb).resize((2 * SIDE, 2 * SIDE), Image.Resampling.BILINEAR, box=box)
    return np.asarray(resized)
