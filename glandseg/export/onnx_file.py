"""A segmenter as one ONNX file: traced, checked, without local paths, stamped."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

import glandseg
from glandseg.core.atomic import write_whole
from glandseg.core.errors import shorten
from glandseg.export.errors import ExportError
from glandseg.export.graph import WindowGraph
from glandseg.export.grouped_convolutions import split_groups
from glandseg.model.card import ModelCard
from glandseg.model.windows import WINDOW_PX

OPSET = 20  # ONNX Runtime 1.22 and TensorRT 10.16 both read it
BATCH = "batch"
_NOTES = ("metadata_props", "doc_string")  # where the exporter writes source lines and their paths
_EXPORTER_LOG = "torch.onnx"


def trace_segmenter(segmenter: nn.Module) -> onnx.ModelProto:
    """Trace a segmenter into an ONNX model.

    Its input is `windows`, (batch, 320, 320, 3) uint8 RGB; its output is `probabilities`,
    (batch, classes, 320, 320) uint8, 255 for 1.0. The batch is free; the size of a window is fixed, as bins
    of pooling depend on it. Grouped convolutions become dense ones, which every engine can run. The same
    weights produce the same bytes.

    Args:
        segmenter: Network from (N, 3, H, W) float32 RGB in 0..1 to logits, (N, 2, H, W), or (N, 3, H, W) with
            a core; set to evaluation mode.

    Raises:
        ExportError: The graph is invalid, or the exporter fixed the batch.
    """
    graph = WindowGraph(segmenter).eval()
    # Two windows: the exporter treats a batch of one as a constant.
    windows = torch.zeros((2, WINDOW_PX, WINDOW_PX, 3), dtype=torch.uint8)
    with _quiet():
        program = torch.onnx.export(
            graph,
            (windows,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["windows"],
            output_names=["probabilities"],
            dynamic_shapes={"windows": {0: torch.export.Dim(BATCH)}},
            external_data=False,
            verbose=False,
        )
    if program is None:
        raise ExportError("torch.onnx.export: returned no model. Install torch 2.9 or newer.")
    model = program.model_proto
    strip_notes(model)
    split_groups(model)
    model.producer_name, model.producer_version = "glandseg", glandseg.__version__
    check_graph(model)
    return model


def check_graph(model: onnx.ModelProto) -> None:
    """Check the graph of a model: every node, every shape, and the free batch.

    Raises:
        ExportError: The graph is invalid, or its batch is fixed.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"graph: not valid ONNX ({shorten(error, 300)}). Report this line.") from None
    for value in (*model.graph.input, *model.graph.output):
        batch = value.type.tensor_type.shape.dim[0]
        if batch.dim_param != BATCH:
            raise ExportError(
                f"{value.name}: the exporter fixed the batch at {batch.dim_value}; it must stay free. "
                "Remove the constant batch from the layers of the network."
            )


def strip_notes(message: Any) -> None:
    """Remove doc strings and metadata, which name local paths, from a protobuf message and all its parts."""
    for field, value in message.ListFields():
        if field.name in _NOTES:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                strip_notes(part)


def stamp(model: onnx.ModelProto, card: ModelCard) -> None:
    """Write the card into the metadata of a model; the last step, as converters drop metadata."""
    onnx.helper.set_model_props(model, card.to_metadata())


def write_model(path: Path, model: onnx.ModelProto) -> None:
    """Write a model, completely or not at all."""
    with write_whole(path) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the warnings of the exporter, which users cannot act on."""
    log = logging.getLogger(_EXPORTER_LOG)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
