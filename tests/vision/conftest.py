"""What the tests of `vision` share."""

from pathlib import Path

import numpy as np
import pytest

import vision
from vision.networks.runtime import available

PICTURES = Path(__file__).resolve().parents[1] / "pictures"


@pytest.fixture(scope="session", params=available())
def bundle(request) -> vision.Bundle:
    """The bundled models on every runtime installed here."""
    return vision.load_bundle(runtime=request.param)


@pytest.fixture(scope="session")
def picture():
    """Decode a bundled picture by its name."""

    def read(name: str) -> np.ndarray:
        return vision.decode_rgb((PICTURES / f"{name}.jpg").read_bytes())

    return read


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261123)
