"""Made-up places: a wall and a floor with doors, windows and posts, and nobody there."""

from __future__ import annotations

import numpy as np
from PIL import Image

from training.sample.heads import linear


def draw_place(generator: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Return linear light float32[H,W,3] of a random place; `size` is width and height."""
    width, height = size
    wall, floor = generator.uniform(0.25, 0.9, (2, 1)) + generator.uniform(-0.1, 0.1, (2, 3))
    pixels = np.empty((height, width, 3))
    edge = int(generator.uniform(0.55, 0.95) * height)
    pixels[:edge], pixels[edge:] = wall, floor
    for _ in range(generator.integers(1, 6)):
        wide, tall = generator.uniform(0.04, 0.35) * width, generator.uniform(0.15, 0.8) * height
        left = int(generator.uniform(-0.1, 1.0) * width)
        top = int(edge - tall if generator.random() < 0.6 else generator.uniform(0, edge))
        rows = slice(max(0, top), max(0, top + int(tall)))
        columns = slice(max(0, left), max(0, left + int(wide)))
        colour = generator.uniform(0.05, 0.95) + generator.uniform(-0.12, 0.12, 3)
        pixels[rows, columns] = colour
        if generator.random() < 0.6:
            inner = slice(rows.start + 3, max(rows.start + 3, rows.stop - 3))
            pixels[inner, columns.start + 3 : columns.stop - 3] = colour * generator.uniform(0.5, 1)
    # Plaster, leaves, and light that falls off.
    cells = int(generator.integers(4, 40))
    coarse = generator.normal(1, generator.uniform(0.02, 0.15), (cells, cells)).astype(np.float32)
    pixels *= np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))[..., None]
    ends = generator.uniform(0.6, 1.1, (2, 2)).astype(np.float32)
    pixels *= np.asarray(Image.fromarray(ends).resize(size, Image.Resampling.BILINEAR))[..., None]
    return linear(np.clip(pixels, 0.01, 1)).astype(np.float32)
