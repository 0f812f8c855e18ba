"""The bundled detector, loaded as training and benchmarks do."""

import pytest

import vision


@pytest.fixture(scope="session")
def detector():
    return vision.load_bundle().detector
