"""The view of the door camera while nobody is there: drawn, so it has no face and no owner."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIZE = (1280, 720)
GATE_TOP = 560
"""Row where the garden gate begins; visitors stand behind it, so their lower edge never shows."""

_SCALE = 2  # drawn at twice the size and reduced: smooth edges


def _xy(*points: tuple[float, float]) -> list[tuple[float, float]]:
    return [(x * _SCALE, y * _SCALE) for x, y in points]


def _sky() -> Image.Image:
    """Overcast evening sky, darker towards the top."""
    width, height = (side * _SCALE for side in SIZE)
    top, bottom = np.array([138, 158, 178.0]), np.array([214, 218, 214.0])
    ramp = np.linspace(0, 1, height)[:, None] ** 0.8
    column = top + (bottom - top) * ramp
    return Image.fromarray(np.repeat(column[:, None, :], width, axis=1).astype(np.uint8))


def _street(draw: ImageDraw.ImageDraw, rng: np.random.Generator) -> None:
    """Trees, the house on the other side, lawn and path."""
    for _ in range(70):
        x, y, r = rng.uniform(-40, 1320), rng.uniform(190, 330), rng.uniform(28, 75)
        green = rng.uniform(0.75, 1.1)
        draw.ellipse(_xy((x - r, y - r), (x + r, y + r)), fill=_grey_green(green))
    draw.rectangle(_xy((730, 170), (1130, 400)), fill=(176, 158, 140))
    draw.polygon(_xy((700, 175), (930, 70), (1160, 175)), fill=(104, 78, 70))
    for x in (770, 880, 1030):
        draw.rectangle(_xy((x - 6, 214), (x + 66, 306)), fill=(226, 222, 212))
        draw.rectangle(_xy((x, 220), (x + 60, 300)), fill=(74, 88, 102))
        draw.line(_xy((x + 30, 220), (x + 30, 300)), fill=(226, 222, 212), width=4 * _SCALE)
    draw.rectangle(_xy((0, 385), (1280, 720)), fill=(112, 130, 84))
    draw.rectangle(_xy((0, 392), (1280, 420)), fill=(122, 122, 124))
    draw.polygon(_xy((600, 420), (690, 420), (1010, 720), (270, 720)), fill=(168, 160, 150))
    for y in (445, 480, 525, 585, 660):
        half = 45 + (y - 420) * 1.08
        line = _xy((645 - half, y), (645 + half, y))
        draw.line(line, fill=(148, 140, 132), width=3 * _SCALE)


def _grey_green(level: float) -> tuple[int, int, int]:
    return int(84 * level), int(104 * level), int(72 * level)


def _porch(draw: ImageDraw.ImageDraw) -> None:
    """Draw the near brick pillar at the left and the eaves above."""
    draw.rectangle(_xy((0, 0), (150, 720)), fill=(126, 82, 68))
    for row, y in enumerate(range(0, 720, 36)):
        draw.line(_xy((0, y), (150, y)), fill=(164, 142, 128), width=4 * _SCALE)
        for x in range(-60 + 45 * (row % 2), 150, 90):
            draw.line(_xy((x, y), (x, y + 36)), fill=(164, 142, 128), width=4 * _SCALE)
    draw.rectangle(_xy((150, 0), (160, 720)), fill=(88, 60, 52))
    draw.rectangle(_xy((0, 0), (1280, 34)), fill=(232, 228, 220))
    draw.rectangle(_xy((0, 34), (1280, 44)), fill=(150, 146, 140))


@cache
def background() -> Image.Image:
    """Return everything behind a visitor, RGB."""
    picture = _sky()
    _street(ImageDraw.Draw(picture), np.random.default_rng(7))
    picture = picture.filter(ImageFilter.GaussianBlur(2.2 * _SCALE))
    _porch(ImageDraw.Draw(picture))
    return picture.resize(SIZE, Image.Resampling.LANCZOS)


@cache
def foreground() -> Image.Image:
    """Return the garden gate, in front of a visitor, RGBA."""
    width, height = SIZE
    picture = Image.new("RGBA", (width * _SCALE, height * _SCALE))
    draw = ImageDraw.Draw(picture)
    wood, edge, gap = (238, 234, 226), (176, 172, 166), (70, 74, 66)
    draw.rectangle(_xy((160, GATE_TOP + 22), (width, height)), fill=(*gap, 255))
    for x in range(168, width, 62):
        outline = _xy(
            (x, height), (x, GATE_TOP + 22), (x + 26, GATE_TOP), (x + 52, GATE_TOP + 22)
        ) + _xy((x + 52, height))
        draw.polygon(outline, fill=(*wood, 255))
        draw.line([*outline, outline[0]], fill=(*edge, 255), width=2 * _SCALE)
    for y in (GATE_TOP + 46, GATE_TOP + 122):
        draw.rectangle(_xy((160, y), (width, y + 24)), fill=(*wood, 255))
        draw.line(_xy((160, y + 24), (width, y + 24)), fill=(*edge, 255), width=3 * _SCALE)
    return picture.resize(SIZE, Image.Resampling.LANCZOS)
