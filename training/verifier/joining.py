"""Joins a foreign ONNX graph with what goes before and behind it, so that it keeps our contract."""

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import compose, numpy_helper, version_converter
from torch import Tensor, nn
from torch.nn import functional

from training.common.formats import INPUT_NAME, OPSET, write_onnx
from training.common.pictures import CROP
from training.verifier.contract import Contract, Front
from training.verifier.network import Crowding

DIRECTION, CROWDING = "embedding", "crowding"
SHAPE = (3, CROP, CROP)
IR = 8
"""What opset 17 came with."""


@dataclass(frozen=True)
class Foreign:
    """A foreign graph with its input, its output, the width of that, and its layout.

    `batch` says that the graph itself takes any number of pictures.
    """

    model: onnx.ModelProto
    input: str
    output: str
    width: int
    channels_last: bool
    batch: bool


class Back(nn.Module):
    """A network's answer float32 [N, D] -> directions of unit length and, once known, crowding."""

    def __init__(self, crowding: Crowding | None = None) -> None:
        super().__init__()
        self.crowding = crowding

    def forward(self, raw: Tensor) -> tuple[Tensor, ...]:
        """Scale to unit length, and tell the crowding of it."""
        direction = functional.normalize(raw, dim=1)
        return (direction,) if self.crowding is None else (direction, self.crowding(direction))


def session(model: onnx.ModelProto) -> ort.InferenceSession:
    """Load a graph on one thread; ValueError where onnxruntime cannot."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return ort.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its own exceptions share no base but this
        raise ValueError(f"onnxruntime cannot load the network: {error}") from error


def open_foreign(path: Path, contract: Contract) -> Foreign:
    """Read a foreign network and compare it with its contract.

    Raises:
        ValueError: it is no ONNX file, has operators that are not ONNX's own, several inputs or
            outputs and none named, or an input or output that the contract does not fit.

    """
    try:
        # Not checked: a graph in use for years may lack what the checker wants of it.
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's exceptions share no base but this
        raise ValueError(f"{path} is no ONNX file: {error}") from error
    if strange := sorted({o.domain for o in model.opset_import} - {"", "ai.onnx"}):
        raise ValueError(f"{path} has operators that are not ONNX's own: {', '.join(strange)}")
    # Before IR version 4 weights were inputs, too.
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [entry for entry in model.graph.input if entry.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    entry = _chosen("input", inputs, contract.input, path)
    output = _chosen("output", list(model.graph.output), contract.output, path)
    del model.graph.output[:]
    model.graph.output.append(output)
    shape = [d.dim_value for d in entry.type.tensor_type.shape.dim]
    if len(shape) != 4 or 3 not in (shape[1], shape[3]):
        raise ValueError(f"{path}: {entry.name} is {shape}, neither [N, 3, H, W] nor [N, H, W, 3]")
    channels_last = shape[1] != 3
    wanted = shape[1:3] if channels_last else shape[2:]
    if any(known not in (0, own) for known, own in zip(wanted, contract.size, strict=True)):
        raise ValueError(f"{path} wants pictures of {wanted}, the contract says {contract.size}")
    if shape[0] > 1:
        raise ValueError(f"{path} takes {shape[0]} pictures at once, neither one nor any number")
    foreign = Foreign(model, entry.name, output.name, 0, channels_last, shape[0] == 0)
    answer = embed(foreign, contract, np.zeros((1, CROP, CROP, 3), np.uint8))
    return Foreign(model, entry.name, output.name, answer.shape[1], channels_last, foreign.batch)


def _chosen(
    kind: str, entries: list[onnx.ValueInfoProto], name: str, path: Path
) -> onnx.ValueInfoProto:
    found = [entry for entry in entries if name in ("", entry.name)]
    if len(found) != 1 or (kind == "input" and len(entries) != 1):
        names = ", ".join(entry.name for entry in entries)
        raise ValueError(f"{path} has the {kind}s {names}: which one does the contract mean?")
    return found[0]


def embed(
    foreign: Foreign,
    contract: Contract,
    crops: np.ndarray,
    loaded: ort.InferenceSession | None = None,
) -> np.ndarray:
    """Show a foreign network uint8 [N, 112, 112, 3] by a contract: float32 [N, D], unit length.

    Picture by picture, as every network can. Raises ValueError where the answer is no embedding.
    """
    loaded = loaded or session(foreign.model)
    front = Front(contract, channels_last=foreign.channels_last).eval()
    rows = []
    with torch.inference_mode():
        for crop in crops:
            image = torch.from_numpy(crop.astype(np.float32).transpose(2, 0, 1)[None].copy())
            answer = loaded.run([foreign.output], {foreign.input: front(image).numpy()})[0]
            rows.append(np.asarray(answer, np.float32).reshape(1, -1))
    found = np.concatenate(rows)
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    if found.shape[1] < 16 or not np.isfinite(norms).all() or not (norms > 0).all():
        raise ValueError(f"what {foreign.output} gives is no embedding: {found.shape[1]} numbers")
    return found / norms


def _in_opset(model: onnx.ModelProto, opset: int) -> onnx.ModelProto:
    if {o.version for o in model.opset_import} != {opset}:
        try:
            model = version_converter.convert_version(model, opset)
        except Exception as error:  # the converter raises RuntimeError and others
            raise ValueError(
                f"the network cannot be converted to opset {opset}: {error}"
            ) from error
    model.ir_version = max(IR, model.ir_version)
    return model


def _any_batch(model: onnx.ModelProto) -> None:
    """Let a graph that takes one picture take any number, in place.

    Shapes written down for one picture are forgotten, and a Reshape to [1, ...] keeps whatever
    number comes in.
    """
    graph = model.graph
    for entry in (*graph.input, *graph.output):
        dims = entry.type.tensor_type.shape.dim
        if len(dims):
            dims[0].dim_param = "n"
    del graph.value_info[:]
    shapes = {node.input[1] for node in graph.node if node.op_type == "Reshape"}
    tensors = [tensor for tensor in graph.initializer if tensor.name in shapes]
    constants = (node for node in graph.node if node.op_type == "Constant")
    tensors += [
        node.attribute[0].t
        for node in constants
        if node.output[0] in shapes and node.attribute[0].HasField("t")
    ]
    for tensor in tensors:
        shape = numpy_helper.to_array(tensor).copy()
        if shape.ndim == 1 and len(shape) > 1 and shape[0] == 1:
            shape[0] = 0
            tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def _flattened(model: onnx.ModelProto, output: str) -> None:
    """Make the output [N, D], whatever ones stand behind it, in place."""
    flat = f"{output}/flat"
    model.graph.node.append(onnx.helper.make_node("Flatten", [output], [flat], axis=1))
    del model.graph.output[:]
    model.graph.output.append(
        onnx.helper.make_tensor_value_info(flat, onnx.TensorProto.FLOAT, ["n", None])
    )


def join(foreign: Foreign, contract: Contract, crowding: Crowding | None, path: Path) -> None:
    """Write one ONNX file: `image` [N, 3, 112, 112], RGB 0..255, to `embedding` and `crowding`.

    The crowding [N, 1] is there once it was taught.

    Raises:
        ValueError: the graph cannot be converted to a common opset, or does not join.

    """
    network = onnx.ModelProto()
    network.CopyFrom(foreign.model)
    if not foreign.batch:
        _any_batch(network)
    for entry in (*network.graph.input, *network.graph.output):
        # A free axis may have any name; "n" is what it has in the bundle.
        if dims := entry.type.tensor_type.shape.dim:
            dims[0].dim_param = "n"
    opset = max(OPSET, *(o.version for o in network.opset_import))
    _flattened(network, foreign.output)
    network = _in_opset(network, opset)
    with TemporaryDirectory() as folder:
        before, behind = Path(folder) / "before.onnx", Path(folder) / "behind.onnx"
        front = Front(contract, channels_last=foreign.channels_last)
        free = {0: "n"}
        write_onnx(front, before, SHAPE, ["shown"], {INPUT_NAME: free, "shown": free})
        names = [DIRECTION] if crowding is None else [DIRECTION, CROWDING]
        _write_back(Back(crowding), behind, foreign.width, names)
        first, last = (_in_opset(onnx.load(str(one)), opset) for one in (before, behind))
    version = max(model.ir_version for model in (first, network, last))
    first = compose.add_prefix(first, "before/", rename_inputs=False)
    network = compose.add_prefix(network, "network/")
    last = compose.add_prefix(last, "behind/", rename_outputs=False)
    for model in (first, network, last):
        model.ir_version = version
    try:
        joined = compose.merge_models(
            first, network, [("before/shown", f"network/{foreign.input}")]
        )
        flat = network.graph.output[0].name
        joined = compose.merge_models(joined, last, [(flat, "behind/raw")])
        onnx.checker.check_model(joined, full_check=True)
    except (ValueError, onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ValueError(f"the network does not join: {error}") from error
    onnx.save(joined, str(path))


def _write_back(module: Back, path: Path, width: int, outputs: list[str]) -> None:
    torch.onnx.export(
        module.eval(),
        (torch.ones(1, width),),
        str(path),
        input_names=["raw"],
        output_names=outputs,
        dynamic_axes={name: {0: "n"} for name in ("raw", *outputs)},
        opset_version=OPSET,
        dynamo=False,
    )
