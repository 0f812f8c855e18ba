"""The gate's exported files do what the network does, in both runtimes, at every width."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from training.common.formats import Paths
from training.presence import export
from training.presence.model import ExportedPresence, PresenceNet

CARD = {"version": "7", "licence": "none", "origin": "random", "threshold": 0.3}


def lively() -> PresenceNet:
    """A random network whose normalisation has seen pictures and whose output is not flat."""
    torch.manual_seed(3)
    net = PresenceNet().train()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the mean of all that was seen
    for seed in range(5):
        net(torch.from_numpy(export.smooth_noise((8, 1, 96, 160), seed)))
    for head in (net.fine, net.coarse):
        torch.nn.init.normal_(head.weight, std=0.05)
    return net.eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("export")
    checkpoint = folder / "some.pt"
    torch.save({"model": lively().state_dict(), "card": CARD}, checkpoint)
    return checkpoint, folder, export.export(checkpoint, folder)


def test_onnx_file_keeps_the_contract(exported: Any) -> None:
    _, folder, _ = exported
    path = folder / "presence.onnx"
    graph = onnx.load(str(path))
    assert [item.version for item in graph.opset_import] == [17]
    assert [item.name for item in graph.graph.input] == ["image"]
    assert [item.name for item in graph.graph.output] == ["presence"]
    assert path.stat().st_size <= 100_000


def test_entry_describes_the_files(exported: Any) -> None:
    _, folder, entry = exported
    files = entry["files"]
    for listed in (files["onnx"], files["ncnn"]["param"], files["ncnn"]["bin"]):
        content = (folder / listed["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == listed["sha256"]
    assert {key: entry[key] for key in CARD} == CARD
    assert entry["input"]["height"] == 96


@pytest.mark.parametrize("width", [48, 128, 176])
def test_runtimes_agree_with_the_trained_network(exported: Any, width: int) -> None:
    checkpoint, folder, _ = exported
    paths = Paths.inside(folder, "presence")
    image = export.smooth_noise((6, 1, 96, width), width)
    with torch.no_grad():
        wanted = export.exportable(checkpoint)(torch.from_numpy(image))[:, 0]
    assert wanted.std() > 0.003
    made = (
        export.run_onnx(export.open_onnx(paths.onnx), image),
        export.run_ncnn(paths, image, "presence"),
    )
    for figures in made:
        np.testing.assert_allclose(figures, wanted.numpy(), atol=1e-4)
    np.testing.assert_allclose(made[0], made[1], atol=1e-4)


def test_parity_check_notices_other_weights(exported: Any) -> None:
    _, folder, _ = exported
    torch.manual_seed(4)
    other = ExportedPresence(PresenceNet()).eval()
    images = [export.smooth_noise((2, 1, 96, 160), 1)]
    with pytest.raises(ValueError, match="differ"):
        export.check_parity(other, Paths.inside(folder, "presence"), "presence", images)


def test_folding_leaves_no_normalisation_and_little_difference() -> None:
    net = ExportedPresence(lively())
    small = export.folded(net)
    assert not any(isinstance(one, torch.nn.BatchNorm2d) for one in small.modules())
    image = torch.from_numpy(export.smooth_noise((4, 1, 96, 96), 2))
    with torch.no_grad():
        assert (net(image) - small(image)).abs().max() < 0.05
    assert all(torch.equal(one, one.half().float()) for one in small.parameters())


def test_pointwise_weights_are_few_multiples_of_a_power_of_two() -> None:
    small = export.folded(ExportedPresence(lively()))
    pointwise = [one.numpy(force=True) for one in small.parameters() if one.shape[2:] == (1, 1)]
    assert len(pointwise) > 10
    for weight in pointwise:
        steps = export.steps_of(weight)
        assert (np.log2(steps) % 1 == 0).all()
        multiples = weight / steps[:, None, None, None]
        assert (multiples == np.rint(multiples)).all()
        # The finest step that holds the largest weight.
        largest = np.abs(multiples).max((1, 2, 3))
        assert ((largest > 63) & (largest <= 127)).all()
