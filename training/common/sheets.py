"""Sheets of picture pairs to look at. They show people: they stay in the run's folder."""

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.common.pictures import CROP

GAP = 8
LINE = 14
BACKDROP = (24, 24, 24)


@dataclass(frozen=True)
class Cell:
    """A row of crops uint8 [112, 112, 3] side by side, and the lines of text under it."""

    crops: list[np.ndarray]
    lines: list[str]


def sheet(cells: list[Cell], *, columns: int = 4) -> Image.Image:
    """Lay out the cells from left to right and top to bottom.

    Raises ValueError without a cell.
    """
    if not cells:
        raise ValueError("a sheet needs a cell")
    width = max(len(cell.crops) for cell in cells) * CROP
    height = CROP + LINE * max(len(cell.lines) for cell in cells)
    columns = min(columns, len(cells))
    rows = -(-len(cells) // columns)
    size = (GAP + columns * (width + GAP), GAP + rows * (height + GAP))
    picture = Image.new("RGB", size, BACKDROP)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(11)
    for number, cell in enumerate(cells):
        row, column = divmod(number, columns)
        x, y = GAP + column * (width + GAP), GAP + row * (height + GAP)
        for place, crop in enumerate(cell.crops):
            picture.paste(Image.fromarray(crop), (x + place * CROP, y))
        for place, line in enumerate(cell.lines):
            draw.text((x, y + CROP + place * LINE), _fitting(line, font, width), "white", font)
    return picture


def _fitting(line: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int) -> str:
    """Cut a line that would run into its neighbour."""
    while line and font.getlength(line) > width:
        line = line[:-1]
    return line
