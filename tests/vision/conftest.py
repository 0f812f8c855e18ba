"""Make the core importable as `vision`, as training and outside measurements do."""

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
# Appended, so that nothing in the integration can shadow an installed module.
sys.path.append(str(ROOT / "custom_components" / "face_lock"))
sys.path.append(str(ROOT))  # for what the tests share

import vision  # noqa: E402
from vision.runtime import available  # noqa: E402

PICTURES = ROOT / "tests" / "pictures"


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
