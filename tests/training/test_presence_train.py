"""The gate learns, is reproducible, and what it writes can be evaluated."""

import csv
import io
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image, ImageDraw

from training.common.settings import build
from training.detector.data import split_of
from training.presence import evaluate as measuring
from training.presence.model import Maps, PresenceNet, grow, load_checkpoint, view_logit
from training.presence.settings import PresenceConfig
from training.presence.train import cell_loss, share_at, train, view_loss
from training.presence.trials import Trial


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks this small are slower on many threads, many times so where cores are shared."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def drawn(seed: int, *, somebody: bool, size: tuple[int, int] = (160, 96)) -> Image.Image:
    """A round head on shoulders before posts, or the posts alone."""
    generator = np.random.default_rng(seed)
    image = Image.fromarray(generator.integers(60, 120, (*size[::-1], 3), dtype=np.uint8))
    draw = ImageDraw.Draw(image)
    for x in generator.integers(0, size[0], 3):
        draw.rectangle((x, 0, x + 6, size[1]), fill=(150, 150, 150))
    if somebody:
        x, y = (int(value) for value in generator.integers((40, 10), (size[0] - 60, 30)))
        draw.rectangle((x - 12, y + 36, x + 42, size[1]), fill=(30, 30, 60))
        draw.ellipse((x, y, x + 30, y + 38), fill=(225, 190, 170))
        for eye in (9, 21):
            draw.ellipse((x + eye - 3, y + 12, x + eye + 3, y + 18), fill=(10, 10, 10))
    return image


def test_overfits_a_handful_of_views() -> None:
    torch.manual_seed(0)
    pictures = [drawn(seed, somebody=seed % 2 == 0).convert("L") for seed in range(12)]
    image = torch.from_numpy(np.stack(pictures).astype(np.float32))[:, None]
    wanted = torch.tensor([[1.0], [0.0]] * 6)
    net = PresenceNet().train()
    optimiser = torch.optim.Adam(net.parameters(), lr=3e-3)
    for _ in range(100):
        logit = view_logit(net(image))
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.05
    # The running statistics, not the batch's, are what the door uses.
    figures = torch.sigmoid(view_logit(net.eval()(image)))
    assert ((figures > 0.5) == (wanted > 0.5)).all()


def test_cell_loss_ignores_bodies_and_falls_as_cells_learn() -> None:
    target = torch.zeros(1, 4, 4, dtype=torch.int8)
    target[0, 1, 1] = 1
    target[0, 2:] = -1
    right = torch.full((1, 1, 4, 4), -9.0)
    right[0, 0, 1, 1] = 9.0
    assert cell_loss(right, target) < 0.01
    shouting = right.clone()
    shouting[0, 0, 2:] = 50.0
    assert cell_loss(shouting, target) == cell_loss(right, target)
    assert cell_loss(-right, target) > 10
    assert torch.isfinite(cell_loss(right, torch.full_like(target, -1)))


def test_view_loss_counts_certain_views_only() -> None:
    fine = torch.tensor([1, 0, -1], dtype=torch.int8)[:, None, None]
    maps = Maps(*(torch.tensor([8.0, -8.0, 99.0])[:, None, None, None],) * 2, torch.zeros(3, 1))
    coarse = torch.tensor([0, 0, 0], dtype=torch.int8)[:, None, None]
    assert view_loss(maps, fine, coarse) < 0.01
    swapped = Maps(-maps.fine, -maps.coarse, maps.whole)
    assert view_loss(swapped, fine, coarse) > 7
    uncertain = Maps(maps.fine[2:], maps.coarse[2:], maps.whole[2:])
    assert view_loss(uncertain, fine[2:], coarse[2:]) == 0


def test_the_hardest_alone_teach_only_a_network_that_knows_something() -> None:
    shares = [share_at(done) for done in (0.0, 0.1, 0.2, 0.35, 0.5, 1.0)]
    assert shares[:3] == [1.0] * 3
    assert shares == sorted(shares, reverse=True)
    assert shares[-2] == shares[-1] < 0.5
    target = torch.zeros(1, 4, 4, dtype=torch.int8)
    target[0, 0, 0] = 1
    logits = torch.full((1, 1, 4, 4), -9.0)
    logits[0, 0, 0, 0], logits[0, 0, 3, 3] = 9.0, 3.0
    # One loud cell among the twelve that are looked at.
    assert cell_loss(logits, target, 1.0) == pytest.approx(3.05 / 12, abs=0.01)
    assert cell_loss(logits, target, 0.25) == pytest.approx(3.05 / 3, abs=0.01)


def test_the_view_says_what_its_highest_cell_and_the_whole_say() -> None:
    fine, coarse = torch.full((2, 1, 12, 20), -5.0), torch.full((2, 1, 6, 10), -4.0)
    fine[0, 0, 3, 3] = 2.0
    logit = view_logit(Maps(fine, coarse, torch.tensor([[0.5], [-1.0]])))
    assert logit[:, 0].tolist() == [2.5, -5.0]


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack with three drawn scenes on every side."""
    sides: dict[str, list[bytes]] = {"train": [], "validation": [], "test": []}
    for seed in count():
        buffer = io.BytesIO()
        drawn(seed, somebody=True, size=(320, 240)).save(buffer, "PNG")
        side = sides[split_of(buffer.getvalue())]
        if len(side) < 3:
            side.append(buffer.getvalue())
        if all(len(one) == 3 for one in sides.values()):
            break
    images = [one for side in sides.values() for one in side]
    # Roughly where the heads are drawn; learning nothing depends on more here.
    face = [100.0, 15.0, 30.0, 38.0, *[110.0, 30.0] * 5, 0.95]
    path = tmp_path_factory.mktemp("pack") / "scenes.parquet"
    columns = {"image": images, "source": ["drawn"] * 9, "faces": [[face]] * 9}
    pq.write_table(pa.table(columns), path)
    return path


def test_train_writes_a_reproducible_checkpoint_that_evaluates(pack: Path, tmp_path: Path) -> None:
    places = tmp_path / "places"
    places.mkdir()
    for number in range(8):
        drawn(number, somebody=False).save(places / f"place{number}-0.webp")
    webcam = tmp_path / "webcam.parquet"
    columns = {
        "image": pq.read_table(pack)["image"].to_pylist()[:4],
        "label": ["live", "live", "spoof", "live"],
        "subject": ["a", "a", "a", "b"],
    }
    pq.write_table(pa.table(columns), webcam)
    config = {
        "runs": str(tmp_path),
        "scenes": str(pack),
        "empty": [str(places)],
        "webcam": str(webcam),
        "batch": 4,
        "steps": 3,
        "log_every": 2,
    }
    folders = [tmp_path / "a", tmp_path / "b"]
    made = [train(build(PresenceConfig, config | {"name": one.name})) for one in folders]
    one, other = (load_checkpoint(path).state_dict() for path in made)
    assert all(torch.equal(one[key], other[key]) for key in one)
    with (folders[0] / "log.csv").open() as file:
        assert [int(row["step"]) for row in csv.DictReader(file)] == [2, 3]

    settings = build(PresenceConfig, config | {"name": "a"})
    report = measuring.evaluate(settings, made[0])
    assert set(report["test"]) == set(measuring.CONDITIONS)
    assert report["validation"]["clean"]["recall"]["value"] >= 0.99
    clean = report["test"]["clean"]
    alone = clean["false alarms, all"]["views"]
    assert alone == clean["false alarms, places"]["views"] + clean["false alarms"]["views"] > 0
    assert [row["recall"] for row in report["trade_off"]] == sorted(measuring.RECALLS)[::-1]
    seen = report["test"]["clean"]["recall, webcam"]
    assert (seen["views"], seen["pictures"]) == (3, 2)
    card = torch.load(made[0], weights_only=True)["card"]
    assert card["threshold"] == report["threshold"]
    assert (folders[0] / "errors.png").is_file()
    assert "recall" in measuring.table(report["test"])


def test_training_goes_on_from_a_checkpoint(pack: Path, tmp_path: Path) -> None:
    config = {"runs": str(tmp_path), "scenes": str(pack), "batch": 2, "steps": 1}
    config["learning_rate"] = 0.0
    first = train(build(PresenceConfig, config | {"name": "a"}))
    more = config | {"name": "b", "start": str(first), "seed": 2}
    second = train(build(PresenceConfig, more))
    fresh = more | {"name": "c", "start": ""}
    third = train(build(PresenceConfig, fresh))
    # At a rate of nothing the weights stay what they were.
    heads = [load_checkpoint(path).fine.weight for path in (first, second, third)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_a_larger_network_begins_where_the_smaller_one_ended() -> None:
    torch.manual_seed(2)
    wide = PresenceNet().eval()
    torch.nn.init.normal_(wide.fine.weight)
    later = ("trunk.7.", "deep.4.", "lateral.")
    state = {key: one for key, one in wide.state_dict().items() if not key.startswith(later)}
    image = torch.rand(2, 1, 96, 128) * 255
    grown = PresenceNet().eval()
    grow(grown, state)
    # What the smaller network computed, with the missing units left out.
    wide.trunk, wide.deep = wide.trunk[:7], wide.deep[:4]
    torch.nn.init.zeros_(wide.lateral.weight)
    torch.nn.init.zeros_(wide.lateral.bias)
    for one, other in zip(wide(image), grown(image), strict=True):
        torch.testing.assert_close(one, other)
    with pytest.raises(RuntimeError, match="another"):
        grow(grown, state | {"unheard.of": torch.zeros(1)})


def test_summary_tells_kinds_and_heights_apart() -> None:
    grey = np.zeros((96, 96), np.uint8)
    shown = [("scenes", 30.0, 0.9), ("scenes", 30.0, 0.2), ("scenes", 0.0, 0.1)]
    shown += [("places", 0.0, 0.8), ("pasted", 10.0, 0.7), ("pasted", 0.0, 0.9)]
    tests = [Trial(grey, face, str(n), kind) for n, (kind, face, _) in enumerate(shown)]
    made = measuring.summary(tests, np.array([score for *_, score in shown]), 0.5)
    values = {name: one["value"] for name, one in made.items()}
    assert values == {
        "recall": 0.5,
        "recall, pasted": 1.0,
        "recall, 8-12 px": 1.0,
        "recall, 24-96 px": 0.5,
        "false alarms": 0.0,
        "false alarms, places": 1.0,
        "false alarms, pasted": 1.0,
        "false alarms, all": 0.5,
    }


def test_threshold_keeps_the_recall() -> None:
    scores = np.linspace(0, 1, 1001)
    threshold = measuring.threshold_for(scores, 0.99)
    assert (scores >= threshold).mean() >= 0.99
    assert (scores >= threshold + 0.002).mean() < 0.99


def test_interval_is_over_pictures_not_views() -> None:
    hits = np.array([True] * 50 + [False] * 50)
    few = measuring.rate(hits, ["a"] * 50 + ["b"] * 50)
    many = measuring.rate(hits, [str(number) for number in range(100)])
    assert few["value"] == many["value"] == 0.5
    assert (few["low"], few["high"]) == (0.0, 1.0)
    assert 0.35 < many["low"] < 0.45
    assert 0.55 < many["high"] < 0.65


def test_settings_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValueError, match="step"):
        build(PresenceConfig, {"name": "x", "scenes": "x", "step": 1})
