"""Conversion of a float32 model to float16 with the same inputs and outputs, and float16 on the CPU."""

from __future__ import annotations

import copy
import math
import warnings

import onnx
import torch
from onnxconverter_common import float16
from torch import Tensor, nn

from glandseg.export.float_edges import check_share, find_edges
from glandseg.export.onnx_file import check_graph

_FLOAT32, _FLOAT16 = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
_LAYERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Convert a float32 model to float16, all but the normalisation of the pixels and the probabilities.

    Raises:
        ExportError: The result is not a valid model, or not mostly float16.
    """
    edges = find_edges(model.graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line for each weight too small for float16; the gate judges them
        converted = float16.convert_float_to_float16(
            copy.deepcopy(model),
            keep_io_types=True,
            op_block_list=[],
            node_block_list=[node.name for node in (*edges.before, *edges.after)],
        )
    check_graph(converted)
    check_share(fp16_share(converted), "float16", "--fp16")
    return converted


def fp16_share(model: onnx.ModelProto) -> float:
    """Compute the share of float16 among the floating-point weights of a model, 0..1."""
    counts = {_FLOAT32: 0, _FLOAT16: 0}
    for tensor in model.graph.initializer:
        if tensor.data_type in counts:
            counts[tensor.data_type] += math.prod(tensor.dims)
    return counts[_FLOAT16] / max(sum(counts.values()), 1)


def emulate_fp16(segmenter: nn.Module) -> nn.Module:
    """Copy a segmenter such that its layers see weights and inputs rounded to float16.

    A GPU computes a float16 file like this. ONNX Runtime on the CPU computes it in float32 and would hide
    what float16 does to the activations, overflow included.

    Args:
        segmenter: Segmenter in float32.
    """
    emulated = copy.deepcopy(segmenter)
    for module in emulated.modules():
        if isinstance(module, _LAYERS):
            module.weight.data = _round(module.weight.data)
            module.register_forward_pre_hook(_round_inputs)
    return emulated


def _round(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float16).to(torch.float32)


def _round_inputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(_round(tensor) for tensor in inputs)
