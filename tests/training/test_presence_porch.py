"""Drawn places and weather, more views of panoramas, and going on from an exported gate."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from training.common.split import TRAIN, side_of
from training.detector.data import Labels
from training.presence import places
from training.presence.canvases import CanvasMaker, targets_of
from training.presence.data import Source
from training.presence.export import export, smooth_noise
from training.presence.model import ExportedPresence, PresenceNet
from training.presence.porch import porch, weather
from training.presence.thaw import thaw


@pytest.mark.parametrize("size", [(160, 96), (32, 48), (48, 32)])
def test_a_porch_has_nobody_and_much_to_see(size: tuple[int, int]) -> None:
    drawn = [porch(size, np.random.default_rng(seed)) for seed in range(12)]
    for view in drawn:
        assert view.grey.shape == size[::-1]
        assert view.grey.dtype == np.uint8
        assert not view.zone.any()
        assert not len(view.labels.boxes)
        assert view.grey.std() > 3
    means = [view.grey.mean() for view in drawn]
    assert np.std(means) > 10


def test_weather_adds_light_in_places() -> None:
    grey = np.full((96, 160), 60, np.uint8)
    changed = []
    for seed in range(25):
        seen = weather(grey, np.random.default_rng(seed))
        assert seen.shape == grey.shape
        assert (seen >= grey).all()
        changed.append((seen > grey + 8).mean())
    assert 0.001 < np.median(changed) < 0.9
    assert max(changed) > 0.05


def test_shares_draw_porches_and_weather_and_none_changes_nothing() -> None:
    def canvases(**shares: float) -> list[np.ndarray]:
        box, points = np.array([[140, 60, 180, 110]], "f4"), np.zeros((1, 5, 2), "f4")
        labels = Labels(box, points, np.array([True]))
        grey = np.tile(np.linspace(0, 255, 320).astype(np.uint8), (240, 1))
        maker = CanvasMaker([Source(grey, labels, "one")], [], **shares)
        generator = np.random.default_rng(5)
        return [maker.make(generator).grey for _ in range(8)]

    plain = canvases()
    assert all((a == b).all() for a, b in zip(plain, canvases(), strict=True))
    drawn = canvases(porch_share=1.0, weather_share=1.0)
    assert any((a != b).any() for a, b in zip(plain, drawn, strict=True))


def test_porches_ask_for_silence_everywhere() -> None:
    fine, coarse = targets_of(porch((160, 96), np.random.default_rng(1)))
    assert not fine.any()
    assert not coarse.any()


def panorama() -> np.ndarray:
    """Longitude in red, latitude in green, a bright spot below the horizon in blue."""
    height, width = 90, 180
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.linspace(0, 255, width)[None, :]
    picture[..., 1] = np.linspace(0, 255, height)[:, None]
    picture[66:69, 120:123, 2] = 255
    return picture


def test_a_view_nods_and_widens() -> None:
    level = places.look(panorama(), 180)
    lowered = places.look(panorama(), 180, nod=25)
    wide = places.look(panorama(), 180, field=110)
    middle = (slice(115, 125), slice(155, 165))
    assert level[middle][..., 1].mean() == pytest.approx(127, abs=3)
    assert lowered[middle][..., 1].mean() == pytest.approx(127 + 255 * 25 / 180, abs=3)
    assert np.ptp(wide[120, :, 0].astype(int)) > np.ptp(level[120, :, 0].astype(int)) + 20
    # Without a nod nothing tilts: the horizon stays a row.
    assert np.ptp(level[120, :, 1].astype(int)) <= 2


def test_more_views_are_named_after_their_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "package"
    (package / "hdri").mkdir(parents=True)
    for name in ("hall", "park"):
        (package / "hdri" / f"{name}.exr.js").write_text("")
    light = panorama().astype(np.float32)
    monkeypatch.setattr(places, "read_panorama", lambda _path: light)
    folder = tmp_path / "views"
    folder.mkdir()
    assert places.unfold_more(package, folder, views=3) == 6
    sides = {path.stem.rsplit("-", 1)[0] for path in folder.iterdir()}
    assert sides == {"hall", "park"}
    assert {side_of(f"place/{one}", 0) == TRAIN for one in sides} <= {True, False}
    first, second = (np.asarray(Image.open(folder / f"hall-v{k:02d}.webp")) for k in (0, 1))
    assert (first != second).any()


def test_training_goes_on_where_the_exported_gate_stands(tmp_path: Path) -> None:
    torch.manual_seed(3)
    net = PresenceNet().train()
    for part in net.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            part.momentum = None  # the mean of all that was seen
    pictures = torch.from_numpy(smooth_noise((8, 1, 96, 160), 1))
    net(pictures)
    for head in (net.fine, net.coarse):
        torch.nn.init.normal_(head.weight, std=0.05)
    torch.nn.init.normal_(net.whole.weight, std=0.05)
    card = {"version": "7", "licence": "none", "origin": "random", "threshold": 0.3}
    torch.save({"model": net.state_dict(), "card": card}, tmp_path / "some.pt")
    export(tmp_path / "some.pt", tmp_path)

    again = PresenceNet().train()
    thaw(again, tmp_path / "presence.onnx", pictures)
    assert again.training
    with torch.no_grad():
        wanted = ExportedPresence(net.eval())(pictures)
        calm = ExportedPresence(again.eval())(pictures)
        # In training mode the normalisations use the batch's own figures, here the same ones.
        busy = ExportedPresence(again.train())(pictures)
    assert wanted.std() > 0.001
    torch.testing.assert_close(calm, wanted, atol=0.02, rtol=0)
    torch.testing.assert_close(busy, calm, atol=0.01, rtol=0)


def test_another_network_is_refused(tmp_path: Path) -> None:
    import onnx

    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "other.onnx"))
    with pytest.raises(ValueError, match="no export"):
        thaw(PresenceNet(), tmp_path / "other.onnx", torch.zeros(1, 1, 96, 160))
