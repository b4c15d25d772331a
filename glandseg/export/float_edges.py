"""The edges of a graph, which stay float32 when the rest is lowered to float16 or INT8.

Pixels come in as bytes and are normalised; logits become probabilities and bytes again. These stages take
next to no time, yet a rounding error there reaches every pixel. Where they end is read off the data flow: a
network is free to name its layers as it likes, to have no encoder, several stems or several heads, and the
order of the nodes of an ONNX file proves nothing but that each comes after its inputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from glandseg.export.errors import ExportError

LAYERS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
MIN_SHARE = 0.5  # of the weights that must be lowered: less is not worth a file of its own


@dataclass(frozen=True, kw_only=True)
class FloatEdges:
    """The nodes at both ends of a graph, as protobuf messages in their order.

    Attributes:
        before: Nodes that the data passes before any layer.
        first: Layers that no other layer comes before.
        last: Layers that no other layer comes after.
        after: Nodes that the data passes after all layers.
    """

    before: list[Any]
    first: list[Any]
    last: list[Any]
    after: list[Any]


def find_edges(graph: Any) -> FloatEdges:
    """Find the edges of a graph; nodes that compute shapes carry no pixels and belong to neither."""
    inputs, outputs = ({value.name for value in values} for values in (graph.input, graph.output))
    flow = _list_flow(graph.node, set(inputs))
    before, first = _follow(flow, inputs, forwards=True)
    after, last = _follow(flow[::-1], outputs, forwards=False)
    return FloatEdges(before=before, first=first, last=last[::-1], after=after[::-1])


def check_share(share: float, precision: str, option: str) -> None:
    """Raise where too few of the weights were lowered.

    Args:
        share: Share of the weights in the lower precision, 0..1.
        precision: Name of that precision.
        option: Option that requested it.

    Raises:
        ExportError: The share is below `MIN_SHARE`.
    """
    if share < MIN_SHARE:
        became = f"only {share:.0%} of the weights became {precision}, at least {MIN_SHARE:.0%} must"
        raise ExportError(f"{precision}: {became}. Export without {option}.")


def _list_flow(nodes: Iterable[Any], carriers: set[str]) -> list[Any]:
    """List the nodes that data reaches from tensors of these names, other than by its shape."""
    flow = []
    for node in nodes:
        if node.op_type != "Shape" and carriers.intersection(node.input):
            flow.append(node)
            carriers.update(node.output)
    return flow


def _follow(nodes: Iterable[Any], seen: set[str], *, forwards: bool) -> tuple[list[Any], list[Any]]:
    """Follow the data from one end to the first layers; return the nodes passed, and those layers."""
    passed: list[Any] = []
    layers: list[Any] = []
    beyond: set[str] = set()
    for node in nodes:
        sources, targets = (node.input, node.output) if forwards else (node.output, node.input)
        if beyond.intersection(sources):
            beyond.update(targets)
        elif seen.intersection(sources):
            (layers if node.op_type in LAYERS else passed).append(node)
            (beyond if node.op_type in LAYERS else seen).update(targets)
    return passed, layers
