"""The motion gate opens when enough of the picture changes for a person to be there.

Finding and embedding a face costs many times this comparison of a 96-pixel-high grey picture with
a background (`benchmarks/runtimes.py`), and most of the day nothing happens. The gate saves energy;
it is never evidence, so it opens when in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from ..types import FloatArray, GreyImage, Motion


@dataclass(frozen=True, slots=True)
class GateSettings:
    """How readily the gate opens."""

    min_share: float = 0.01
    """Share of changed pixels, 0..1, that opens it."""
    min_change: float = 14.0
    """Smallest change of one pixel, 0..255 grey levels, that counts."""
    noise_factor: float = 6.0
    """A pixel must change by this many times its own usual noise, the median of its changes:
    6 medians are 4 standard deviations of Gaussian noise."""
    noise_rate: float = 0.2
    """Grey levels per second by which the estimate of a pixel's noise may change."""
    max_noise: float = 7.0
    """Most noise, in grey levels, that a pixel is credited with: the median of a very grainy night
    picture. Beyond, something passes all the time, and must not hide who stands there next."""
    background_rate: float = 1.0
    """Grey levels per second by which a pixel of the background follows a lasting change."""
    hold: float = 5.0
    """Seconds for which it stays open after the last motion."""
    adaptation: float = 30.0
    """Seconds in which the background makes up about two thirds of a change of light over the whole
    picture."""


class MotionGate:
    """Compare each frame with a background, both learnt as running medians.

    Background and noise move by steps of one size towards what is seen (sigma-delta estimation,
    Manzanera and Richefeu 2004), which settles each pixel at its median. A mean would blend
    frequent visitors into the background and the noise, and so hide the next one.

    The median change of all pixels is subtracted first, so that a cloud or the camera's automatic
    exposure is not motion; and each pixel's own noise raises its limit, so that neither rustling
    leaves nor a grainy night picture is.
    """

    def __init__(self, settings: GateSettings = GateSettings()) -> None:
        self._settings = settings
        self._background: FloatArray | None = None
        self._noise: FloatArray | None = None
        self._seen_at = 0.0
        self._open_until = 0.0

    def use(self, settings: GateSettings) -> None:
        """Open as readily as ``settings`` say from now on; what was learnt stays."""
        self._settings = settings

    def update(self, grey: GreyImage, now: float) -> Motion:
        """Take a grey frame uint8[H, W] and the monotonic time in seconds; say what moved.

        The first frame, or one of another size, opens the gate: a person may be there already.
        """
        frame = grey.astype(np.float32)
        background, noise = self._background, self._noise
        if background is None or noise is None or background.shape != frame.shape:
            self._background, self._noise = frame, np.zeros_like(frame)
            self._seen_at = now
            self._open_until = now + self._settings.hold
            return Motion(level=1.0, open=True)

        difference = frame - background
        light = np.float32(np.median(difference))
        local = difference - light
        change = np.abs(local)
        limit = np.maximum(self._settings.min_change, self._settings.noise_factor * noise)
        changed = change > limit
        level = float(np.count_nonzero(changed)) / change.size

        elapsed = min(max(0.0, now - self._seen_at), self._settings.hold)
        background += light * np.float32(1.0 - exp(-elapsed / self._settings.adaptation))
        # Never past what is seen, so that a still scene stays still.
        step = np.float32(self._settings.background_rate * elapsed)
        background += np.clip(local, -step, step)
        noise += np.float32(self._settings.noise_rate * elapsed) * np.sign(change - noise)
        np.clip(noise, 0.0, self._settings.max_noise, out=noise)
        self._seen_at = now

        if level >= self._settings.min_share:
            self._open_until = now + self._settings.hold
        return Motion(level=level, open=self.is_open(now), where=_where(changed))

    def keep_open(self, now: float) -> None:
        """Hold the gate open: a face is in view, however still it stands."""
        self._open_until = max(self._open_until, now + self._settings.hold)

    def is_open(self, now: float) -> bool:
        """Whether frames should be recognised at the monotonic time ``now``."""
        return now < self._open_until


def _where(changed: NDArray[np.bool_]) -> tuple[float, float, float, float] | None:
    """Return the box around what changed, but for single pixels; None without any."""
    height, width = changed.shape
    if height < 2 or width < 2:
        return None
    # Two by two pixels: one alone is noise.
    solid = changed[1:, 1:] & changed[:-1, 1:] & changed[1:, :-1] & changed[:-1, :-1]
    rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
    if not rows.size:
        return None
    return (
        float(columns[0]) / width,
        float(rows[0]) / height,
        float(columns[-1] + 2) / width,
        float(rows[-1] + 2) / height,
    )
