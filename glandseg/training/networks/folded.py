"""Weights read back from an exported ONNX file, whose batch norms the exporter folded into convolutions.

A folded pair computes W'x + b. The network keeps convolution and batch norm apart, so W' goes to the one
and b to the other, whose statistics become those of the identity: mean 0, variance 1 - eps, scale 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from glandseg.core.errors import BadInputError, shorten
from glandseg.core.regular_file import check_regular_file
from glandseg.training.torch_backend import evaluating

ROOT, FORMER_ENCODER, ENCODER = "segmenter.", "trunk.", "encoder."
BIAS = "_bias"  # suffix of a folded bias after the name of its convolution's weight


def read_folded(path: Path, network: nn.Module) -> dict[str, Tensor]:
    """Read the tensors of a network, a segmenter or an encoder alone, from a model file.

    Args:
        path: ONNX file of `glandseg export`, in float32 or float16.
        network: Network whose names and shapes are wanted.

    Returns:
        Tensors by the network's names, without those that the file lacks, such as of the auxiliary head.

    Raises:
        BadInputError: If the file cannot be read.
    """
    check_regular_file(path)
    try:
        graph = onnx.load(path, load_external_data=False).graph
        stored = {
            each.name: torch.from_numpy(numpy_helper.to_array(each).copy()) for each in graph.initializer
        }
    except Exception as error:  # protobuf and ONNX share no base
        raise BadInputError(
            f"{path}: not an ONNX model ({shorten(error)}). Give a file of `glandseg export`."
        ) from None
    own = network.state_dict()
    whole = any(name.startswith(ENCODER) for name in own)
    stored = {_rename(name, whole=whole): tensor for name, tensor in stored.items()}
    found = {name: tensor for name, tensor in stored.items() if name in own}
    for convolution, norm, eps in _list_pairs(network):
        bias = stored.get(f"{convolution}.weight{BIAS}")
        if bias is not None:
            ones = torch.ones_like(bias)
            found |= {
                f"{norm}.weight": ones,
                f"{norm}.bias": bias,
                f"{norm}.running_mean": torch.zeros_like(bias),
                f"{norm}.running_var": ones - eps,
            }
    return found


def _rename(name: str, *, whole: bool) -> str:
    name = name.removeprefix(ROOT)
    if name.startswith(FORMER_ENCODER):
        name = ENCODER + name.removeprefix(FORMER_ENCODER)
    return name if whole else name.removeprefix(ENCODER)


def _list_pairs(network: nn.Module) -> Iterator[tuple[str, str, float]]:
    """List the names of each convolution and of the batch norm right after it, and the latter's eps."""
    layers = [(name, module) for name, module in network.named_modules() if not list(module.children())]
    for (convolution, first), (norm, second) in pairwise(layers):
        if isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            yield convolution, norm, second.eps


def restore_statistics(network: nn.Module, images: Tensor) -> None:
    """Give the batch norms of a network the statistics of images, and compute the same as before.

    Folding leaves statistics of the identity, by which evaluation is exact. In training each batch norm
    normalises by the batch instead, so that without true statistics its output would change scale.

    Args:
        network: Network; batch norms that `forward` leaves out stay as they are.
        images: (N, 3, H, W) float32 RGB in 0..1, such as a batch to train on.
    """
    found: dict[nn.BatchNorm2d, tuple[Tensor, Tensor]] = {}

    def measure(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(norm, nn.BatchNorm2d):
            found[norm] = (inputs[0].mean((0, 2, 3)), inputs[0].var((0, 2, 3), correction=0))

    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(measure) for norm in norms]
    with evaluating(network):
        network(images)
    for hook in hooks:
        hook.remove()
    for norm, (mean, var) in found.items():
        state = norm.state_dict()
        scale = state["weight"] / (state["running_var"] + norm.eps).sqrt()
        state["bias"] = state["bias"] + (mean - state["running_mean"]) * scale
        state["weight"] = scale * (var + norm.eps).sqrt()
        norm.load_state_dict(state | {"running_mean": mean, "running_var": var})
