"""The same network with float planes in and out, for FAST, which cannot feed bytes: casts around it.

python -m benchmarks.rivals.float_model NAME.onnx NAME.float.onnx
"""

from __future__ import annotations

import argparse
from pathlib import Path

import onnx
from onnx import TensorProto, helper

CERTAIN = 255.0  # the network's probability of 1


def write_float_model(source: Path, target: Path) -> None:
    """Write a model from (N, 3, 320, 320) float 0..255 to (N, 2, 320, 320) float 0..1."""
    model = onnx.load(source)
    graph = model.graph
    before = [
        helper.make_node("Transpose", ["planes"], ["pixels"], perm=[0, 2, 3, 1]),
        helper.make_node("Cast", ["pixels"], [graph.input[0].name], to=TensorProto.UINT8),
    ]
    after = [
        helper.make_node("Cast", [graph.output[0].name], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["bytes", "certain"], ["shares"]),
    ]
    graph.initializer.append(helper.make_tensor("certain", TensorProto.FLOAT, [], [CERTAIN]))
    nodes = [*before, *graph.node, *after]
    graph.ClearField("node")
    graph.node.extend(nodes)
    for values, name, channels in ((graph.input, "planes", 3), (graph.output, "shares", 2)):
        values[0].CopyFrom(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", channels, 320, 320]))
    onnx.checker.check_model(model)
    onnx.save(model, target)


def main() -> None:
    """Write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    write_float_model(args.source, args.target)


if __name__ == "__main__":
    main()
