"""The mean of a face's frames: of one face alone, of late, and clearer than each of them."""

import itertools

import numpy as np
import pytest

from vision import Face, FaceQuality, align
from vision.stacking import (
    BRIGHT,
    FEWEST,
    MOST,
    REACH,
    SAME_FACE,
    WINDOW,
    Stacker,
    offset,
    resemblance,
    shifted,
)

NOISE = 16.0
DARK, LIGHT = FaceQuality(80, 40, 200), FaceQuality(80, BRIGHT, 200)
ROWS, COLUMNS = np.mgrid[0:112, 0:112]


def blob(down, right, height, width):
    return np.exp(-(((ROWS - down) / height) ** 2) - ((COLUMNS - right) / width) ** 2)


def drawn(*, beard=False, fringe=False):
    """Draw a face in poor light: an oval, eyes, a nose and a mouth, and what not everybody has."""
    grey = 8 + 50 * blob(60, 56, 50, 38)
    for eye in (38, 74):
        grey -= 30 * blob(52, eye, 4, 8) + 15 * blob(43, eye, 3, 10)
    grey += 12 * blob(66, 56, 14, 4)
    grey -= 22 * blob(92, 56, 4, 14)
    grey -= 35 * beard * blob(98, 56, 16, 30)
    grey -= 35 * fringe * blob(22, 56, 16, 40)
    return np.clip(grey[:, :, np.newaxis] * (1.0, 0.85, 0.7), 0, 255).astype(np.float32)


ANNA, BEN = drawn(), drawn(beard=True, fringe=True)


def noisy(clean, rng, *, down=0, right=0):
    """Take a frame: moved by so many pixels, with a sensor's noise."""
    moved = shifted(clean, down, right) + rng.normal(0, NOISE, clean.shape)
    return np.clip(np.round(moved), 0, 255).astype(np.uint8)


def face(x=100.0, width=80.0):
    return Face((x, 50, x + width, 50 + width), np.zeros((5, 2), np.float32), 0.9)


def error(picture, clean):
    """Root mean square error within the face, without a difference in brightness."""
    inner = (picture.astype(np.float32) - clean)[16:96, 24:88]
    return float((inner - inner.mean()).std())


class Camera:
    """Films one place after another with a stacker; every frame differs."""

    def __init__(self, rng):
        self.rng = rng
        self.stacker = Stacker()
        self.now = 16.0
        self.serial = itertools.count()

    def film(self, clean=ANNA, *, after=0.25, quality=DARK, x=100.0, digest=None, **moved):
        """Show one face, or nothing that can be read where `quality` is None."""
        crop = None if quality is None else (noisy(clean, self.rng, **moved), quality)
        return self.show((face(x), crop), after=after, digest=digest)[0]

    def show(self, *shown, after=0.25, digest=None):
        self.now += after
        faces, crops = zip(*shown, strict=True) if shown else ((), ())
        digest = digest or str(next(self.serial)).encode()
        return self.stacker.add(faces, crops, self.now, digest)

    def several(self, number, clean=ANNA, **options):
        return [self.film(clean, **options) for _ in range(number)][-1]


@pytest.fixture
def camera(rng):
    return Camera(rng)


# What it is for


def test_noise_falls_with_the_root_of_the_number_of_frames(camera):
    single = error(noisy(ANNA, camera.rng), ANNA)
    errors = [error(camera.film().whole, ANNA) for _ in range(MOST) if camera.now > 16.5]
    del errors
    camera = Camera(camera.rng)
    for number in range(1, MOST + 1):
        stack = camera.film()
        if number < FEWEST:
            assert stack is None
            continue
        assert len(stack.taken_at) == number
        # Rounding to whole numbers adds a little; dark pixels are cut off at black.
        assert error(stack.whole, ANNA) == pytest.approx(single / number**0.5, rel=0.15)
        assert error(stack.older, ANNA) == pytest.approx(single / (number // 2) ** 0.5, rel=0.15)
