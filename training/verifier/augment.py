"""Bad light and bad cameras, simulated on crops. Everything takes and returns uint8 [H, W, 3].

Light adds up linearly and a sensor counts photons, so exposure, noise, gain and lamps are computed
on linear light (`training/common/camera.py`).
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageDraw

from training.common.camera import LIGHTS, Light, expose, take, to_linear, to_srgb
from training.common.pictures import CROP, STORED, jpeg, with_border
from vision.tracking.stacking import MOST, offset, shifted

Degrade = Callable[[np.ndarray, np.random.Generator], np.ndarray]

# Electrons of a white pixel in full light: a small CMOS sensor.
FULL_WELL = 4000.0


def low_light(
    rgb: np.ndarray, rng: np.random.Generator, exposure: float, recovery: float
) -> np.ndarray:
    """Take the picture with `exposure` (0..1) of the light, shot and read noise included.

    The gain makes up for `recovery` of the loss, on a logarithmic scale: 0 leaves the picture
    dark, 1 brings it to full brightness and the noise with it.
    """
    return take(rgb, Light(exposure * FULL_WELL, exposure ** (1.0 - recovery)), rng)


def infrared(rgb: np.ndarray, rng: np.random.Generator, exposure: float = 0.1) -> np.ndarray:
    """Look like an infrared camera: one channel, a lamp beside the lens, noise, soft focus."""
    mix = np.array([0.6, 0.3, 0.1], np.float32) + rng.uniform(-0.1, 0.1, 3).astype(np.float32)
    light = (to_linear(rgb) @ (mix / mix.sum())) ** rng.uniform(0.6, 0.9)
    height, width = light.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    cy, cx = rng.uniform(0.35, 0.65, 2) * (height, width)
    fall_off = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / (2 * (0.6 * width) ** 2))
    grey = np.repeat((light * fall_off)[..., None], 3, axis=2)
    encoded = to_srgb(expose(grey[..., 0], Light(exposure * FULL_WELL, 1.0), rng))
    return small(np.repeat(encoded[..., None], 3, axis=2), rng.uniform(0.6, 1.0))


def grey(rgb: np.ndarray) -> np.ndarray:
    """Take the colour out, as a black-and-white camera does."""
    luma = rgb.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    return np.repeat((luma + 0.5).astype(np.uint8)[..., None], 3, axis=2)


def side_light(rgb: np.ndarray, rng: np.random.Generator, shadow: float) -> np.ndarray:
    """Light the face from a random side; the far side keeps `shadow` (0..1) of the light."""
    height, width = rgb.shape[:2]
    angle = rng.uniform(0.0, 2.0 * np.pi)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    across = ((x - width / 2) * np.cos(angle) + (y - height / 2) * np.sin(angle)) / width
    steepness = rng.uniform(6.0, 20.0)
    lit = 1.0 / (1.0 + np.exp(-steepness * (across + rng.uniform(-0.15, 0.15))))
    return to_srgb(to_linear(rgb) * (shadow + (1.0 - shadow) * lit)[..., None])


def _face_surface() -> np.ndarray:
    """Height of a face's skin over the crop, float32 [112, 112] in pixels.

    Not a person: an ellipsoid with brows, eye sockets, nose, lips and chin where the ArcFace
    template has them. Enough for a lamp to shade the right side of each, and for the nose to cast
    a shadow.
    """
    y, x = np.mgrid[0:CROP, 0:CROP].astype(np.float32)

    def bump(at: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
        return np.exp(-(((x - at[0]) / size[0]) ** 2) - ((y - at[1]) / size[1]) ** 2)

    inside = np.clip(1.0 - ((x - 56.0) / 50.0) ** 2 - ((y - 62.0) / 68.0) ** 2, 0.0, 1.0)
    height = 46.0 * np.sqrt(inside)
    height += 4.0 * (bump((38.0, 43.0), (13.0, 4.0)) + bump((74.0, 43.0), (13.0, 4.0)))
    height -= 5.0 * (bump((38.3, 52.0), (9.0, 6.0)) + bump((73.5, 52.0), (9.0, 6.0)))
    ridge = np.clip((y - 46.0) / 26.0, 0.0, 1.0) * (y < 74.0) + np.exp(
        -(((y - 74.0) / 3.0) ** 2)
    ) * (y >= 74.0)
    height += 14.0 * ridge * np.exp(-(((x - 56.0) / (4.0 + 5.0 * ridge)) ** 2))
    height += 3.0 * bump((56.0, 92.0), (16.0, 4.0)) + 4.0 * bump((56.0, 108.0), (14.0, 7.0))
    return height.astype(np.float32)


SURFACE = _face_surface()
_SLOPES = np.stack([-np.gradient(SURFACE, axis=1), -np.gradient(SURFACE, axis=0)], axis=-1)
NORMALS = np.concatenate([_SLOPES, np.ones_like(SURFACE)[..., None]], axis=-1)
NORMALS /= np.linalg.norm(NORMALS, axis=-1, keepdims=True)


def lamp(
    rgb: np.ndarray, rng: np.random.Generator, angle: float, ambient: float, exposure: float = 1.0
) -> np.ndarray:
    """Light uint8 [112, 112, 3] by one lamp `angle` degrees (0..130) beside the camera.

    Lambert's law and cast shadows on a plain face's surface, over `ambient` (0..1) light from all
    around. The picture's own light is divided out as if it had come from the camera.
    """
    around = rng.uniform(0.0, 2.0 * np.pi)
    # Lamps hang at the sides and above more often than below.
    direction = np.array([np.cos(around), -abs(np.sin(around)) * rng.choice([1.0, 1.0, -0.6])])
    direction /= np.linalg.norm(direction)
    slant = np.deg2rad(angle)
    to_lamp = np.array([*(direction * np.sin(slant)), np.cos(slant)], np.float32)
    shade = np.clip(NORMALS @ to_lamp, 0.0, None)
    rise = to_lamp[2] / max(float(np.sin(slant)), 1e-3)
    blocked = np.zeros(SURFACE.shape, np.float32)
    for reach in range(2, 40, 2):
        dx, dy = np.rint(direction * reach).astype(int)
        over = np.roll(SURFACE, (-dy, -dx), axis=(0, 1)) - SURFACE - rise * reach
        blocked = np.maximum(blocked, over)
    shade *= np.exp(-np.clip(blocked, 0.0, None) / 1.5)
    frontal = np.clip(NORMALS[..., 2], 0.35, None)
    light = ambient + (1.0 - ambient) * shade / frontal
    return to_srgb(to_linear(rgb) * np.clip(light, 0.0, 2.0)[..., None] * exposure)


def cover(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Put a mask, sunglasses, glasses' frames or a cap of one colour over uint8 [112, 112, 3]."""
    picture = Image.fromarray(rgb)
    draw = ImageDraw.Draw(picture)
    colour = tuple(int(value) for value in rng.integers(0, 256, 3))
    dark = tuple(value // 4 for value in colour)
    dx, dy = rng.uniform(-2.5, 2.5, 2)
    kind = rng.integers(4)
    if kind == 0:
        top = rng.uniform(64.0, 74.0) + dy
        low = CROP + 5.0
        draw.polygon(
            [
                (8, top + 6),
                (40, top - 2),
                (56 + dx, top - 6),
                (72, top - 2),
                (104, top + 6),
                (98, low),
                (14, low),
            ],
            fill=colour,
        )
    elif kind in (1, 2):
        width, height = rng.uniform(13.0, 17.0), rng.uniform(8.0, 12.0)
        for x in (38.3, 73.5):
            box = (x + dx - width, 52 + dy - height, x + dx + width, 53 + dy + height)
            if kind == 1:
                draw.rounded_rectangle(box, radius=7, fill=dark)
            else:
                draw.rounded_rectangle(box, radius=7, outline=dark, width=int(rng.integers(1, 4)))
        draw.line([(50 + dx, 50 + dy), (62 + dx, 50 + dy)], fill=dark, width=2)
    else:
        brim = rng.uniform(22.0, 40.0)
        draw.rectangle((0, -1, CROP, brim - 6), fill=colour)
        draw.ellipse((4 + dx, brim - 12, 108 + dx, brim + 2), fill=dark)
    return np.asarray(picture)


def motion_blur(rgb: np.ndarray, rng: np.random.Generator, length: float) -> np.ndarray:
    """Average along a line of `length` pixels at a random angle."""
    angle = rng.uniform(0.0, np.pi)
    steps = max(2, round(length))
    light = to_linear(rgb)
    total = np.zeros_like(light)
    for along in np.linspace(-length / 2, length / 2, steps):
        shift = (round(along * np.sin(angle)), round(along * np.cos(angle)))
        total += np.roll(light, shift, axis=(0, 1))
    return to_srgb(total / steps)


def small(rgb: np.ndarray, scale: float) -> np.ndarray:
    """Shrink by `scale` (0..1) and enlarge again: a face that was far away."""
    height, width = rgb.shape[:2]
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    shrunk = Image.fromarray(rgb).resize(size, Image.Resampling.BOX)
    return np.asarray(shrunk.resize((width, height), Image.Resampling.BILINEAR))


def jitter(stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cut 112x112 out of uint8 [128, 128, 3], shifted, turned and scaled as landmarks err."""
    angle = np.deg2rad(rng.normal(0.0, 3.0))
    scale = np.exp(rng.normal(0.0, 0.03))
    shift = rng.normal(0.0, 1.5, 2)
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    middle = STORED / 2
    half = CROP / 2
    left = middle + shift[0] - cosine * half + sine * half
    top = middle + shift[1] - sine * half - cosine * half
    picture = Image.fromarray(stored).transform(
        (CROP, CROP),
        Image.Transform.AFFINE,
        (cosine, -sine, left, sine, cosine, top),
        Image.Resampling.BILINEAR,
    )
    return np.asarray(picture)


def look(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Show colours as another camera does: its white balance, contrast, haze and saturation."""
    seen = (rgb.astype(np.float32) / 255.0) ** np.float32(np.exp(rng.normal(0.0, 0.25)))
    seen *= np.exp(rng.normal(0.0, 0.12, 3)).astype(np.float32)
    luma = seen @ np.array([0.299, 0.587, 0.114], np.float32)
    seen = luma[..., None] + np.float32(rng.uniform(0.3, 1.2)) * (seen - luma[..., None])
    haze = np.float32(rng.uniform(0.0, 0.25))
    seen = haze + (np.float32(rng.uniform(0.7, 1.05)) - haze) * seen
    return (np.clip(seen, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _lit(crop: np.ndarray, camera: np.random.Generator, strength: float) -> np.ndarray:
    """Perhaps light the face from a side, or by one lamp, now and then in grey."""
    lit = camera.random()
    if lit < 0.15 * strength:
        return side_light(crop, camera, camera.uniform(0.02, 0.4))
    if lit >= 0.4 * strength:
        return crop
    ambient = float(np.exp(camera.uniform(np.log(0.003), np.log(0.3))))
    angle, exposure = camera.uniform(10.0, 110.0), camera.uniform(0.4, 1.5)
    crop = lamp(crop, camera, angle, ambient, exposure)
    return grey(crop) if camera.random() < 0.5 else crop


def degrade(
    crop: np.ndarray,
    rng: np.random.Generator,
    strength: float = 1.0,
    camera: np.random.Generator | None = None,
) -> np.ndarray:
    """Return one random night, lamp or camera view of uint8 [112, 112, 3].

    `strength` 0..1 scales how likely each kind is: 0 leaves the crop as it is. Everything that one
    camera's pictures of one moment have in common is drawn from `camera` (without one, from `rng`),
    and what each has of its own, such as its noise, from `rng`.
    """
    camera = rng if camera is None else camera
    if rng.random() < 0.08 * strength:
        crop = cover(crop, rng)
    if camera.random() < 0.4 * strength:
        crop = look(crop, camera)
    crop = _lit(crop, camera, strength)
    if rng.random() < 0.15 * strength:
        crop = motion_blur(crop, rng, rng.uniform(2.0, 7.0))
    if camera.random() < 0.3 * strength:
        crop = small(crop, camera.uniform(0.25, 0.8))
    night = camera.random()
    if night < 0.6 * strength:
        exposure = float(np.exp(camera.uniform(np.log(0.003), np.log(0.4))))
        # Little recovery is what a stack of frames looks like: dark, with little noise.
        crop = low_light(crop, rng, exposure, camera.uniform(0.1, 1.0))
    elif night < 0.8 * strength:
        crop = infrared(crop, rng, float(np.exp(camera.uniform(np.log(0.02), np.log(0.5)))))
    if camera.random() < 0.5 * strength:
        crop = jpeg(crop, int(camera.integers(30, 90)))
    return crop


def aligned_view(stored: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a jittered, perhaps mirrored, otherwise clean uint8 [112, 112, 3] of a stored crop."""
    crop = jitter(stored, rng)
    return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)


def _dim(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(take(rgb, LIGHTS["dim"], rng), 70)


def _dark(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(take(rgb, LIGHTS["dark"], rng), 70)


def _very_dark(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(take(rgb, LIGHTS["very dark"], rng), 70)


def _infrared(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(infrared(rgb, rng, 0.05), 70)


def _lamp(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return jpeg(lamp(rgb, rng, rng.uniform(45.0, 85.0), 0.05), 70)


def _clean(rgb: np.ndarray, _rng: np.random.Generator) -> np.ndarray:
    return rgb


def _stacked(view: Degrade) -> Degrade:
    """Show `MOST` frames in a condition and stack them as the door does."""

    def stack(rgb: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        frames = [view(jitter(with_border(rgb), rng), rng).astype(np.float32) for _ in range(MOST)]
        mean: np.ndarray = frames[0]
        for number, frame in enumerate(frames[1:], 1):
            moved = shifted(frame, *offset(frame, mean))
            mean = mean + (moved - mean) / (number + 1)
        return np.clip(mean + 0.5, 0, 255).astype(np.uint8)

    return stack


# Fixed conditions that evaluation and calibration use; "clean" is the picture as it came.
CONDITIONS: dict[str, Degrade] = {
    "clean": _clean,
    "dim": _dim,
    "dark": _dark,
    "very dark": _very_dark,
    "infrared": _infrared,
    "lamp": _lamp,
    "dim stack": _stacked(_dim),
    "dark stack": _stacked(_dark),
    "very dark stack": _stacked(_very_dark),
    "infrared stack": _stacked(_infrared),
}


def in_condition(crops: np.ndarray, condition: str, seed: int) -> np.ndarray:
    """Show uint8 [N, 112, 112, 3] in a condition; picture k always gets the same noise."""
    view = CONDITIONS[condition]

    def show(number: int) -> np.ndarray:
        return view(crops[number], np.random.default_rng((seed, number)))

    # NumPy and Pillow let other threads run while they draw noise and write JPEG.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(show, range(len(crops)))))
