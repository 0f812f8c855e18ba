"""How a picture on a wall and a person who stands still are told apart, and both errors.

    .venv-training/bin/python benchmarks/scene.py --data DIR [--part PART] [--subjects 9]

DIR holds `spoof.parquet` (NUAA): webcam frames of people who were asked to hold still, about half a
second apart, up to 25 seconds a session. They are the living; one frame of each subject, over and
over under the noise, the exposure and the compression of a simulated camera, is the picture on the
wall. All goes through the code that runs at the door (`vision/tracking/scene.py`).
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "custom_components" / "face_lock")]

from training.common.camera import LIGHTS, Light, take, to_linear, to_srgb  # noqa: E402
from training.common.pictures import jpeg  # noqa: E402
from vision import Bundle, Face, Frame, Scene, gallery_matcher, load_bundle, recognise  # noqa: E402
from vision.pipeline.usable import look_at  # noqa: E402
from vision.tracking.place import Picture  # noqa: E402
from vision.types import FloatArray, RgbImage  # noqa: E402

RATE = 20.0
"""Frames per second of the recordings."""
LEFT = 8.0
"""Seconds of a session that have to be left for a frame of it to be a beginning."""
STAY = 600.0
"""Seconds for which somebody stands still."""
FAR = 0.45
OPEN = 100
LOOKS = 20
"""Pictures of what hangs on the wall: one a second while the gate is open, then one a minute."""


@dataclass(frozen=True)
class Condition:
    """How a camera sees: the simulated light (None: as it was), the scale, JPEG's quality."""

    light: str | None = None
    scale: float = 1.0
    quality: int = 75
    shake: float = 0.0
    """Pixels by which the whole picture moves."""


CONDITIONS = {
    "by day": Condition(),
    "by day, far": Condition(scale=FAR),
    "by day, far, much compressed": Condition(scale=FAR, quality=45),
    "dim": Condition("dim"),
    "dim, far": Condition("dim", FAR),
    "dark": Condition("dark"),
}
SHAKEN = {"by day, far, a camera that shakes by half a pixel": Condition(scale=FAR, shake=0.5)}


def see(rgb: RgbImage, how: Condition, rng: np.random.Generator, gain: float = 1.0) -> RgbImage:
    """Take one picture of a scene."""
    image = Image.fromarray(rgb)
    if how.scale != 1.0:
        size = (round(image.width * how.scale), round(image.height * how.scale))
        image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if how.shake:
        x, y = rng.uniform(-how.shake, how.shake, 2)
        image = image.transform(
            image.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BICUBIC
        )
    small = np.asarray(image)
    if how.light is None:
        noisy = small * gain + rng.normal(0, 1.5, small.shape)
        return jpeg(noisy.clip(0, 255).astype(np.uint8), how.quality)
    light = LIGHTS[how.light]
    wavering = gain * float(np.exp(rng.normal(0, 0.03)))
    dimmed = Light(light.electrons, light.shown * wavering, light.read_noise)
    return jpeg(take(small, dimmed, rng), how.quality)


def read_sessions(data: Path) -> dict[str, list[tuple[float, RgbImage]]]:
    """Return each session's living frames, with their seconds."""
    rows = pq.read_table(data / "spoof.parquet", columns=["image", "label", "file"]).to_pylist()
    found: dict[str, list[tuple[float, RgbImage]]] = {}
    for row in rows:
        if row["label"] == "live":
            session, _, number = Path(row["file"]).stem.rpartition("_")
            rgb = np.asarray(Image.open(io.BytesIO(row["image"])).convert("RGB"))
            found.setdefault(session, []).append((int(number) / RATE, rgb))
    return {name: sorted(found[name], key=lambda one: one[0]) for name in sorted(found)}


Found = tuple[list[Face], list[FloatArray | None]]


def find(bundle: Bundle, rgb: RgbImage) -> Found:
    """Find the widest face of a picture, and embed it."""
    faces = sorted(bundle.detector.detect(rgb), key=lambda face: -face.width)[:1]
    embeddings: list[FloatArray | None] = []
    for face in faces:
        crop, _, problem = look_at(bundle, rgb, face)
        embeddings.append(None if problem else bundle.verifier.embed(crop[np.newaxis])[0])
    return faces, embeddings


def show(scene: Scene, bundle: Bundle, frame: Frame, found: Found) -> bool | None:
    """Let a scene see a frame; return whether its face is no visitor, None without one."""
    faces, embeddings = found
    model = bundle.verifier.model
    still = scene.still(frame, faces, model)
    rest = [index for index, pinned in enumerate(still) if not pinned]
    known = scene.known([faces[i] for i in rest], [embeddings[i] for i in rest], model)
    return None if not faces else any(still) or any(known)


def quantiles(values: list[float]) -> str:
    """Describe how long something took."""
    if not values:
        return "-"
    median, most, nearly = np.quantile(values, [0.5, 0.9, 0.99])
    return f"{median:.1f} (90 %: {most:.1f}, 99 %: {nearly:.1f}, longest {max(values):.1f})"


def living(bundle: Bundle, sessions: dict[str, list[tuple[float, RgbImage]]]) -> None:
    """Measure how long the living keep still, and how long they are taken for furniture."""
    for name, how in CONDITIONS.items():
        rng = np.random.default_rng(1)
        moved, heard, deaf, begun = [], [], 0, 0
        for frames in sessions.values():
            taken = [(at, see(rgb, how, rng)) for at, rgb in frames]
            found = [find(bundle, rgb) for _, rgb in taken]
            for first in range(len(taken)):
                if taken[-1][0] - taken[first][0] < LEFT or not found[first][0]:
                    continue
                begun += 1
                moved.append(_first_move(taken[first:], found[first][0][0]))
                after = _heard(bundle, taken[first:], found[first:])
                deaf += after is None
                heard += [] if after is None else [after]
        print(f"living, {name}: {begun} beginnings; seconds until the first movement "
              f"{quantiles(moved)}; in view at the start, seconds until a visitor "
              f"{quantiles(heard)}, not within the session {deaf}", flush=True)  # fmt: skip


def _first_move(taken: list[tuple[float, RgbImage]], face: Face) -> float:
    began = taken[0][0]
    place = Picture(Frame(taken[0][1], began)).place(face, resting=False)
    for at, rgb in taken[1:]:
        if place is None or Picture(Frame(rgb, at)).unmoved(place) is False:
            return at - began
    return taken[-1][0] - began


def _heard(bundle: Bundle, taken: list[tuple[float, RgbImage]], found: list[Found]) -> float | None:
    """Return after how long somebody is a visitor who is there in the first picture."""
    scene, began = Scene(), taken[0][0]
    for (at, rgb), faces in zip(taken, found, strict=True):
        if show(scene, bundle, Frame(rgb, at), faces) is False:
            return at - began
    return None


def standing(bundle: Bundle, sessions: dict[str, list[tuple[float, RgbImage]]]) -> None:
    """Let each session's person stand there for ten minutes, forth and back through the frames."""
    for name in ("by day", "dim, far"):
        how = CONDITIONS[name]
        rng = np.random.default_rng(2)
        rested, learnt, silent, pictures = [], 0, 0, 0
        for who, frames in sessions.items():
            found = [find(bundle, see(rgb, how, rng)) for _, rgb in frames]
            scene, now, before = Scene(), 0.0, frames[0][0]
            scene.moved(now)
            for index in _forth_and_back(len(frames)):
                at, rgb = frames[index]
                now += max(abs(at - before), 0.2)
                before = at
                if now > STAY:
                    break
                answer = show(scene, bundle, Frame(see(rgb, how, rng), now), found[index])
                pictures += 1
                silent += answer is True
                if answer is True and who not in rested:
                    rested.append(who)
            learnt += bool(scene.fixtures)
        print(f"living, ten minutes, {name}: {len(sessions)} sessions; ever at rest "
              f"{len(rested)} ({', '.join(rested)}), {silent} of {pictures} pictures; "
              f"learnt as furniture {learnt}", flush=True)  # fmt: skip


def _forth_and_back(length: int) -> Iterator[int]:
    return itertools.cycle([*range(length), *range(length - 2, 0, -1)])


Course = Callable[[float, RgbImage], tuple[RgbImage, float]]
"""Seconds and a scene -> the scene as it is lit, and the exposure."""


def _steady(_: float, rgb: RgbImage) -> tuple[RgbImage, float]:
    return rgb, 1.0


def _lamp(now: float, rgb: RgbImage) -> tuple[RgbImage, float]:
    """Light it from one side from the 45th second on, within half a second."""
    share = float(np.clip((now - 45.0) / 0.5, 0, 1))
    across = np.linspace(1.8, 0.6, rgb.shape[1], dtype=np.float32)[None, :, None]
    return to_srgb(to_linear(rgb) * (1 - share + share * across)), 1.0


def _clouds(now: float, rgb: RgbImage) -> tuple[RgbImage, float]:
    return rgb, 1.0 + 0.25 * float(np.sin(now / 9))


COURSES: dict[str, Course] = {"": _steady, ", a lamp comes on": _lamp, ", clouds": _clouds}


def furniture(
    bundle: Bundle, sessions: dict[str, list[tuple[float, RgbImage]]], subjects: int
) -> None:
    """Hang each subject's picture on the wall."""
    matcher = gallery_matcher(bundle, {})
    of_subject = {name[:4]: frames for name, frames in reversed(sessions.items())}
    portraits = [frames[0][1] for frames in of_subject.values()][:subjects]
    cases = [(name, how, "") for name, how in (CONDITIONS | SHAKEN).items()]
    cases += [("by day, far", CONDITIONS["by day, far"], course) for course in COURSES if course]
    for name, how, course in cases:
        rng = np.random.default_rng(3)
        light = COURSES[course]
        evidence = seen = learnt = 0
        rested = []
        for rgb in portraits:
            for there in (True, False):
                scene, settled = Scene(), None
                if not there:
                    scene.moved(0.0)
                times = [*range(OPEN), *(OPEN + 60 * n for n in range(1, LOOKS + 1))]
                for number, now in enumerate(float(time) for time in times):
                    lit, gain = light(now, rgb)
                    frame = Frame(see(lit, how, rng, gain), now)
                    idle = number >= OPEN
                    shown = recognise(bundle, matcher, frame, scene=scene, idle=idle)
                    if there:
                        seen += bool(shown.evidence or shown.fixtures)
                        evidence += bool(shown.evidence)
                    elif shown.fixtures and not shown.evidence and settled is None:
                        settled = now
                learnt += bool(scene.fixtures)
                if not there:
                    rested.append(settled)
        late = [one for one in rested if one is not None]
        never = len(rested) - len(late)
        print(f"furniture, {name}{course}, {len(portraits)} pictures: there before: evidence in "
              f"{evidence} of {seen} frames; hung up by somebody: at rest after {quantiles(late)} "
              f"s, never {never}; learnt {learnt} of {2 * len(portraits)}", flush=True)  # fmt: skip


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of spoof.parquet")
    parser.add_argument("--subjects", type=int, default=9, help="whose pictures hang on the wall")
    parts = ("living", "standing", "furniture")
    parser.add_argument("--part", choices=parts, help="measure only this")
    chosen = parser.parse_args()
    bundle = load_bundle()
    sessions = read_sessions(chosen.data)
    if chosen.part in (None, "living"):
        living(bundle, sessions)
    if chosen.part in (None, "standing"):
        standing(bundle, sessions)
    if chosen.part in (None, "furniture"):
        furniture(bundle, sessions, chosen.subjects)


if __name__ == "__main__":
    main()
