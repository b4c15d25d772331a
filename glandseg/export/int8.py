"""Quantisation of a float32 model to INT8 with the same inputs and outputs, for ONNX Runtime or TensorRT.

Quantisers are placed in the file, with ranges measured on tiles, because quantisation when the model runs
measures every tensor of every window. The two engines need different files: ONNX Runtime fuses what lies
between unsigned quantisers, TensorRT only reads signed ones around zero.
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime import quantization

import glandseg
from glandseg.export.bias_correction import correct_biases
from glandseg.export.float_edges import check_share, find_edges
from glandseg.export.onnx_file import check_graph, strip_notes
from glandseg.model.files import INT8_SUFFIX, INT8_TENSORRT_SUFFIX

# Of the values of a tensor on the calibration tiles. Clipping the few above costs less accuracy than the
# coarser steps of a range that includes them.
PERCENTILE = 99.99
_ACTIVATIONS = ("Clip", "Relu")


@dataclass(frozen=True, kw_only=True)
class Int8Layout:
    """The places and the kind of quantisers.

    Attributes:
        suffix: Suffix of the stem of the file.
        runs_on: Engine that runs the file.
        layers: Types of layers that compute in INT8.
        activations: Number type of activations; weights are signed, with one scale per channel.
        options: Options of ONNX Runtime's quantiser.
    """

    suffix: str
    runs_on: str
    layers: tuple[str, ...]
    activations: quantization.QuantType
    options: tuple[tuple[str, Any], ...] = ()


# Unsigned: the output of a ReLU has no sign, and the ReLU itself is then free.
FOR_CPU = Int8Layout(
    suffix=INT8_SUFFIX,
    runs_on="ONNX Runtime on the CPU",
    layers=("Conv", "Add", "Concat", "MaxPool", *_ACTIVATIONS),
    activations=quantization.QuantType.QUInt8,
)
# TensorRT's parser only accepts signed activations around zero and float biases. Quantising the inputs of
# layers, not their outputs, lets it fuse bias, ReLU and sum into the convolution.
FOR_TENSORRT = Int8Layout(
    suffix=INT8_TENSORRT_SUFFIX,
    runs_on="TensorRT",
    layers=("Conv", "Add"),
    activations=quantization.QuantType.QInt8,
    options=(
        ("ActivationSymmetric", True),
        ("QuantizeBias", False),
        ("OpTypesToExcludeOutputQuantization", ["Conv", "Add"]),
    ),
)
LAYOUTS = (FOR_CPU, FOR_TENSORRT)


def to_int8(model: onnx.ModelProto, tiles: NDArray[np.uint8], layout: Int8Layout) -> onnx.ModelProto:
    """Quantise a float32 model to INT8, all but its edges.

    The normalisation of the pixels, the first layers, the last ones and all that follows stay float32: they
    take little time, and rounding costs the most accuracy there.

    Args:
        model: Model in float32; not changed.
        tiles: (N, 320, 320, 3) uint8 RGB on which the ranges of values are measured.
        layout: Where quantisers are placed.

    Raises:
        ExportError: The result is not a valid model, or not mostly INT8.
    """
    prepared = copy.deepcopy(model)  # the quantiser changes it
    floats = list_float_nodes(prepared.graph)
    rounded = [
        node.name for node in prepared.graph.node if node.op_type == "Conv" and node.name not in floats
    ]
    correct_biases(prepared, tiles, rounded)
    with _silenced(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            prepared,
            path,
            _Reader(tiles),
            op_types_to_quantize=list(layout.layers),
            nodes_to_exclude=floats,
            per_channel=True,
            activation_type=layout.activations,
            weight_type=quantization.QuantType.QInt8,
            calibrate_method=quantization.CalibrationMethod.Percentile,
            extra_options={"CalibPercentile": PERCENTILE, "CalibStridedMinMax": 1, **dict(layout.options)},
        )
        quantised = onnx.load(path)
    _tidy(quantised)
    check_graph(quantised)
    check_share(int8_share(quantised), "INT8", "--int8")
    return quantised


def list_float_nodes(graph: Any) -> list[str]:
    """List the nodes at the edges of a graph, by name, with the activations of the first layers."""
    edges = find_edges(graph)
    made = {name for node in edges.first for name in node.output}
    activations = [
        node for node in graph.node if node.op_type in _ACTIVATIONS and made.intersection(node.input)
    ]
    return [node.name for node in (*edges.before, *edges.first, *activations, *edges.last, *edges.after)]


def int8_share(model: onnx.ModelProto) -> float:
    """Compute the share of INT8 among the numbers of the weights of a model, 0..1; vectors do not count."""
    sizes = {onnx.TensorProto.INT8: 0, onnx.TensorProto.FLOAT: 0}
    for tensor in model.graph.initializer:
        if len(tensor.dims) > 1 and tensor.data_type in sizes:
            sizes[tensor.data_type] += int(np.prod(tensor.dims))
    return sizes[onnx.TensorProto.INT8] / max(sum(sizes.values()), 1)


class _Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
    """A reader that passes tiles to the quantiser one by one, which bounds its memory."""

    def __init__(self, tiles: NDArray[np.uint8]) -> None:
        self._tiles = tiles
        self._left: Iterator[NDArray[np.uint8]] = iter(tiles)

    def __len__(self) -> int:
        return len(self._tiles)

    def set_range(self, start_index: int, end_index: int) -> None:
        self._left = iter(self._tiles[start_index:end_index])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        tile = next(self._left, None)
        return None if tile is None else {"windows": tile[None]}


def _tidy(model: Any) -> None:
    """Remove what the quantiser leaves: notes, shapes of removed nodes, unused constants and opsets."""
    strip_notes(model)
    model.producer_name, model.producer_version = "glandseg", glandseg.__version__
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:], model.graph.value_info[:]
    model.graph.initializer.extend(kept)
    domains = {node.domain for node in model.graph.node}
    opsets = [opset for opset in model.opset_import if opset.domain in domains]
    del model.opset_import[:]
    model.opset_import.extend(opsets)


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Suppress the messages of the quantiser, which users cannot act on."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)
