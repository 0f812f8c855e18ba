"""What one frame tells about whether a face is alive, measured while its pixels are available."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..networks.antispoofing import Antispoofing
from ..networks.liveness import Liveness
from ..types import Cues, Face, RgbImage
from .moire import moire
from .view import cut_view

_COLOURLESS = 3.0
"""Mean difference of a pixel's strongest and weakest channel; JPEG tints an infrared picture."""


def measure_cues(
    network: Liveness | None, rgb: RgbImage, face: Face, second: Antispoofing | None = None
) -> Cues | None:
    """Measure a face of uint8[H, W, 3]; ``None`` where its box is not in the picture.

    What cannot be measured is ``None`` in the result, which does not speak for the face.

    Raises:
        RuntimeError: the network's answer is not a probability.

    """
    try:
        view = cut_view(rgb, face.box)
    except ValueError:
        return None
    return Cues(
        view=view,
        live=None if network is None else _score(lambda: network.score(rgb, face).live),
        moire=moire(rgb, face.box),
        infrared=_colourless(rgb, face),
        second=None if second is None else _score(lambda: second.score(rgb, face)),
    )


def _score(network: Callable[[], float]) -> float | None:
    try:
        return network()
    except ValueError:
        return None


def _colourless(rgb: RgbImage, face: Face) -> bool:
    height, width = rgb.shape[:2]
    left, top = max(int(face.box[0]), 0), max(int(face.box[1]), 0)
    right, bottom = min(int(face.box[2]) + 1, width), min(int(face.box[3]) + 1, height)
    step = max((right - left) // 32, 1)
    part = rgb[top:bottom:step, left:right:step].astype(np.int16)
    return part.size > 0 and float(np.ptp(part, axis=2).mean()) < _COLOURLESS
