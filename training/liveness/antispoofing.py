"""Put the two MiniFASNets into the bundle as one network: nothing is trained here.

Silent-Face-Anti-Spoofing (Minivision, 2020, Apache-2.0) published them. Each takes BGR, 80 x 80, of
one square around the face, and gives three probabilities, the second of which is a living face's.
Here they get RGB like every network of the bundle, both squares as one picture of six channels, and
give the mean of the two. Their weights are rounded to float16, which halves the ONNX file; ncnn
would take the smallest of those for zero if it stored them so, and keeps float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, compose, helper, numpy_helper

from training.common import bundle
from training.common.formats import INPUT_NAME, OPSET, Paths, ncnn_from_onnx
from training.common.sessions import OnnxSession
from training.liveness.settings import LivenessConfig
from training.presence.export import open_onnx, run_ncnn, run_onnx, smooth_noise
from vision.networks.antispoofing import ENLARGED, OUTPUT, SIDE

ROLE = "antispoofing"
VERSION = "1.0.0"
SHAPE = (3 * len(ENLARGED), SIDE, SIDE)
ROUNDED = 5e-3
"""Largest difference from the published networks, in a probability: what rounding costs."""
_ALIVE = 1
# A node costs as much as this many narrower values save.
_WORTH = 64


def install(config: LivenessConfig) -> dict[str, Any]:
    """Write antispoofing.onnx, .param and .bin into the bundle, and their entry; return it.

    The entry has no limits: they are chosen from visits that were seen with these files.

    Raises:
        ValueError: a network is not what is known of it, or a format disagrees with the originals.

    """
    models = Path(config.models)
    files = [Path(config.antispoofing_near), Path(config.antispoofing_far)]
    paths = Paths.inside(models, ROLE)
    onnx.save(joined([onnx.load(str(file)) for file in files]), str(paths.onnx))
    ncnn_from_onnx(paths, SHAPE, [OUTPUT], half=False)
    narrow(paths.onnx)
    image = smooth_noise((16, *SHAPE), 5)
    wanted = original(files, image)
    made = {"onnx": run_onnx(open_onnx(paths.onnx), image), "ncnn": run_ncnn(paths, image, OUTPUT)}
    parity = {name: float(np.abs(one - wanted).max()) for name, one in made.items()}
    if not max(parity.values()) <= ROUNDED:
        message = f"the joined networks differ from the originals by {parity}"
        raise ValueError(message)
    entry = {
        "version": VERSION,
        "files": paths.entry(),
        "input": {
            "name": INPUT_NAME,
            "layout": "NCHW",
            "channels": "RGB of the surroundings, RGB of the wider surroundings",
            "range": [0, 255],
            "size": [SIDE, SIDE],
            "box_enlarged": list(ENLARGED),
        },
        "licence": "Apache-2.0",
        "origin": "MiniFASNetV2 and MiniFASNetV1SE of Silent-Face-Anti-Spoofing (Minivision,"
        " Apache-2.0; its training pictures are not published), joined and converted, not trained"
        " further; only to deny",
        "parity": parity,
    }
    bundle.write_entry(models, ROLE, entry)
    return entry


def original(files: list[Path], image: np.ndarray) -> np.ndarray:
    """Return what the published networks say of float32[N,6,80,80] in RGB: float32[N]."""
    parts = np.split(image, len(files), axis=1)
    answers = [
        OnnxSession(file).run(part[:, ::-1], ["probabilities"])["probabilities"][:, _ALIVE]
        for file, part in zip(files, parts, strict=True)
    ]
    mean: np.ndarray = np.mean(answers, axis=0)
    return mean


def joined(models: list[onnx.ModelProto]) -> onnx.ModelProto:
    """Return one network from six channels to the mean probability of a living face.

    Raises:
        ValueError: a model does not begin with a convolution of three channels.

    """
    nodes, weights, alive = [], [], []
    for number, published in enumerate(models):
        model = compose.add_prefix(published, f"{number}/")
        graph = model.graph
        _swap_colours(graph)
        _fold(graph)
        bounds = {"from": [3 * number], "to": [3 * number + 3], "one": [_ALIVE], "next": [2]}
        constants = {
            name: numpy_helper.from_array(np.array(value, np.int64), f"{number}/{name}")
            for name, value in {**bounds, "axis": [1]}.items()
        }
        axis = constants["axis"].name
        cut = [INPUT_NAME, constants["from"].name, constants["to"].name, axis]
        living = [graph.output[0].name, constants["one"].name, constants["next"].name, axis]
        alive.append(f"{number}/alive")
        nodes += [
            helper.make_node("Slice", cut, [graph.input[0].name]),
            *graph.node,
            helper.make_node("Slice", living, [alive[-1]]),
        ]
        weights += [*graph.initializer, *constants.values()]
    weights.append(numpy_helper.from_array(np.array(1 / len(models), np.float32), "share"))
    nodes += [
        helper.make_node("Add", alive, ["sum"]),
        helper.make_node("Mul", ["sum", "share"], [OUTPUT]),
    ]
    image = helper.make_tensor_value_info(INPUT_NAME, TensorProto.FLOAT, ["n", *SHAPE])
    live = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["n", 1])
    graph = helper.make_graph(nodes, ROLE, [image], [live], [_rounded(one) for one in weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = models[0].ir_version
    onnx.checker.check_model(model, full_check=True)
    return model


def _swap_colours(graph: onnx.GraphProto) -> None:
    """Let the first convolution, made for BGR, take RGB."""
    first = graph.node[0]
    weights = {one.name: one for one in graph.initializer}
    if first.op_type != "Conv" or weights[first.input[1]].dims[1] != 3:
        message = f"{graph.name} does not begin with a convolution of three channels"
        raise ValueError(message)
    kernel = weights[first.input[1]]
    swapped = np.ascontiguousarray(numpy_helper.to_array(kernel)[:, ::-1])
    kernel.CopyFrom(numpy_helper.from_array(swapped, kernel.name))


def _fold(graph: onnx.GraphProto) -> None:
    """Fold the normalisation into the product before it, so that every runtime rounds the same."""
    weights = {one.name: one for one in graph.initializer}
    makers = {node.output[0]: node for node in graph.node}
    for node in [one for one in graph.node if one.op_type == "BatchNormalization"]:
        product = makers[node.input[0]]
        if product.op_type != "MatMul":
            message = f"{graph.name} normalises what is no product"
            raise ValueError(message)
        scale, shift, mean, variance = (
            numpy_helper.to_array(weights[name]) for name in node.input[1:]
        )
        epsilon = {one.name: one.f for one in node.attribute}.get("epsilon", 1e-5)
        gain = scale / np.sqrt(variance + epsilon)
        matrix = weights[product.input[1]]
        folded = (numpy_helper.to_array(matrix) * gain).astype(np.float32)
        bias = numpy_helper.from_array((shift - mean * gain).astype(np.float32), node.input[2])
        matrix.CopyFrom(numpy_helper.from_array(folded, matrix.name))
        weights[bias.name].CopyFrom(bias)
        add = helper.make_node("Add", [product.output[0], bias.name], list(node.output))
        for name in (node.input[1], *node.input[3:]):
            graph.initializer.remove(weights[name])
        node.CopyFrom(add)


def _is_wide(weight: onnx.TensorProto) -> bool:
    return weight.data_type == TensorProto.FLOAT and int(np.prod(weight.dims)) >= _WORTH


def _rounded(weight: onnx.TensorProto) -> onnx.TensorProto:
    if not _is_wide(weight):
        return weight
    values = numpy_helper.to_array(weight).astype(np.float16).astype(np.float32)
    return numpy_helper.from_array(values, weight.name)


def narrow(path: Path) -> None:
    """Store the weights of an ONNX file, which were rounded, as float16; loading widens them."""
    model = onnx.load(str(path))
    graph = model.graph
    for weight in [one for one in graph.initializer if _is_wide(one)]:
        half = numpy_helper.to_array(weight).astype(np.float16)
        graph.initializer.remove(weight)
        graph.initializer.append(numpy_helper.from_array(half, f"{weight.name}.h"))
        cast = helper.make_node("Cast", [f"{weight.name}.h"], [weight.name], to=TensorProto.FLOAT)
        graph.node.insert(0, cast)
    onnx.save(model, str(path))
    onnx.checker.check_model(str(path), full_check=True)
