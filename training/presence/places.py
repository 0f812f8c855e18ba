"""Empty places to learn from: ordinary views out of panoramas without anyone.

The npm package `@pmndrs/assets` carries 18 panoramas of Poly Haven (CC0), each an OpenEXR file
inside a JavaScript module: rooms, halls, streets, woods. Reading them needs `pip install openexr`.
"""

from __future__ import annotations

import base64
import re
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

SIZE = (320, 240)
"""Width and height of a view, which spans 80 degrees sideways."""

_FIELD = 80.0
_TURNS = range(0, 360, 45)


def read_panorama(path: Path) -> np.ndarray:
    """Return the linear light of a panorama module, float32[H,2H,3]."""
    import OpenEXR  # noqa: PLC0415 - needed for this step alone

    found = re.search(r"base64,([A-Za-z0-9+/=]+)", path.read_text())
    if found is None:
        raise ValueError(f"{path} holds no data URI")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "panorama.exr"
        file.write_bytes(base64.b64decode(found[1]))
        channels = OpenEXR.File(str(file)).channels()
        light: np.ndarray = channels["RGB"].pixels
    return light[..., :3].astype(np.float32)


def expose(light: np.ndarray) -> np.ndarray:
    """Return uint8 sRGB-like pixels: the brightest tenth is white, gamma 2.2."""
    white = max(float(np.quantile(light.max(-1), 0.9)), 1e-6)
    return np.rint(np.clip(light / white, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def look(panorama: np.ndarray, turn: float) -> np.ndarray:
    """Return the level view uint8[240,320,3] towards `turn` degrees of uint8[H,2H,3]."""
    height, width = panorama.shape[:2]
    across, down = SIZE
    distance = across / 2 / np.tan(np.radians(_FIELD / 2))
    x, y = np.meshgrid(np.arange(across) - (across - 1) / 2, np.arange(down) - (down - 1) / 2)
    longitude = np.arctan2(x, distance) + np.radians(turn)
    latitude = np.arctan2(y, np.hypot(x, distance))
    column = (longitude / (2 * np.pi) % 1) * width - 0.5
    row = (latitude / np.pi + 0.5) * height - 0.5
    # Wrapped by hand: the left neighbour of the first column is the last one.
    wrapped = np.concatenate([panorama[:, -1:], panorama, panorama[:, :1]], axis=1)
    planes = [
        map_coordinates(wrapped[..., plane].astype(np.float32), [row, column + 1], order=1)
        for plane in range(3)
    ]
    return np.rint(np.clip(np.stack(planes, -1), 0, 255)).astype(np.uint8)


def unfold(package: Path, folder: Path) -> int:
    """Write eight views of every panorama in an unpacked package; return how many."""
    folder.mkdir(parents=True, exist_ok=True)
    made = 0
    for path in sorted((package / "hdri").glob("*.exr.js")):
        panorama = expose(read_panorama(path))
        for turn in _TURNS:
            view = Image.fromarray(look(panorama, turn))
            view.save(folder / f"{path.name.split('.')[0]}-{turn:03d}.webp", quality=92)
            made += 1
    return made
