"""A float32 model as a float16 one with the same bytes in and out, and float16 emulated on the CPU."""

from __future__ import annotations

import copy
import math
import warnings
from typing import Any

import onnx
import torch
from onnxconverter_common import float16
from torch import Tensor, nn

from glandseg.export.errors import ExportError
from glandseg.export.onnx_file import check_graph

LEAST_SHARE = 0.5
_FLOAT, _HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def to_fp16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Turn a float32 model into float16, all but the pixels' normalisation and the probabilities.

    These two stages cost nothing and are the ones that bytes pass through; in float32 they round once.

    Raises:
        ExportError: if the result is no valid model or not mostly float16.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line for each weight too small for float16; the gate judges them
        half = float16.convert_float_to_float16(
            copy.deepcopy(model),
            keep_io_types=True,
            op_block_list=[],
            node_block_list=_name_edges(model.graph),
        )
    check_graph(half)
    share = fp16_share(half)
    if share < LEAST_SHARE:
        raise ExportError(
            f"float16: only {share:.0%} of the weights became float16, at least {LEAST_SHARE:.0%} must. "
            "Export without --fp16."
        )
    return half


def fp16_share(model: onnx.ModelProto) -> float:
    """Give the share of float16 among a model's floating-point weights, 0..1."""
    counts = {_FLOAT: 0, _HALF: 0}
    for tensor in model.graph.initializer:
        if tensor.data_type in counts:
            counts[tensor.data_type] += math.prod(tensor.dims)
    return counts[_HALF] / max(sum(counts.values()), 1)


def emulate_fp16(segmenter: nn.Module) -> nn.Module:
    """Copy a segmenter so that its convolutions see weights and inputs rounded to float16.

    A GPU computes a float16 file so. ONNX Runtime on the CPU computes it in float32: there, what float16
    does to the activations, overflow included, would not show.

    Args:
        segmenter: in float32.
    """
    emulated = copy.deepcopy(segmenter)
    for module in emulated.modules():
        if isinstance(module, nn.Conv2d):
            module.weight.data = _round(module.weight.data)
            module.register_forward_pre_hook(_round_inputs)
    return emulated


def _name_edges(graph: Any) -> list[str]:
    kinds = [node.op_type for node in graph.node]
    first = kinds.index("Conv")
    last = len(kinds) - 1 - kinds[::-1].index("Resize")
    return [node.name for node in (*graph.node[:first], *graph.node[last:])]


def _round(tensor: Tensor) -> Tensor:
    return tensor.to(torch.float16).to(torch.float32)


def _round_inputs(module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(_round(tensor) for tensor in inputs)
