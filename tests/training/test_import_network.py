"""A network from elsewhere: joined to the bundle's contract, checked, and made a bundle."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from onnx import helper, numpy_helper, version_converter
from torch import nn
from torch.nn import functional

import vision
from training.common import bundle, product
from training.common.formats import Paths
from training.common.pictures import encode
from training.verifier import contract as contracts, import_network, joining, known_pairs
from training.verifier.config import from_dict
from training.verifier.contract import Contract, Front
from training.verifier.import_network import Request
from training.verifier.network import Crowding
from training.verifier.prepare import SCHEMA, TABLE

MINE = Contract(channels="BGR", size=(64, 48), columns=(8, 104), mean=(10.0, 20.0, 30.0),
                scale=(0.01, 0.02, 0.03))  # fmt: skip


class Block(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.PReLU(width),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.relu(x + self.layers(x))


class ResNet(nn.Module):
    """A small residual network, as ArcFace is trained on: random weights, 32 numbers."""

    def __init__(self, *, channels_last: bool = False, one: bool = False) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.channels_last, self.one = channels_last, one
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), Block(8), Block(8))
        self.out = nn.Linear(8, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.body(x.permute(0, 3, 1, 2) if self.channels_last else x)
        x = x.mean((2, 3), keepdim=True)
        # As graphs are that were exported for one picture.
        return self.out(x.reshape(1, 8) if self.one else x.flatten(1))


def write(path: Path, contract: Contract, *, opset: int = 17, **options: bool) -> Path:
    """Export a random network; its batch axis is free unless it is for `one` picture."""
    network = ResNet(**options).eval()
    shape = (*contract.size, 3) if network.channels_last else (3, *contract.size)
    free = {} if network.one else {"in": {0: "batch"}, "out": {0: "batch"}}
    torch.onnx.export(
        network, (torch.zeros(1, *shape),), str(path), input_names=["in"], output_names=["out"],
        opset_version=opset, dynamic_axes=free, dynamo=False,
    )  # fmt: skip
    return path


def run(path: Path, crops: np.ndarray, *names: str) -> list[np.ndarray]:
    image = crops.transpose(0, 3, 1, 2).astype(np.float32)
    return joining.session(onnx.load(str(path))).run(list(names), {"image": image})


def by_hand(network: nn.Module, contract: Contract, crop: np.ndarray) -> np.ndarray:
    """Show one crop as the contract says, in NumPy and without a module of ours."""
    order = [0, 1, 2] if contract.channels == "RGB" else [2, 1, 0]
    left, right = contract.columns
    seen = torch.from_numpy(crop[:, left:right, order].astype(np.float32)).permute(2, 0, 1)[None]
    seen = functional.interpolate(seen, contract.size, mode="bilinear", align_corners=False)
    seen = (seen.permute(0, 2, 3, 1) - torch.tensor(contract.mean)) * torch.tensor(contract.scale)
    with torch.inference_mode():
        raw = network(seen if network.channels_last else seen.permute(0, 3, 1, 2)).numpy()[0]
    return raw / np.linalg.norm(raw)


# Contracts


def test_a_contract_is_known_by_name_or_read_from_a_file(tmp_path):
    assert contracts.read("retail-0095").columns == (8, 104)
    path = tmp_path / "mine.yaml"
    path.write_text("channels: BGR\nsize: [64, 48]\nmean: 0\nscale: [1, 0.5, 2]\n")
    read = contracts.read(str(path))
    assert (read.channels, read.size, read.mean, read.scale) == (
        "BGR", (64, 48), (0,), (1, 0.5, 2)
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("channels: GRB\n", "channels"),
        ("columns: [50, 40]\n", "columns"),
        ("columns: [0, 128]\n", "columns"),
        ("size: [112]\n", "size"),
        ("mean: [1, 2]\n", "mean"),
        ("scale: [a]\n", "scale"),
        ("colour: RGB\n", "unknown setting"),
        ("just words\n", "no contract"),
    ],
)
def test_a_contract_that_cannot_be_is_refused(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message):
        contracts.read(str(path))


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(ValueError, match="arcface, mobilefacenet-tf"):
        contracts.read("facenet")


def test_what_a_contract_may_have_been_mistaken_for():
    found = contracts.alternatives(Contract())
    assert replace(Contract(), channels="BGR") in found
    assert replace(Contract(), columns=(8, 104)) in found
    assert replace(Contract(), mean=(0.0,), scale=(1.0,)) in found
    assert Contract() not in found
    # 127.5 and 128 cannot be told apart, so nobody is told to take the other.
    assert not any(one.scale == (1 / 127.5,) for one in contracts.alternatives(
        contracts.read("mobilefacenet-tf")))  # fmt: skip


# Joining


@pytest.mark.parametrize("options", [{}, {"channels_last": True}, {"one": True}])
@pytest.mark.parametrize("opset", [11, 17])
def test_the_joined_graph_is_the_network_shown_as_its_contract_says(
    tmp_path, crops, options, opset
):
    path = write(tmp_path / "net.onnx", MINE, opset=opset, **options)
    foreign = joining.open_foreign(path, MINE)
    assert (foreign.width, foreign.channels_last) == (32, bool(options.get("channels_last")))
    torch.manual_seed(5)
    head = Crowding(32, hidden=8, low=0.1, high=0.5).eval()
    joining.join(foreign, MINE, head, tmp_path / "joined.onnx")
    direction, crowding = run(tmp_path / "joined.onnx", crops, "embedding", "crowding")
    network = ResNet(**options).eval()
    for crop, one in zip(crops, direction, strict=True):
        assert np.allclose(one, by_hand(network, MINE, crop), atol=2e-5)
    with torch.inference_mode():
        assert np.allclose(crowding, head(torch.from_numpy(direction)).numpy(), atol=1e-6)


def test_a_newer_opset_stays(tmp_path, crops):
    path = write(tmp_path / "net.onnx", MINE)
    onnx.save(version_converter.convert_version(onnx.load(str(path)), 21), str(path))
    foreign = joining.open_foreign(path, MINE)
    joining.join(foreign, MINE, None, tmp_path / "joined.onnx")
    (direction,) = run(tmp_path / "joined.onnx", crops, "embedding")
    assert np.allclose(direction, joining.embed(foreign, MINE, crops), atol=1e-5)


def test_weights_that_are_inputs_too_are_no_inputs(tmp_path):
    path = write(tmp_path / "net.onnx", MINE)
    model = onnx.load(str(path))
    for tensor in model.graph.initializer:
        model.graph.input.append(
            helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        )
    onnx.save(model, str(path))
    assert joining.open_foreign(path, MINE).input == "in"


def test_a_graph_for_one_picture_that_cannot_take_more_is_refused(tmp_path, crops):
    foreign = joining.open_foreign(write(tmp_path / "net.onnx", MINE, one=True), MINE)
    # Mixes the pictures up: each gets the sum of all.
    graph = foreign.model.graph
    graph.node.append(helper.make_node("ReduceSum", ["out", "axes"], ["sum"], keepdims=1))
    graph.initializer.append(numpy_helper.from_array(np.array([0]), "axes"))
    graph.node.append(helper.make_node("Add", ["out", "sum"], ["mixed"]))
    graph.output[0].name = "mixed"
    mixed = replace(foreign, output="mixed")
    joining.join(mixed, MINE, None, tmp_path / "joined.onnx")
    wanted = joining.embed(mixed, MINE, crops)
    with pytest.raises(ValueError, match="free batch axis"):
        import_network.check_batch(tmp_path / "joined.onnx", wanted, crops)


@pytest.mark.parametrize(
    ("contract", "message"),
    [
        (replace(MINE, size=(112, 112)), r"\[64, 48\]"),
        (replace(MINE, output="nothing"), "which one"),
        (replace(MINE, input="image"), "which one"),
    ],
)
def test_a_contract_that_the_graph_does_not_fit_is_refused(tmp_path, contract, message):
    path = write(tmp_path / "net.onnx", MINE)
    with pytest.raises(ValueError, match=message):
        joining.open_foreign(path, contract)


def test_what_is_no_network_is_refused(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(ValueError, match="no ONNX file"):
        joining.open_foreign(path, MINE)
    graph = helper.make_graph([], "none", [], [])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("com.microsoft", 1)]), str(path)
    )
    with pytest.raises(ValueError, match=r"com\.microsoft"):
        joining.open_foreign(path, MINE)


# Known pairs


def seeing(right: Contract, person: np.ndarray):
    """A network that tells people apart the better, the nearer the contract is to `right`."""

    def look(contract: Contract) -> np.ndarray:
        rng = np.random.default_rng(3)
        who = rng.normal(size=(person.max() + 1, 64))[person]
        wrong = sum(
            getattr(contract, n) != getattr(right, n) for n in ("channels", "columns", "scale")
        )
        rows = who + (0.7 + 0.6 * wrong) * rng.normal(size=who.shape)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    return look


PERSON = np.repeat(np.arange(30), 3)


def test_the_right_contract_is_accepted_and_others_are_named():
    found = known_pairs.judge(seeing(Contract(), PERSON), PERSON, 6, Contract())
    assert found["ordered"] > 0.99
    assert len(found["others"]) == 11
    assert all(distance < found["distance"] for distance in found["others"].values())


@pytest.mark.parametrize(
    "wrong",
    [{"channels": "BGR"}, {"columns": (8, 104)}, {"mean": (0.0,), "scale": (1 / 255,)}],
)
def test_a_wrong_contract_is_refused_and_the_right_one_named(wrong):
    with pytest.raises(ValueError, match="is that its contract") as error:
        known_pairs.judge(seeing(Contract(), PERSON), PERSON, 6, replace(Contract(), **wrong))
    assert f"than shown {contracts.described(Contract())}" in str(error.value)


def test_a_network_that_knows_no_faces_is_refused():
    def blind(contract: Contract) -> np.ndarray:
        rows = np.random.default_rng(8).normal(size=(len(PERSON), 64))
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    with pytest.raises(ValueError, match="no face network"):
        known_pairs.judge(blind, PERSON, 6, Contract())


def test_separation_is_the_area_under_the_curve_and_the_distance_of_the_means():
    angle = np.array([0.0, 0.1, 1.0, 1.3])
    embeddings = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    found = known_pairs.separation(embeddings, np.array([0, 0, 1, 1]))
    genuine, impostor = np.cos([0.1, 0.3]), np.cos([1.0, 1.3, 0.9, 1.2])
    spread = np.sqrt((genuine.var() + impostor.var()) / 2)
    assert found.ordered == 1.0
    assert found.distance == pytest.approx((genuine.mean() - impostor.mean()) / spread)


def test_the_free_pictures_are_those_of_the_repository():
    crops, whose = known_pairs.free_pictures()
    assert crops.shape == (6, 112, 112, 3)
    assert sorted(whose) == ["biden", "collins", "hopper", "obama", "obama", "obama"]


# The bundle


@pytest.fixture(scope="module")
def prepared(tmp_path_factory, draw_face):
    """A prepared table of 32 people, three pictures each, and 40 strangers."""
    columns = [(person, picture, "", "validation") for person in range(32) for picture in range(3)]
    columns += [(100 + n, 0, "drawn", "train" if n % 2 else "validation") for n in range(40)]
    rows = [
        (encode(draw_face(person, picture)), "made", f"made/{person}", side, 90.0, group)
        for person, picture, group, side in columns
    ]
    table = pa.table([list(column) for column in zip(*rows, strict=True)], schema=SCHEMA)
    folder = tmp_path_factory.mktemp("prepared")
    pq.write_table(table, folder / TABLE)
    return folder


@pytest.fixture
def packs(tmp_path, prepared):
    """A config on that table."""
    return from_dict(
        {
            "name": "mine",
            "runs": str(tmp_path / "runs"),
            "prepared": str(prepared),
            "crowd": {"nearest": 3, "epochs": 2, "batch_size": 32, "degraded": 0, "double": 2.0},
            "train": {"workers": 1},
            "evaluate": {
                "conditions": ["clean"], "stranger_conditions": ["clean"], "gallery_sizes": [1],
                "bootstrap": 10,
            },
            "calibrate": {
                "rates": [0.1, 0.05], "min_people": 10, "tail_share": 0.05, "limit_probes": 0,
                "tries": 40, "night": [], "min_brightness": 0, "min_sharpness": 0, "min_face_px": 0,
                "owner_conditions": ["clean"],
            },
            "export": {"models": str(tmp_path / "models")},
        }
    )  # fmt: skip


@pytest.fixture
def known(monkeypatch):
    """Known pairs, judged elsewhere: random weights know nobody."""
    found = {"pictures": 6, "contract": "as said", "ordered": 1.0, "distance": 3.0, "others": {}}
    monkeypatch.setattr(known_pairs, "check", lambda *_: found)


def request(tmp_path: Path, **changes: object) -> Request:
    asked = Request(
        file=write(tmp_path / "net.onnx", Contract()),
        contract="arcface",
        licence="for my own use",
        origin="a friend",
    )
    return replace(asked, **changes)


@pytest.mark.usefixtures("known")
def test_a_bundle_of_it_is_one_that_the_door_loads(tmp_path, packs, crops):
    figures = import_network.import_network(packs, request(tmp_path))
    models = tmp_path / "models"
    network = ResNet().eval()
    contract = replace(Contract(), mean=(127.5,) * 3)
    for runtime in ("onnxruntime", "ncnn"):
        loaded = vision.load_bundle(models, runtime=runtime)
        embeddings = loaded.verifier.embed(crops)
        for crop, one in zip(crops, embeddings, strict=True):
            assert float(one[:-1] @ by_hand(network, contract, crop)) > 0.999
        assert embeddings[:, -1].min() > 0.0
        assert loaded.liveness is not None
        assert [point.fpr for point in loaded.thresholds] == [0.1, 0.05]
    entry = bundle.read(models)["models"]["verifier"]
    assert (entry["licence"], entry["origin"]) == ("for my own use", "a friend")
    card = (models / "README.md").read_text()
    digest = hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    for words in ("for my own use", "a friend", "Nobody may pass this folder on", digest):
        assert words in card
    assert figures["crowding"]["cohort"] > 0
    assert json.loads((tmp_path / "runs/mine/import.json").read_text()) == figures


@pytest.mark.usefixtures("known")
def test_where_ncnn_does_not_agree_the_bundle_is_for_onnxruntime(tmp_path, packs, monkeypatch):
    monkeypatch.setattr(import_network, "LEAST_COSINE", 0.99)

    def wrong(paths: Paths, *_: object, **__: object) -> None:
        """ncnn's files of another network, with the same names and shapes."""
        torch.manual_seed(9)
        from training.common.formats import write_ncnn

        class Other(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.layer = nn.Linear(3, 32)

            def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
                out = functional.normalize(self.layer(x.mean((2, 3))), dim=1)
                return out, torch.sigmoid(out[:, :1])

        write_ncnn(Other(), paths, [(3, 112, 112)], ["embedding", "crowding"], half=False)

    monkeypatch.setattr(import_network, "ncnn_from_onnx", wrong)
    figures = import_network.import_network(packs, request(tmp_path))
    assert figures["ncnn"].startswith("onnxruntime only; the lowest cosine")
    models = tmp_path / "models"
    assert "ncnn" not in bundle.read(models)["models"]["verifier"]["files"]
    assert not (models / "verifier.param").exists()
    assert vision.load_bundle(models).info.runtime == "onnxruntime"
    with pytest.raises(vision.RuntimeUnavailableError, match="onnxruntime only"):
        vision.load_bundle(models, runtime="ncnn")


def test_formats_that_differ_disagree():
    rows = np.eye(4, 16, dtype=np.float32)
    one = {"embedding": rows, "crowding": np.zeros((4, 1), np.float32)}
    assert import_network.disagreement(one, one) is None
    assert "crowding" in import_network.disagreement(
        one, one | {"crowding": np.full((4, 1), 0.01, np.float32)}
    )
    assert import_network.disagreement(one, one | {"embedding": rows[:, ::-1]})
    assert import_network.disagreement(one, one | {"embedding": rows * np.nan})
    assert import_network.disagreement(one, one | {"embedding": rows[:, :8]})


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("changes", "message"),
    [({"licence": " "}, "licence"), ({"origin": ""}, "where you have it from")],
)
def test_licence_and_origin_must_be_said(tmp_path, packs, changes, message):
    with pytest.raises(ValueError, match=message):
        import_network.import_network(packs, request(tmp_path, **changes))


def test_the_products_own_bundle_is_no_place_for_it(tmp_path, packs):
    config = replace(packs, export=replace(packs.export, models=str(product.MODELS)))
    before = (product.MODELS / "models.json").read_bytes()
    with pytest.raises(ValueError, match="folder of your own"):
        import_network.import_network(config, request(tmp_path))
    assert (product.MODELS / "models.json").read_bytes() == before


def test_too_few_people_are_refused_before_anything_is_written(tmp_path, packs):
    pictures = tmp_path / "pictures"
    for person in range(29):
        (pictures / str(person)).mkdir(parents=True)
        for number in range(2):
            (pictures / str(person) / f"{number}.jpg").touch()
    (pictures / "alone").mkdir()
    (pictures / "alone" / "0.jpg").touch()
    with pytest.raises(ValueError, match="29 people with two pictures or more"):
        import_network.import_network(packs, request(tmp_path, pictures=pictures))
    assert not (tmp_path / "models").exists()


def test_a_folder_is_measured_whole_and_none_of_the_packs(tmp_path, packs):
    pictures = tmp_path / "family"
    for person in range(30):
        (pictures / str(person)).mkdir(parents=True)
        for number in range(2):
            (pictures / str(person) / f"{number}.jpg").touch()
    config = import_network.on_pictures(packs, pictures)
    assert config.prepare.sources == [{"path": "family", "kind": "folder", "measured": True}]
    assert config.data == str(tmp_path)
    assert config.prepared == str(packs.run_dir / "prepared")
    assert (config.evaluate.webcam_pack, config.evaluate.lighting_pack) == ("", "")


def test_front_keeps_the_layout(crops):
    image = torch.from_numpy(crops.transpose(0, 3, 1, 2).astype(np.float32))
    with torch.inference_mode():
        first = Front(MINE, channels_last=False)(image)
        last = Front(MINE, channels_last=True)(image)
    assert tuple(first.shape) == (12, 3, 64, 48)
    assert torch.equal(first.permute(0, 2, 3, 1), last)
