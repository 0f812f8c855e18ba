"""Warm start and export keep the network's answers, on a small network with random weights."""

import json

import numpy as np
import onnx
import pytest
import torch

from training.common import bundle
from training.common.formats import multiply_adds, rename_blobs
from training.common.pictures import decode_centres
from training.verifier import model, verify
from training.verifier.backbones import build_backbone
from training.verifier.config import Config, ExportSettings, ModelSettings, PrepareSettings
from training.verifier.export import check_size, export_verifier
from training.verifier.network import Crowding, Verifier
from training.verifier.prepare import teacher, teacher_embeddings
from training.verifier.warm_start import load_onnx_weights
from vision.networks.embedder import Embedder
from vision.networks.runtime import ModelFiles, choose

OPTIONS = {"width": 0.25, "embedding": 32, "batch_norm": False}


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    torch.set_num_threads(1)
    torch.manual_seed(11)
    network = Verifier(build_backbone("mobilefacenet", **OPTIONS), taught())
    for parameter in network.parameters():
        # Biases and slopes too, or a layer missed by the loader would go unnoticed.
        if parameter.dim() == 1:
            torch.nn.init.uniform_(parameter, -0.05, 0.3)
    return network.eval()


def taught() -> Crowding:
    torch.manual_seed(13)
    return Crowding(OPTIONS["embedding"], hidden=8, low=0.1, high=0.7, heads=2)


def run(folder, runtime: str, crops: np.ndarray, *, crowding: bool = True) -> np.ndarray:
    """Embed crops with an exported file, as the product does."""
    files = ModelFiles(*(folder / f"verifier.{suffix}" for suffix in ("onnx", "param", "bin")))
    session = choose(runtime).load(files, 1)
    size = OPTIONS["embedding"]
    return Embedder(session, model="m", directions=size, crowding=crowding).embed(crops)


@pytest.fixture(scope="module")
def exported(verifier, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return folder, export_verifier(verifier, folder)


def test_warm_start_takes_over_every_weight(verifier, exported):
    folder, _ = exported
    other = build_backbone("mobilefacenet", **OPTIONS)
    load_onnx_weights(other, folder / "verifier.onnx")
    for mine, theirs in zip(other.parameters(), verifier.backbone.parameters(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("options", [{**OPTIONS, "width": 0.5}, {**OPTIONS, "batch_norm": True}])
def test_warm_start_refuses_another_network(exported, options):
    folder, _ = exported
    with pytest.raises(ValueError, match=r"does not fit|batch_norm"):
        load_onnx_weights(build_backbone("mobilefacenet", **options), folder / "verifier.onnx")


def test_a_folded_batch_norm_exports_to_the_same_answers(crops, tmp_path):
    torch.manual_seed(12)
    network = Verifier(build_backbone("mobilefacenet", width=0.25, embedding=32, batch_norm=True))
    image = crops.transpose(0, 3, 1, 2).astype(np.float32)
    network.train()(torch.from_numpy(image))  # running statistics move
    entry = export_verifier(network.eval(), tmp_path)
    assert entry["crowding"] is False
    by_onnx = run(tmp_path, "onnxruntime", crops, crowding=False)
    assert (by_onnx[:, -1] == 0.0).all()
    assert verify.cosines(by_onnx, model.embed(network, crops)).min() > 0.9999


def test_the_runtimes_agree_with_torch(verifier, exported, crops):
    folder, _ = exported
    by_torch = model.embed(verifier, crops)
    by_onnx, by_ncnn = (run(folder, runtime, crops) for runtime in ("onnxruntime", "ncnn"))
    assert verify.cosines(by_onnx, by_torch).min() > 0.99999
    assert verify.cosines(by_ncnn, by_torch).min() > 0.999
    assert np.abs(by_onnx[:, -1] - by_torch[:, -1]).max() < 1e-5
    assert np.abs(by_ncnn[:, -1] - by_torch[:, -1]).max() < 1e-3
    # The crops are told apart, so agreement means something.
    directions = by_torch[:, :-1]
    assert (directions @ directions.T).min() < 0.98
    assert ((by_torch[:, -1] > 0.1) & (by_torch[:, -1] < 0.7)).all()
    assert np.ptp(by_torch[:, -1]) > 1e-4


def test_the_onnx_file_keeps_the_bundle_contract(exported):
    folder, entry = exported
    graph = onnx.load(str(folder / "verifier.onnx"))
    assert [opset.version for opset in graph.opset_import if not opset.domain] == [17]
    (image,), (embedding, crowding) = graph.graph.input, graph.graph.output
    shape = [axis.dim_param or axis.dim_value for axis in image.type.tensor_type.shape.dim]
    assert (image.name, embedding.name, crowding.name) == ("image", "embedding", "crowding")
    assert shape[1:] == [3, 112, 112]
    assert isinstance(shape[0], str)
    assert (entry["embedding_size"], entry["crowding"]) == (32, True)
    assert not [t for t in graph.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]


def test_the_teacher_sees_what_the_network_sees(verifier, faces, tmp_path):
    """A teacher file takes -1..1; the cached embedding is the network's own of the same crop."""
    images, _ = faces
    torch.onnx.export(
        verifier.backbone,
        (torch.zeros(1, 3, 112, 112),),
        str(tmp_path / "teacher.onnx"),
        input_names=["x"],
        dynamic_axes={"x": {0: "n"}},
        dynamo=False,
    )
    config = Config("x", teachers=str(tmp_path), prepare=PrepareSettings(teacher="teacher.onnx"))
    found = teacher_embeddings(images[:4], teacher(config))
    own = model.directions(verifier, decode_centres(images[:4]))
    assert (found * own).sum(axis=1).min() > 0.99999


def test_a_checkpoint_needs_nothing_but_itself(verifier, crops, tmp_path):
    config = Config("x", model=ModelSettings(options=OPTIONS), prepare=PrepareSettings())
    model.save(tmp_path / "best.pt", verifier, config, step=3)
    loaded = model.load(tmp_path / "best.pt")
    assert np.array_equal(model.embed(loaded, crops), model.embed(verifier, crops))


def test_only_blobs_are_renamed():
    text = "7767517\n2 2\nInput in0 0 1 in0\nReLU out0 1 1 in0 out0 0=0\n"
    renamed = rename_blobs(text, {"in0": "image", "out0": "embedding"})
    assert renamed.splitlines()[2:] == ["Input in0 0 1 image", "ReLU out0 1 1 image embedding 0=0"]


def test_models_json_is_written_for_files_that_are_there(exported):
    folder, entry = exported
    bundle.write_entry(folder, "verifier", entry)
    bundle.update_entry(folder, "verifier", version="7")
    content = json.loads((folder / "models.json").read_text())
    assert content["format"] == 1
    assert content["models"]["verifier"] == {**entry, "version": "7"}
    broken = json.loads(json.dumps(entry))
    broken["files"]["ncnn"]["bin"]["sha256"] = "0" * 64
    with pytest.raises(ValueError, match=r"verifier\.bin"):
        bundle.write_entry(folder, "verifier", broken)
    with pytest.raises(ValueError, match="role"):
        bundle.write_entry(folder, "doorbell", entry)
    assert json.loads((folder / "models.json").read_text()) == content


def test_multiplications_are_counted_and_halved_twice_by_half_the_width():
    layer = torch.nn.Conv2d(3, 8, 3, stride=2, padding=1)
    assert multiply_adds(layer, (3, 16, 16)) == 8 * 8 * 8 * 27
    work = [
        multiply_adds(build_backbone("mobilefacenet", width=width), (3, 112, 112))
        for width in (1.0, 0.75, 0.5)
    ]
    assert work[0] > work[1] > work[2]
    assert work[0] == pytest.approx(0.234e9, rel=0.01)
    assert work[2] / work[0] == pytest.approx(0.27, abs=0.02)


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"max_megabytes": 0.3}, "MB"),
        ({"max_giga_multiply_adds": 0.01}, "multiply-adds"),
    ],
)
def test_a_network_too_large_for_the_door_is_not_exported(verifier, limits, said):
    check_size(verifier, ExportSettings())
    with pytest.raises(ValueError, match=said):
        check_size(verifier, ExportSettings(**limits))
