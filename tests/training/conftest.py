"""Made-up faces: a person is some colours and proportions, every picture varies the rest."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from PIL import Image, ImageDraw

from training.common.pictures import STORED, encode
from training.detector.model import FaceDetector, _graph_order as graph_order


def _draw_face(person: int, picture: int) -> np.ndarray:
    """Return uint8 [128, 128, 3]: who is seen depends on `person`, how on `picture`."""
    who = np.random.default_rng((1, person))
    how = np.random.default_rng((2, person, picture))
    skin, eyes, hair, mouth = (tuple(int(v) for v in who.integers(20, 236, 3)) for _ in range(4))
    width, height, gap, size = who.uniform((28, 36, 14, 4), (42, 50, 20, 9))
    backdrop = tuple(int(v) for v in how.integers(110, 146, 3))
    image = Image.new("RGB", (STORED, STORED), backdrop)
    draw = ImageDraw.Draw(image)
    x, y = 64 + how.normal(0, 2, 2)
    draw.ellipse((x - width, y - height - 8, x + width, y + height - 8), fill=hair)
    draw.ellipse((x - width, y - height, x + width, y + height), fill=skin)
    for side in (-1, 1):
        left = x + side * gap
        draw.ellipse((left - size, y - 8 - size, left + size, y - 8 + size), fill=eyes)
    draw.rectangle((x - 2 * size, y + 24, x + 2 * size, y + 24 + size), fill=mouth)
    light = how.uniform(0.85, 1.15)
    noisy = np.asarray(image, np.float32) * light + how.normal(0, 6, (STORED, STORED, 3))
    return np.clip(noisy, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def draw_face():
    """`draw_face(person, picture)`: uint8 [128, 128, 3]."""
    return _draw_face


@pytest.fixture(scope="session")
def faces() -> tuple[list[bytes], np.ndarray]:
    """Six people with nine pictures each: stored crops, and whose they are."""
    images = [encode(_draw_face(person, picture)) for person in range(6) for picture in range(9)]
    return images, np.repeat(np.arange(6), 9)


@pytest.fixture(scope="session")
def crops() -> np.ndarray:
    """uint8 [12, 112, 112, 3]: two pictures each of six people."""
    stored = np.stack([_draw_face(person, picture) for person in range(6) for picture in (0, 1)])
    return np.ascontiguousarray(stored[:, 8:120, 8:120])


@pytest.fixture(scope="session")
def yunet_like():
    """`yunet_like(path, seed=0, scale=1.0)`: see `_write_yunet_like`."""
    return _write_yunet_like


def _write_yunet_like(path: Path, seed: int = 0, scale: float = 1.0) -> list[np.ndarray]:
    """Write a graph with YuNet-n's convolutions and random weights; return the weights.

    `scale` is their standard deviation.
    """
    generator = np.random.default_rng(seed)
    nodes, tensors, weights = [], [], []
    for index, layer in enumerate(graph_order(FaceDetector())):
        weight = generator.normal(0, scale, tuple(layer.weight.shape)).astype(np.float32)
        bias = generator.normal(0, scale, tuple(layer.bias.shape)).astype(np.float32)
        weights += [weight, bias]
        names = [f"w{index}", f"b{index}"]
        # Initialisers stand in another order than the nodes, as in the published file.
        tensors.insert(0, numpy_helper.from_array(weight, names[0]))
        tensors.append(numpy_helper.from_array(bias, names[1]))
        nodes.append(helper.make_node("Conv", [f"x{index}", *names], [f"x{index + 1}"]))
    graph = helper.make_graph(nodes, "yunet", [], [], tensors)
    onnx.save(helper.make_model(graph), str(path))
    return weights
