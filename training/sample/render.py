"""A picture of made-up heads: a pose, an expression, a lamp, and a camera with its noise.

Points of the surface are turned and dropped onto the picture (no perspective), the foremost win.
Light follows Lambert's law; nothing casts a shadow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from training.sample.heads import Head


@dataclass(frozen=True)
class View:
    """How a head is shown.

    Angles in degrees: `yaw` to the viewer's right, `pitch` down, `roll` clockwise, and the lamp's
    `azimuth` (to the viewer's right) and `elevation` (up). `ambient` is the share of light without
    direction. `smile` -1..1 and `parted` 0..1 move the mouth.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    azimuth: float = 0.0
    elevation: float = 20.0
    ambient: float = 0.5
    smile: float = 0.0
    parted: float = 0.0


@dataclass(frozen=True)
class Camera:
    """What a camera makes of light: a factor, its colour, noise in grey levels, blur in pixels."""

    exposure: float = 1.0
    tint: tuple[float, ...] = (1.0, 1.0, 1.0)
    noise: float = 3.0
    blur: float = 0.5


@dataclass(frozen=True)
class Shown:
    """A head in a picture: `box` float32[4] x1, y1, x2, y2 and `landmarks` float32[5,2], pixels."""

    box: np.ndarray
    landmarks: np.ndarray


def random_view(generator: np.random.Generator) -> View:
    """Draw a pose, a lamp and an expression."""
    return View(
        yaw=float(np.clip(generator.normal(0, 14), -40, 40)),
        pitch=float(np.clip(generator.normal(0, 7), -18, 18)),
        roll=float(generator.normal(0, 4)),
        azimuth=float(generator.normal(0, 40)),
        elevation=float(generator.normal(20, 20)),
        ambient=float(generator.uniform(0.3, 0.8)),
        smile=float(generator.uniform(-0.4, 1.0)),
        parted=float(max(0.0, generator.normal(0, 0.35))),
    )


def random_camera(generator: np.random.Generator) -> Camera:
    """Draw a camera by day, or in one case of five in the evening."""
    evening = generator.random() < 0.2
    return Camera(
        exposure=float(generator.uniform(0.12, 0.4) if evening else generator.uniform(0.7, 1.2)),
        tint=tuple(generator.uniform(0.88, 1.0, 3).tolist()),
        noise=float(generator.uniform(6, 12) if evening else generator.uniform(1, 5)),
        blur=float(0.45 + abs(generator.normal(0.2, 0.5))),
    )


def place(
    light: np.ndarray,
    head: Head,
    view: View,
    at: tuple[float, float],
    scale: float,
    clothes: np.ndarray,
) -> Shown:
    """Put a head and its shoulders into linear `light` float32[H,W,3], in place.

    `at` (x, y) is the middle between the eyes of the upright head, `scale` the pixels between its
    pupils, `clothes` their colour in linear light.
    """
    height, width = light.shape[:2]
    turn = _turn(view).astype(np.float32)
    _shoulders(light, head, view, at, scale, clothes)
    turned = _expression(head.points, head.landmarks[3:], view) @ turn.T
    normals = np.cross(np.gradient(turned, axis=1), np.gradient(turned, axis=0))
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-9)
    across = turned[..., 0] * scale + at[0]
    down = turned[..., 1] * scale + at[1]
    facing = normals[..., 2] > 0
    x, y = np.rint(across).astype(int), np.rint(down).astype(int)
    seen = facing & (x >= 0) & (x < width) & (y >= 0) & (y < height)
    index, depth = (y * width + x)[seen], turned[..., 2][seen]
    colour = (head.paint * _shade(normals, view)[..., None])[seen]
    foremost = np.full(height * width, -np.inf, np.float32)
    np.maximum.at(foremost, index, depth)
    # What lies deeper is another fold of the surface, such as a cheek behind the nose.
    front = depth > foremost[index] - 0.12
    index, colour = index[front], colour[front]
    count = np.bincount(index, minlength=height * width)
    inside = count > 0
    total = np.stack([np.bincount(index, one, height * width) for one in colour.T], -1)
    light.reshape(-1, 3)[inside] = total[inside] / count[inside, None]

    within = head.face & facing
    box = (across[within].min(), down[within].min(), across[within].max(), down[within].max())
    marks = _expression(head.landmarks, head.landmarks[3:], view) @ turn.T
    landmarks = marks[:, :2] * scale + np.array(at)
    return Shown(np.array(box, np.float32), landmarks.astype(np.float32))


def photograph(light: np.ndarray, camera: Camera, generator: np.random.Generator) -> np.ndarray:
    """Return the picture uint8[H,W,3] that a camera takes of linear light float32[H,W,3]."""
    shown = np.clip(light * camera.exposure * np.array(camera.tint), 0, 1) ** (1 / 2.2) * 255
    picture = Image.fromarray(np.rint(shown).astype(np.uint8))
    pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(camera.blur)), np.float32)
    grey = generator.normal(0, camera.noise, (*light.shape[:2], 1))
    coloured = generator.normal(0, camera.noise / 2, light.shape)
    return np.rint(np.clip(pixels + grey + coloured, 0, 255)).astype(np.uint8)


def _turn(view: View) -> np.ndarray:
    """Return the rotation float[3,3] of a view."""
    yaw, pitch, roll = np.deg2rad([view.yaw, view.pitch, view.roll])
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    about_z = np.array(
        [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    )
    return about_z @ about_x @ about_y


def _expression(points: np.ndarray, mouth: np.ndarray, view: View) -> np.ndarray:
    """Move the corners of the mouth and the jaw of points [...,3]."""
    moved = points.copy()
    middle = mouth.mean(0)
    x, y = points[..., 0] - middle[0], points[..., 1] - middle[1]
    near = np.exp(-((y / 0.25) ** 2) - (x / 0.6) ** 2)
    moved[..., 1] -= 0.16 * view.smile * near * np.clip(np.abs(x) / 0.4, 0, 1.2) ** 2
    moved[..., 0] += 0.1 * view.smile * near * x
    moved[..., 1] += 0.12 * view.parted * np.clip(y / 0.1, 0, 1) * np.exp(-((y / 0.9) ** 2))
    return moved


def _shade(normals: np.ndarray, view: View) -> np.ndarray:
    """Return the light float[H,W] on surfaces with normals [H,W,3]."""
    azimuth, elevation = np.deg2rad([view.azimuth, view.elevation])
    to_lamp = np.array([
        np.sin(azimuth) * np.cos(elevation), -np.sin(elevation), np.cos(azimuth) * np.cos(elevation)
    ])  # fmt: skip
    direct = np.clip(normals @ to_lamp.astype(np.float32), 0, None)
    return view.ambient * (0.75 + 0.25 * normals[..., 2]) + (1 - view.ambient) * direct


def _shoulders(
    light: np.ndarray,
    head: Head,
    view: View,
    at: tuple[float, float],
    scale: float,
    clothes: np.ndarray,
) -> None:
    """Paint neck and clothes under a head."""
    y, x = np.mgrid[0 : light.shape[0], 0 : light.shape[1]].astype(np.float32)
    x, y = (x - at[0]) / scale, (y - at[1]) / scale
    rows, columns = head.paint.shape[:2]
    bright = view.ambient + 0.6 * (1 - view.ambient)
    light[(np.abs(x) < 0.72) & (y > 0.6) & (y < 3.0)] = (
        head.paint[rows * 3 // 4, columns // 2] * 0.7 * bright
    )
    light[(y > 2.15 + 0.6 * np.abs(x / 2.6) ** 2.5) & (np.abs(x) < 3.1)] = clothes * bright
