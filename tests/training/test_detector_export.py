"""The exported files do what the network does, in both runtimes, at several sizes."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from training.detector import export
from training.detector.model import ExportedDetector, FaceDetector, output_names

CARD = {"version": "7", "licence": "none", "origin": "random", "score_threshold": 0.55}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[FaceDetector, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("export")
    torch.manual_seed(3)
    model = FaceDetector().eval()
    checkpoint = folder / "some.pt"
    torch.save({"model": model.state_dict(), "card": CARD}, checkpoint)
    return model, folder, export.export(checkpoint, folder)


def test_onnx_file_keeps_the_contract(exported: Any) -> None:
    _, folder, _ = exported
    path = folder / "detector.onnx"
    graph = onnx.load(str(path))
    assert [item.version for item in graph.opset_import] == [17]
    assert [item.name for item in graph.graph.input] == ["image"]
    assert [item.name for item in graph.graph.output] == output_names()
    assert path.stat().st_size <= 400_000


def test_entry_describes_the_files(exported: Any) -> None:
    _, folder, entry = exported
    files = entry["files"]
    for listed in (files["onnx"], files["ncnn"]["param"], files["ncnn"]["bin"]):
        assert (
            hashlib.sha256((folder / listed["name"]).read_bytes()).hexdigest() == listed["sha256"]
        )
    assert {key: entry[key] for key in CARD} == CARD
    assert entry["input"]["channels"] == "RGB"


@pytest.mark.parametrize("size", [(64, 64), (96, 160)])
@pytest.mark.parametrize("runtime", ["onnx", "ncnn"])
def test_runtimes_agree_with_pytorch(exported: Any, size: tuple[int, int], runtime: str) -> None:
    model, folder, _ = exported
    image = np.random.default_rng(1).uniform(0, 255, (1, 3, *size)).astype(np.float32)
    with torch.no_grad():
        wanted = [one[0].numpy() for one in ExportedDetector(model)(torch.from_numpy(image))]
    if runtime == "onnx":
        made = export.run_onnx(folder / "detector.onnx", image)
    else:
        made = export.run_ncnn(folder / "detector.param", folder / "detector.bin", image)
    for one, other in zip(wanted, made, strict=True):
        assert one.std() > 0
        np.testing.assert_allclose(other, one, atol=1e-3)


def test_parity_check_notices_other_weights(exported: Any) -> None:
    _, folder, _ = exported
    torch.manual_seed(4)
    with pytest.raises(ValueError, match="differ"):
        export.check_parity(
            FaceDetector().eval(),
            *(folder / f"detector.{suffix}" for suffix in ("onnx", "param", "bin")),
        )
