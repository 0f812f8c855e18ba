"""Compare looking for faces where the change is with looking at the whole of every picture.

    .venv/bin/python benchmarks/regions.py [--visits 40] [--seed 1] [--width 1920] [--json FILE]

Simulated visits before the demo's door: people come nearer, cross the picture, stand still for a
while, come in two; by day, by night (dark and noisy) and in infrared. Every picture is searched
twice in the same process: as a whole, and by `Focus` with what the motion gate saw. Counted are the
faces that may count at the door (wide enough, and clear enough for the bundle's limits) which the
first finds; what is said of them is how many the second finds too, how far its landmarks are off,
how alike their embeddings are, and what each costs.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import vision
from vision.imaging.quality import measure
from vision.pipeline.recognition import find_faces
from vision.tracking.focus import Focus

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from demo import scene, story  # noqa: E402 - found by the path above

PERIOD = 0.25
"""Seconds from one picture to the next while the gate is open."""
SECONDS = 10.0
LIGHTS = {"day": (1.0, 2.5), "night": (0.22, 6.0), "infrared": (0.8, 8.0)}
"""Brightness, and standard deviation of the noise in grey levels."""
WALKS = ("approach", "cross", "stand", "two")


@dataclass(slots=True)
class Tally:
    """What was counted of one scene."""

    faces: int = 0
    found: int = 0
    off: list[float] = field(default_factory=list)
    """Largest error of a landmark, in widths of the face."""
    alike: list[float] = field(default_factory=list)
    """Cosine of the two embeddings."""
    whole: list[float] = field(default_factory=list)
    part: list[float] = field(default_factory=list)
    """Milliseconds."""


@dataclass(frozen=True)
class Walker:
    """Somebody's way: the face's width in shares of the picture's, and its place in it."""

    cutout: Image.Image
    face: float
    walk: str
    begins: float
    speed: float
    row: float

    def paste(self, picture: Image.Image, t: float, rng: np.random.Generator) -> None:
        """Add the person to the picture of second `t`, if in view."""
        width, height = picture.size
        going = t - self.begins
        if going < 0:
            return
        grows = min(1.0, 0.25 + 0.75 * going * self.speed) if self.walk != "cross" else 1.0
        size = self.face * width / 180 * grows
        x = 0.5 + 0.02 * np.sin(2.5 * going)
        if self.walk == "cross":
            x = -0.1 + 0.35 * going * self.speed
        elif self.walk == "two":
            x = self.row
        elif self.walk == "stand":
            # Breathing and swaying, a pixel or two.
            x = 0.45 + 0.001 * np.sin(1.3 * going)
        person = self.cutout.resize(
            (max(1, round(self.cutout.width * size)), max(1, round(self.cutout.height * size))),
            Image.Resampling.BILINEAR,
        )
        jitter = rng.normal(0, 1.0, 2)
        left = round(x * width - person.width / 2 + jitter[0])
        picture.paste(person, (left, round(height - person.height + jitter[1])), person)


def pictures(
    walk: str, light: str, width: int, rng: np.random.Generator
) -> Iterator[tuple[float, bytes]]:
    """Yield the time and JPEG of each picture of a visit."""
    people = [story.ENROLLED, *story.STRANGERS]
    chosen = rng.choice(len(people), 2 if walk == "two" else 1, replace=False)
    walkers = [
        Walker(
            people[index].picture,
            float(rng.uniform(0.03, 0.12)) * 180 / people[index].face_px,
            walk,
            1.0 + 3.0 * number,
            float(rng.uniform(0.25, 0.6)),
            0.3 + 0.4 * number,
        )
        for number, index in enumerate(chosen)
    ]
    size = (width, round(width * scene.SIZE[1] / scene.SIZE[0]))
    empty = scene.background().resize(size)
    brightness, noise = LIGHTS[light]
    for number in range(round(SECONDS / PERIOD)):
        t = number * PERIOD
        picture = empty.copy()
        for walker in walkers:
            walker.paste(picture, t, rng)
        pixels = np.asarray(picture.convert("L").convert("RGB") if light == "infrared" else picture)
        grain = rng.normal(0, noise, (size[1], size[0], 1)).astype(np.float32)
        seen = (pixels * np.float32(brightness) + grain).clip(0, 255).astype(np.uint8)
        yield t + 1000.0, vision.encode_jpeg(seen, 85)


def pair(face: vision.Face, others: list[vision.Face]) -> vision.Face | None:
    """Return the one of the `others` that is the same face, if any."""
    near = [o for o in others if np.abs(o.landmarks - face.landmarks).max() < 0.3 * face.width]
    return max(near, key=lambda other: other.score, default=None)


def visit(
    bundle: vision.Bundle, walk: str, light: str, width: int, seed: int, tally: Tally
) -> None:
    """Look at one visit in both ways."""
    gate, focus = vision.MotionGate(), Focus()
    for now, jpeg in pictures(walk, light, width, np.random.default_rng(seed)):
        motion = gate.update(vision.decode_grey(jpeg), now)
        frame = vision.Frame(vision.decode_rgb(jpeg), now)
        began = time.perf_counter()
        whole = bundle.detector.detect(frame.rgb)
        middle = time.perf_counter()
        part = find_faces(bundle, frame, focus, motion.where)
        tally.part.append((time.perf_counter() - middle) * 1000)
        tally.whole.append((middle - began) * 1000)
        for face in whole:
            crop = vision.align(frame.rgb, face.landmarks)
            if bundle.quality.problem(measure(face, crop)) is not None:
                continue
            tally.faces += 1
            same = pair(face, part)
            if same is None:
                continue
            tally.found += 1
            tally.off.append(float(np.abs(same.landmarks - face.landmarks).max() / face.width))
            both = np.stack([crop, vision.align(frame.rgb, same.landmarks)])
            one, other = bundle.verifier.embed(both)[:, :-1]
            tally.alike.append(float(one @ other / np.linalg.norm(one) / np.linalg.norm(other)))


def main() -> None:
    """Measure and print one line for each scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--visits", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--width", type=int, default=1920)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    bundle = vision.load_bundle()
    tallies: dict[str, Tally] = defaultdict(Tally)
    scenes = [(walk, light) for light in LIGHTS for walk in WALKS]
    for number in range(options.visits):
        walk, light = scenes[number % len(scenes)]
        for name in (f"{light}, {walk}", "all"):
            if name != "all":
                visit(bundle, walk, light, options.width, options.seed + number, tallies[name])
    total = tallies["all"]
    for name, tally in list(tallies.items()):
        if name == "all":
            continue
        total.faces += tally.faces
        total.found += tally.found
        for kind in ("off", "alike", "whole", "part"):
            getattr(total, kind).extend(getattr(tally, kind))
    columns = {"faces": 7, "found": 9, "off p95": 9, "cosine p5": 11, "whole ms": 10, "part": 8}
    print("scene".ljust(22) + "".join(title.rjust(width) for title, width in columns.items()))
    for name, tally in tallies.items():
        print(row(name, tally))
    if options.json:
        found = {
            name: {"faces": tally.faces, "found": tally.found} for name, tally in tallies.items()
        }
        options.json.write_text(json.dumps(found, indent=1))


def row(name: str, tally: Tally) -> str:
    """Format one scene's line; what both ways cost as a ratio of their means."""
    share = tally.found / tally.faces if tally.faces else float("nan")
    off = np.percentile(tally.off, 95) if tally.off else float("nan")
    alike = np.percentile(tally.alike, 5) if tally.alike else float("nan")
    ratio = np.mean(tally.part) / np.mean(tally.whole)
    return (
        f"{name:22}{tally.faces:7}{share:9.4f}{off:9.4f}{alike:11.4f}"
        f"{np.median(tally.whole):10.1f}{f'x{ratio:.2f}':>8}"
    )


if __name__ == "__main__":
    main()
