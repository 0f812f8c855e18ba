"""Faces lit by one lamp beside or behind them: half of the face, or more, lies in the dark.

A head is taken for an ellipsoid around the face's box; Lambert's law says how much light each place
gets (as the verifier's crops are lit, there with a face's own shape). Simulations, not lamps.
"""

from __future__ import annotations

import numpy as np

from training.detector.night import to_linear, to_srgb

# Half axes of a head over width and height of the box of its face, which ends at brow and chin.
_HEAD = (0.66, 0.78)
# Over this share of the head its light fades into that of the surroundings.
_EDGE = 0.2


def shade(picture: np.ndarray, boxes: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return uint8[H,W,3] as one lamp would light it, 40 to 120 degrees beside the gaze.

    `boxes` float[F,4] are those of its faces. Surroundings get anything from little light to most
    of what they had.
    """
    height, width = picture.shape[:2]
    beside = np.radians(generator.uniform(40, 120)) * generator.choice([-1, 1])
    above = np.radians(generator.uniform(-20, 50))
    to_lamp = np.array(
        [np.sin(beside) * np.cos(above), -np.sin(above), np.cos(beside) * np.cos(above)]
    )
    ambient = float(10 ** generator.uniform(-2.3, -0.8))
    strength = float(generator.uniform(0.8, 1.6))
    light = np.full((height, width), generator.uniform(ambient, 0.7), np.float32)
    for x1, y1, x2, y2 in boxes:
        half = np.array(_HEAD) * (x2 - x1, y2 - y1)
        if min(half) < 1:
            continue
        middle = np.array([x1 + x2, y1 + y2]) / 2 - (0, 0.06 * (y2 - y1))
        first = np.clip(np.floor(middle - half), 0, (width, height)).astype(int)
        last = np.clip(np.ceil(middle + half), 0, (width, height)).astype(int)
        x = (np.arange(first[0], last[0]) + 0.5 - middle[0]) / half[0]
        y = ((np.arange(first[1], last[1]) + 0.5 - middle[1]) / half[1])[:, None]
        inside = np.clip(1 - x * x - y * y, 0, 1)
        towards = x * to_lamp[0] + y * to_lamp[1] + np.sqrt(inside) * to_lamp[2]
        lit = ambient + strength * np.clip(towards, 0, None)
        share = np.clip(inside / _EDGE, 0, 1)
        there = (slice(first[1], last[1]), slice(first[0], last[0]))
        light[there] = light[there] * (1 - share) + lit * share
    return to_srgb(to_linear(picture) * light[..., None])
