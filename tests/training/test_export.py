"""Warm start and export keep the network's answers, on a small network with random weights."""

import json

import numpy as np
import onnx
import pytest
import torch

from training.common import bundle
from training.common.formats import multiply_adds, rename_blobs
from training.verifier import int8, model, verify
from training.verifier.backbones import build_backbone
from training.verifier.network import Verifier
from training.verifier.config import Config, ExportSettings, ModelSettings, PrepareSettings
from training.verifier.export import check_size, export_verifier, to_onnx
from training.verifier.prepare import teacher_embeddings
from training.verifier.warm_start import load_onnx_weights

OPTIONS = {"width": 0.25, "embedding": 32, "batch_norm": False}


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    torch.set_num_threads(1)
    torch.manual_seed(11)
    network = Verifier(build_backbone("mobilefacenet", **OPTIONS))
    for parameter in network.parameters():
        # Biases and slopes too, or a layer missed by the loader would go unnoticed.
        if parameter.dim() == 1:
            torch.nn.init.uniform_(parameter, -0.05, 0.3)
    return network.eval()


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
    network.train()(torch.from_numpy(verify.to_input(crops)))  # running statistics move
    to_onnx(network.eval(), tmp_path / "bn.onnx")
    by_onnx = verify.onnx_embedder(tmp_path / "bn.onnx")(crops)
    assert verify.cosines(by_onnx, model.embed(network, crops)).min() > 0.9999


def test_the_runtimes_agree_with_torch(verifier, exported, crops):
    folder, _ = exported
    by_torch = model.embed(verifier, crops)
    by_onnx = verify.onnx_embedder(folder / "verifier.onnx", batch=5)(crops)
    by_ncnn = verify.ncnn_embedder(folder / "verifier.param", folder / "verifier.bin")(crops)
    assert verify.cosines(by_onnx, by_torch).min() > 0.99999
    assert verify.cosines(by_ncnn, by_torch).min() > 0.999
    assert np.abs(np.linalg.norm(by_ncnn, axis=1) - 1.0).max() < 1e-3
    # The crops are told apart, so agreement means something.
    assert (by_torch @ by_torch.T).min() < 0.98


def test_the_onnx_file_keeps_the_bundle_contract(exported):
    folder, entry = exported
    graph = onnx.load(str(folder / "verifier.onnx"))
    assert [opset.version for opset in graph.opset_import if not opset.domain] == [17]
    (image,), (embedding,) = graph.graph.input, graph.graph.output
    shape = [axis.dim_param or axis.dim_value for axis in image.type.tensor_type.shape.dim]
    assert (image.name, embedding.name) == ("image", "embedding")
    assert shape[1:] == [3, 112, 112]
    assert isinstance(shape[0], str)
    assert entry["embedding_size"] == 32
    assert not [t for t in graph.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]


def test_the_teacher_sees_what_the_network_sees(verifier, exported, faces, tmp_path):
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
    from training.common.pictures import decode_centres

    found = teacher_embeddings(images[:4], tmp_path / "teacher.onnx")
    own = model.embed(verifier, decode_centres(images[:4]))
    assert verify.cosines(found, own).min() > 0.99999


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


def test_an_int8_copy_embeds_nearly_alike_in_a_smaller_file(verifier, exported, crops, tmp_path):
    folder, _ = exported
    int8.quantise(folder / "verifier.onnx", tmp_path / "int8.onnx", crops)
    found = verify.onnx_embedder(tmp_path / "int8.onnx")(crops)
    assert 0.8 < verify.cosines(found, model.embed(verifier, crops)).min() < 0.99999
    sizes = [path.stat().st_size for path in (tmp_path / "int8.onnx", folder / "verifier.onnx")]
    assert sizes[0] < 0.85 * sizes[1]


@pytest.mark.parametrize(
    ("tar", "ms", "better"),
    [
        ((0.850, 0.851), (2.0, 3.0), True),
        ((0.850, 0.853), (2.0, 3.0), False),
        ((0.900, 0.851), (3.1, 3.0), False),
    ],
)
def test_int8_is_better_only_if_it_is_faster_and_hardly_worse(tar, ms, better):
    found = int8.verdict(tar, ms)
    assert found["better"] is better
    assert found["tar_lost"] == pytest.approx(tar[1] - tar[0])
