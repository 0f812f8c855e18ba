"""Drawn places with what hangs, stands and lies before doors, much of it as round as a head.

Walls of bricks, boards or plaster in perspective, doors, windows, steps, hedges and trees, sky;
globe lamps, balls, pots, baskets, wheels, signs and bins. And weather before the lens, by which
views with and without people are treated alike: rain, snow, insects, headlights, drops.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from training.presence.data import View, no_faces

Generator = np.random.Generator


def porch(size: tuple[int, int], generator: Generator) -> View:
    """Draw a place of (width, height) `size` without anyone."""
    width, height = size
    # Drawn at twice the size, so that edges are as soft as a camera's.
    canvas = Image.fromarray(_backdrop(2 * width, 2 * height, generator))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(generator.integers(0, 4))):
        _opening(draw, canvas.size, generator)
    for _ in range(int(generator.integers(1, 8))):
        _OBJECTS[generator.integers(len(_OBJECTS))](draw, canvas.size, generator)
    small = canvas.resize(size, Image.Resampling.BOX)
    grey = np.asarray(small, np.float32)
    # Light falls unevenly.
    x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    slope = generator.uniform(-0.35, 0.35, 2)
    grey = grey * (1 + slope[0] * x + slope[1] * y)
    grey += generator.normal(0, generator.uniform(0, 5), grey.shape)
    pixels = np.clip(grey, 0, 255).astype(np.uint8)
    return View(pixels, no_faces(), np.zeros((height, width), bool))


def weather(grey: np.ndarray, generator: Generator) -> np.ndarray:
    """Return uint8[h,w] with something of the weather, or of the night, before the lens."""
    height, width = grey.shape
    layer = Image.new("L", (2 * width, 2 * height))
    draw = ImageDraw.Draw(layer)
    kind = int(generator.integers(len(_WEATHER)))
    _WEATHER[kind](draw, layer.size, generator)
    soft = _WEATHER[kind] in (_headlights, _drops)
    blur = generator.uniform(1.0, 6.0) if soft else generator.uniform(0.3, 2.5)
    near = layer.filter(ImageFilter.GaussianBlur(blur))
    light = np.asarray(near.resize((width, height), Image.Resampling.BOX), np.float32)
    light = light * generator.uniform(0.4, 1.0)
    if _WEATHER[kind] is _headlights:
        bloom = layer.filter(ImageFilter.GaussianBlur(24)).resize((width, height))
        light = light + np.asarray(bloom, np.float32) * 3
    return np.clip(grey + light, 0, 255).astype(np.uint8)


def _rain(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    ink, lean = int(generator.integers(70, 256)), generator.uniform(-0.5, 0.5)
    for _ in range(int(generator.integers(10, 120))):
        x, y = generator.uniform(0, 1, 2) * size
        long = generator.uniform(4, 40)
        draw.line((x, y, x + lean * long, y + long), fill=ink, width=1)


def _snow(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    ink = int(generator.integers(70, 256))
    for _ in range(int(generator.integers(10, 90))):
        radius = float(np.exp(generator.uniform(np.log(0.7), np.log(9))))
        _spot(draw, size, radius, ink, generator)


def _insects(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    ink = int(generator.integers(70, 256))
    for _ in range(int(generator.integers(1, 6))):
        x, y = generator.uniform(0, 1, 2) * size
        steps = generator.normal(0, 12, (int(generator.integers(2, 7)), 2)).cumsum(0)
        path = [(float(x + dx), float(y + dy)) for dx, dy in steps]
        draw.line(path, fill=ink, width=int(generator.integers(1, 8)), joint="curve")


def _headlights(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    x, y = generator.uniform(0, 1, 2) * size
    radius = generator.uniform(2, 16)
    gap = generator.uniform(3, 8) * radius
    for shift in (0, gap)[: int(generator.integers(1, 3))]:
        draw.ellipse((x + shift - radius, y - radius, x + shift + radius, y + radius), fill=255)


def _drops(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    ink = int(generator.integers(35, 128))
    for _ in range(int(generator.integers(1, 7))):
        _spot(draw, size, generator.uniform(4, 26), ink, generator)


_WEATHER = (_rain, _snow, _insects, _headlights, _drops)


def _spot(
    draw: ImageDraw.ImageDraw, size: tuple[int, int], radius: float, ink: int, generator: Generator
) -> None:
    x, y = generator.uniform(0, 1, 2) * size
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=ink)


def _clouds(width: int, height: int, cells: float, generator: Generator) -> np.ndarray:
    """Return noise of several scales, float32[h,w] of deviation about 1."""
    total = np.zeros((height, width), np.float32)
    weight = 1.0
    while cells < max(width, height):
        shape = (max(2, round(cells * height / width)), max(2, round(cells)))
        coarse = Image.fromarray(generator.standard_normal(shape, dtype=np.float32))
        total += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        cells, weight = cells * 2.2, weight * 0.7
    return total


def _backdrop(width: int, height: int, generator: Generator) -> np.ndarray:
    """Sky or far wall above, a wall of some pattern, and a floor in perspective below."""
    base = generator.uniform(40, 220)
    grey = np.full((height, width), base, np.float32)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    # A wall that is seen askew: its courses run together towards one side.
    askew = generator.uniform(-0.35, 0.35)
    rows = (y - height / 2) / (1 + askew * (x / width - 0.5) * 2)
    kind = int(generator.integers(6))
    contrast = generator.uniform(8, 50)
    if kind == 0:
        course = generator.uniform(6, 22)
        row = np.floor(rows / course)
        brick = generator.uniform(1.8, 3.0) * course
        joint = (np.abs(rows / course - row) < 0.14) | (
            np.abs((x + (row % 2) * brick / 2) / brick % 1) < 0.07
        )
        tone = generator.normal(0, 0.5, (64, 64))
        column = np.floor((x + (row % 2) * brick / 2) / brick)
        grey += contrast * tone[(row % 64).astype(int), (column % 64).astype(int)]
        grey = np.where(joint, base + generator.choice([-1, 1]) * contrast, grey)
    elif kind == 1:
        board = generator.uniform(8, 40)
        across = x if generator.random() < 0.5 else rows
        tone = generator.normal(0, 0.6, 512)
        grey += contrast * tone[(np.floor(across / board) % 512).astype(int)]
        grey = np.where(np.abs(across / board % 1) < 0.08, grey - contrast, grey)
    elif kind in (2, 3):
        # Leaves: hedges, trees.
        grey += contrast * 1.2 * _clouds(width, height, generator.uniform(6, 24), generator)
    else:
        grey += 0.4 * contrast * _clouds(width, height, generator.uniform(2, 10), generator)
    if generator.random() < 0.5:
        horizon = generator.uniform(0.05, 0.45) * height
        outline = horizon + 6 * _clouds(width, 2, 4, generator)[0] * generator.uniform(0, 2)
        sky = generator.uniform(120, 255) + 8 * _clouds(width, height, 3, generator)
        grey = np.where(y < outline[None, :], sky, grey)
    if generator.random() < 0.7:
        top = generator.uniform(0.55, 0.95) * height
        depth = np.clip((y - top) / height, 1e-3, None)
        tile = generator.uniform(4, 30)
        floor = generator.uniform(30, 220) + generator.uniform(0, 30) * np.sign(
            np.sin(x / width * tile / depth * 0.2) * np.sin(tile / depth * 0.3)
        )
        floor = floor + 8 * _clouds(width, height, 12, generator)
        grey = np.where(y > top, floor, grey)
    return np.clip(grey, 0, 255).astype(np.uint8)


def _tones(generator: Generator, count: int) -> list[int]:
    return [int(value) for value in generator.integers(0, 256, count)]


def _opening(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    """Draw a door or a window with its frame, panes or panels, and a handle."""
    width, height = size
    wide = generator.uniform(0.08, 0.35) * width
    tall = wide * generator.uniform(0.8, 2.4)
    x, y = generator.uniform(-0.1, 0.9) * width, generator.uniform(0.0, 0.6) * height
    frame, leaf, pane, knob = _tones(generator, 4)
    edge = max(2.0, 0.06 * wide)
    draw.rectangle((x - edge, y - edge, x + wide + edge, y + tall + edge), fill=frame)
    draw.rectangle((x, y, x + wide, y + tall), fill=leaf)
    columns, rows = int(generator.integers(1, 4)), int(generator.integers(1, 5))
    for column in range(columns):
        for row in range(rows):
            left, top = x + wide * (column + 0.14) / columns, y + tall * (row + 0.12) / rows
            right, bottom = x + wide * (column + 0.86) / columns, y + tall * (row + 0.88) / rows
            tone = int(np.clip(pane + generator.normal(0, 15), 0, 255))
            draw.rectangle((left, top, right, bottom), fill=tone)
    radius = max(1.5, 0.03 * wide)
    side = x + wide * generator.choice([0.1, 0.9])
    middle = y + 0.55 * tall
    draw.ellipse((side - radius, middle - radius, side + radius, middle + radius), fill=knob)


def _ball(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    """Draw a ball, lamp or topiary, shaded, mostly on a post or a trunk or hanging."""
    width, height = size
    radius = float(np.exp(generator.uniform(np.log(4), np.log(0.16 * height))))
    x, y = generator.uniform(0, width), generator.uniform(0.05, 0.9) * height
    tone, post = _tones(generator, 2)
    kind = generator.random()
    thin = generator.uniform(0.08, 0.5) * radius
    if kind < 0.4:
        draw.rectangle((x - thin, y, x + thin, height), fill=post)
    elif kind < 0.6:
        draw.rectangle((x - thin / 3, 0, x + thin / 3, y), fill=post)
    elif kind < 0.75:
        # Like shoulders, and none.
        draw.rounded_rectangle(
            (x - 1.8 * radius, y + 1.2 * radius, x + 1.8 * radius, y + 5 * radius),
            radius=radius,
            fill=post,
        )
    squash = generator.uniform(0.75, 1.35)
    lean = generator.uniform(-0.4, 0.4, 2)
    rings = 6
    for ring in range(rings):
        part = 1 - ring / rings
        shift = lean * radius * (1 - part)
        shaded = int(np.clip(tone + (ring - 2) * generator.uniform(4, 14), 0, 255))
        r = radius * part
        cx, cy = x + shift[0], y + shift[1]
        draw.ellipse((cx - r, cy - r * squash, cx + r, cy + r * squash), fill=shaded)


def _pot(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    """Draw a pot with leaves or flowers above it."""
    width, height = size
    wide = float(np.exp(generator.uniform(np.log(6), np.log(0.25 * width))))
    x, y = generator.uniform(0, width), generator.uniform(0.4, 1.0) * height
    pot, leaf, flower = _tones(generator, 3)
    draw.polygon(
        ((x - wide / 2, y), (x + wide / 2, y), (x + wide / 3, y + wide), (x - wide / 3, y + wide)),
        fill=pot,
    )
    for _ in range(int(generator.integers(6, 40))):
        dx, dy = generator.normal(0, 0.35, 2) * wide
        r = generator.uniform(0.04, 0.2) * wide
        ink = int(np.clip(generator.choice([leaf, leaf, flower]) + generator.normal(0, 20), 0, 255))
        cx, cy = x + dx, y - 0.4 * wide + dy
        draw.ellipse((cx - r, cy - r * 0.7, cx + r, cy + r * 0.7), fill=ink)


def _box(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    """Draw a bin, a letter box, a sign or a car: boxes with smaller boxes and circles in them."""
    width, height = size
    wide = float(np.exp(generator.uniform(np.log(8), np.log(0.5 * width))))
    tall = wide * generator.uniform(0.4, 1.6)
    x, y = generator.uniform(-0.1, 0.95) * width, generator.uniform(0.1, 0.9) * height
    body = int(generator.integers(0, 256))
    draw.rounded_rectangle(
        (x, y, x + wide, y + tall), radius=generator.uniform(0, 0.3) * min(wide, tall), fill=body
    )
    for _ in range(int(generator.integers(0, 6))):
        ink = int(generator.integers(0, 256))
        left, top = x + generator.uniform(0, 0.8) * wide, y + generator.uniform(0, 0.8) * tall
        w, h = generator.uniform(0.05, 0.4, 2) * (wide, tall)
        shape = draw.ellipse if generator.random() < 0.5 else draw.rectangle
        shape((left, top, left + w, top + (w if shape == draw.ellipse else h)), fill=ink)


def _line(draw: ImageDraw.ImageDraw, size: tuple[int, int], generator: Generator) -> None:
    """Draw a pole, a rail, a cable or a row of railings."""
    width, height = size
    ink = int(generator.integers(0, 256))
    thick = int(generator.integers(1, 10))
    if generator.random() < 0.4:
        gap = generator.uniform(4, 30)
        top, bottom = np.sort(generator.uniform(0.2, 1.0, 2)) * height
        for x in np.arange(generator.uniform(0, gap), width, gap):
            draw.line((x, top, x, bottom), fill=ink, width=max(1, thick // 2))
        return
    x, y = generator.uniform(0, 1, 2) * size
    if generator.random() < 0.6:
        draw.line((x, 0, x + generator.normal(0, 6), height), fill=ink, width=thick)
    else:
        draw.line((0, y, width, y + generator.normal(0, 20)), fill=ink, width=thick)


_OBJECTS = (_ball, _ball, _pot, _box, _line)
