"""The weights of an exported model file, put back into a network that can be trained further.

Export folds each batch norm into the convolution before it, y = W x + b. A network to train needs the norm
back: with the mean m and variance v of W x over some images it is set to mean m, variance v, weight
sqrt(v + eps) and bias m + b, which computes W x + b again, and goes on from there as after any training.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from glandseg.core.errors import BadInputError
from glandseg.model.onnx.onnx_file import read_onnx_card
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.torch_backend import evaluating

_ROOT, _OLDER = "segmenter.", {"trunk.": "encoder."}  # codespell:ignore trunk


def load_exported(network: Segmenter, path: Path, images: Tensor) -> str:
    """Load a model file's weights into a network of the same encoder, in place.

    Layers that the network has and the file lacks, or has in another shape, stay as they are; of the last
    layer, the rows that both have are loaded.

    Args:
        network: Network to load.
        path: Float32 ONNX file that `glandseg export` made.
        images: (N, 3, S, S) float32 RGB in 0..1 over which the batch norms are measured.

    Returns:
        A line for the log.

    Raises:
        BadInputError: If the file is no float32 model of this package, or of another network.
    """
    if read_onnx_card(path).precision != "float32":
        raise BadInputError(f"{path}: is not in float32. Start from the file without .fp16 or .int8.")
    stored = read_convolutions(path)
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Conv2d)}
    shared = {
        name: layer for name, layer in layers.items() if name in stored and _fits(stored[name][0], layer)
    }
    encoder = {name for name in layers if name.startswith("encoder.")}
    if not encoder <= set(shared):
        raise BadInputError(
            f"{path}: has another encoder than this run. Give --set encoder=NAME, that of the model file."
        )
    with torch.no_grad():
        for name, layer in shared.items():
            rows = min(len(stored[name][0]), len(layer.weight))
            layer.weight[:rows] = stored[name][0][:rows]
            if layer.bias is not None:
                layer.bias[:rows] = stored[name][1][:rows]
    biases = {layer: stored[name][1] for name, layer in shared.items() if layer.bias is None}
    restore_norms(network, biases, images)
    new = [name for name in layers if name not in shared and not name.startswith("auxiliary_head")]
    return f"{len(shared)} layers loaded" + (f", new: {', '.join(new)}" if new else "")


def _fits(weight: Tensor, layer: nn.Conv2d) -> bool:
    """Return whether a weight is a layer's, or has other rows than a layer of scores, which has a bias."""
    own = layer.weight.shape
    return weight.shape == own or (layer.bias is not None and weight.shape[1:] == own[1:])


def read_convolutions(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """Read weight and bias of each convolution of a model file, by the name of its layer."""
    graph = onnx.load(path).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    found: dict[str, tuple[Tensor, Tensor]] = {}
    for node in graph.node:
        if node.op_type != "Conv" or not node.input[1].startswith(_ROOT):
            continue
        weight, *bias = (
            torch.from_numpy(numpy_helper.to_array(tensors[name]).copy()) for name in node.input[1:]
        )
        name = node.input[1].removeprefix(_ROOT).removesuffix(".weight")
        for older, newer in _OLDER.items():
            name = newer + name.removeprefix(older) if name.startswith(older) else name
        found[name] = weight, bias[0] if bias else torch.zeros(len(weight))
    return found


def restore_norms(network: nn.Module, biases: dict[nn.Conv2d, Tensor], images: Tensor) -> None:
    """Set the batch norm after each convolution so that it adds the bias, measured over images.

    Args:
        network: Network, whose batch norms are set in place.
        biases: Bias that was folded into each convolution.
        images: (N, 3, S, S) float32 RGB in 0..1.
    """
    sources: dict[int, nn.Conv2d] = {}
    outputs: list[Tensor] = []  # kept, for the ids of freed tensors are given again

    def note_output(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        outputs.append(output)
        sources[id(output)] = layer  # type: ignore[assignment]

    def set_norm(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        layer = sources.get(id(inputs[0]))
        if layer in biases and isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None:
            variance, mean = torch.var_mean(inputs[0].float(), dim=(0, 2, 3), correction=0)
            norm.running_mean.copy_(mean)
            norm.running_var.copy_(variance)  # type: ignore[union-attr]
            norm.weight.copy_((variance + norm.eps).sqrt())
            norm.bias.copy_(mean + biases[layer])

    hooks = [layer.register_forward_hook(note_output) for layer in biases]
    hooks += [
        norm.register_forward_pre_hook(set_norm)
        for norm in network.modules()
        if isinstance(norm, nn.BatchNorm2d)
    ]
    try:
        with evaluating(network):
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
