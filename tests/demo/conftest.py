"""The bundled detector, loaded as training and benchmarks do: `vision` as a top-level package."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
# Appended, so that nothing in the integration can shadow an installed module.
sys.path.append(str(ROOT / "custom_components" / "face_lock"))


@pytest.fixture(scope="session")
def detector():
    import vision

    return vision.load_bundle().detector
