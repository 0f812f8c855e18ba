"""What an attacker holds up: prints, phones and cut-outs, as flat things moved by a hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from training.common.camera import to_linear
from training.liveness.attacks import Scene, reprint
from training.liveness.raster import stripes
from training.liveness.visits.people import Person


@dataclass(frozen=True)
class Flat:
    """A flat thing: linear `light` float32[h,w,3], `alpha` float32[h,w], and the `face` on it: its
    middle and width, in its pixels.
    """  # noqa: D205 - one sentence

    light: np.ndarray
    alpha: np.ndarray
    face: tuple[float, float, float]


@dataclass(frozen=True)
class Held:
    """How a hand holds it: angles in radians at a second, and its distance in its own widths."""

    yaw: Callable[[float], float]
    pitch: Callable[[float], float]
    roll: Callable[[float], float]
    distance: float


def corners(flat: Flat, held: Held, t: float, middle: np.ndarray, width: float) -> np.ndarray:
    """Return where the thing's corners are seen, float[4,2], its face `width` pixels wide."""
    height, wide = flat.alpha.shape
    plane = np.array([[0, 0], [wide, 0], [wide, height], [0, height]], float)
    plane -= flat.face[:2]
    points = np.hstack([plane, np.zeros((4, 1))]) * (width / flat.face[2])
    a, b, c = held.yaw(t), held.pitch(t), held.roll(t)
    around_y = np.array([[np.cos(a), 0, np.sin(a)], [0, 1, 0], [-np.sin(a), 0, np.cos(a)]])
    around_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    around_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    turned = points @ (around_z @ around_x @ around_y).T
    away = held.distance * width
    return turned[:, :2] * (away / (away + turned[:, 2:])) + middle


def paste(picture: np.ndarray, light: np.ndarray, alpha: np.ndarray, to: np.ndarray) -> np.ndarray:
    """Lay a thing onto linear `picture`, changed in place, with its corners at `to`.

    Returns how much of each pixel it covers, float32[H,W].
    """
    height, width = alpha.shape
    # Only where the thing is: the rest of the picture stays.
    first = np.maximum(np.floor(to.min(axis=0)) - 1, 0).astype(int)
    last = np.minimum(np.ceil(to.max(axis=0)) + 2, picture.shape[1::-1]).astype(int)
    cover = np.zeros(picture.shape[:2], np.float32)
    if (last <= first).any():
        return cover
    plane = np.array([[0, 0], [width, 0], [width, height], [0, height]], float)
    back = _homography(to - first, plane)
    size = (int(last[0] - first[0]), int(last[1] - first[1]))

    def warped(channel: np.ndarray) -> np.ndarray:
        image = Image.fromarray(np.pad(channel, 1)).transform(
            size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BILINEAR
        )
        return np.asarray(image)

    rows, columns = slice(first[1], last[1]), slice(first[0], last[0])
    cover[rows, columns] = np.clip(warped(alpha), 0, 1)
    part = picture[rows, columns]
    part *= 1 - cover[rows, columns][..., None]
    for channel in range(3):
        part[..., channel] += np.maximum(warped(light[..., channel] * alpha), 0)
    return cover


def _homography(source: np.ndarray, target: np.ndarray) -> tuple[float, ...]:
    """Return the eight numbers that Pillow wants, for a source padded by one pixel."""
    rows, right = [], []
    for (x, y), (u, v) in zip(source, target + 1, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(right)).tolist())


def cropped(
    rgb: np.ndarray, box: np.ndarray, margins: np.ndarray
) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Cut left, up, right, down `margins`, in faces from the face's middle; inside the picture."""
    size = max(box[2] - box[0], box[3] - box[1])
    middle = (box[:2] + box[2:]) / 2
    left, top = np.maximum(middle - margins[:2] * size, 0).astype(int)
    right, bottom = np.minimum(middle + margins[2:] * size, rgb.shape[1::-1]).astype(int)
    return rgb[top:bottom, left:right], (left, top, right, bottom)


def sheet(person: Person, generator: np.random.Generator) -> Flat:
    """Print somebody's picture on paper, cut around the face by chance, often with a border."""
    printed = reprint(Scene(person.rgb, person.box), generator)
    part, (left, top, _, _) = cropped(printed, person.box, generator.uniform(0.65, 1.4, 4))
    border = int(generator.choice([0.0, 0.06, 0.15]) * person.width)
    light = to_linear(part)
    paper = np.full(3, generator.uniform(0.5, 0.9), np.float32)
    bordered = np.empty((light.shape[0] + 2 * border, light.shape[1] + 2 * border, 3), np.float32)
    bordered[:] = paper
    bordered[border : border + light.shape[0], border : border + light.shape[1]] = light
    middle = (person.box[:2] + person.box[2:]) / 2 - [left, top] + border
    face = (float(middle[0]), float(middle[1]), person.width)
    return Flat(bordered, np.ones(bordered.shape[:2], np.float32), face)


def mask(person: Person, generator: np.random.Generator) -> Flat:
    """Cut the printed head out along its outline, without the body."""
    printed = reprint(Scene(person.rgb, person.box), generator)
    y = np.arange(person.rgb.shape[0], dtype=np.float32)[:, None]
    chin = person.box[3] + 0.08 * person.height
    alpha = np.clip(person.matte * 1.4 - 0.4, 0, 1) * np.clip((chin - y) / 3 + 0.5, 0, 1)
    middle = (person.box[:2] + person.box[2:]) / 2
    face = (float(middle[0]), float(middle[1]), person.width)
    return Flat(to_linear(printed), alpha.astype(np.float32), face)


@dataclass(frozen=True)
class Screen:
    """A phone or tablet: its colours, raster and glass, and how the picture lies on it.

    `margins` are those of the picture shown, in faces; `bezel` is around it, in faces' widths.
    """

    gamut: np.ndarray
    white: float
    black: float
    gamma: float
    pitch: float
    turn: int
    margins: np.ndarray
    bezel: np.ndarray
    body: float

    def show(self, rgb: np.ndarray, box: np.ndarray, focus: float) -> Flat:
        """Return the phone showing uint8[H,W,3], whose face is at `box`."""
        part, (left, top, _, _) = cropped(rgb, box, self.margins)
        light = np.clip(to_linear(part) ** np.float32(self.gamma) @ self.gamut, 0, None)
        width = float(box[2] - box[0])
        # The same screen all the time; what the camera's sampling makes of it is not.
        generator = np.random.default_rng(self.turn)
        pitch = self.pitch * width / 100
        light = light * stripes(part.shape[:2], pitch, focus, generator)
        light = self.white * light.astype(np.float32) + self.black
        side, above = (int(value * width) for value in self.bezel)
        shape = (light.shape[0] + 2 * above, light.shape[1] + 2 * side, 3)
        whole = np.full(shape, self.body, np.float32)
        whole[above : above + light.shape[0], side : side + light.shape[1]] = light
        middle = (box[:2] + box[2:]) / 2 - [left, top] + [side, above]
        face = (float(middle[0]), float(middle[1]), width)
        return Flat(whole, np.ones(shape[:2], np.float32), face)


def draw_screen(generator: np.random.Generator) -> Screen:
    """Return a phone whose picture is about as wide as the face, or a tablet with more around."""
    tablet = generator.random() < 0.3
    side = generator.uniform(0.8, 1.5) if tablet else generator.uniform(0.55, 0.9)
    tall = generator.uniform(0.9, 1.7)
    gamut = np.eye(3) + generator.normal(0, 0.05, (3, 3))
    colours = np.array([0.95, 1.0, 1.1]) * np.exp(generator.normal(0, 0.05, 3))
    return Screen(
        gamut=(gamut * colours).astype(np.float32),
        white=float(generator.uniform(0.5, 1.6)),
        black=float(np.exp(generator.uniform(np.log(0.003), np.log(0.04)))),
        gamma=float(np.exp(generator.normal(0, 0.12))),
        pitch=float(np.exp(generator.uniform(np.log(0.12), np.log(0.8)))),
        turn=int(generator.integers(1 << 30)),
        margins=np.array([side, tall, side, tall]),
        bezel=np.exp(generator.uniform(np.log(0.02), np.log(0.15), 2)),
        body=float(generator.choice([0.01, 0.02, 0.05, 0.4])),
    )
