"""A segmenter as one ONNX file: traced, checked, cleaned of traces of where it was made, stamped."""

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
    """Turn a segmenter into an ONNX model.

    Its input is `windows`, (batch, 320, 320, 3) uint8 RGB; its output is `probabilities`,
    (batch, 2, 320, 320) uint8, 255 for certainty. The batch is free; the window's size is not, for the
    pyramid's bins depend on it. Grouped convolutions become dense ones, which every engine can run. The same
    weights give the same bytes.

    Args:
        segmenter: (N, 3, H, W) float32 RGB in 0..1 to (N, 2, H, W) logits; put in evaluation mode.

    Raises:
        ExportError: if the exporter fixed the batch.
    """
    graph = WindowGraph(segmenter).eval()
    # Two windows: the exporter takes a batch of one for a constant.
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
        raise ExportError("torch.onnx.export gave no model. Check that torch is 2.9 or newer.")
    model = program.model_proto
    strip_notes(model)
    split_groups(model)
    model.producer_name, model.producer_version = "glandseg", glandseg.__version__
    check_graph(model)
    return model


def check_graph(model: onnx.ModelProto) -> None:
    """Check a model's graph: every node, every shape, and the free batch.

    Raises:
        ExportError: if the graph is not valid or its batch is fixed.
    """
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the exported graph is not valid ONNX: {shorten(error, 300)}") from None
    for value in (*model.graph.input, *model.graph.output):
        batch = value.type.tensor_type.shape.dim[0]
        if batch.dim_param != BATCH:
            raise ExportError(
                f"{value.name}: the exporter fixed the batch at {batch.dim_value}; it must stay free. "
                "Some layer's shape takes the batch for a constant."
            )


def strip_notes(message: Any) -> None:
    """Remove doc strings and metadata from a protobuf message and all within: they name local paths."""
    for field, value in message.ListFields():
        if field.name in _NOTES:
            message.ClearField(field.name)
        elif field.message_type is not None:
            for part in [value] if hasattr(value, "ListFields") else value:
                strip_notes(part)


def stamp(model: onnx.ModelProto, card: ModelCard) -> None:
    """Write the card into the model's metadata; the last step, for converters drop metadata."""
    onnx.helper.set_model_props(model, card.to_metadata())


def write_model(path: Path, model: onnx.ModelProto) -> None:
    """Write a model whole or not at all."""
    with write_whole(path) as part:
        part.write_bytes(model.SerializeToString(deterministic=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's own warnings, which no user can act on, from the terminal."""
    log = logging.getLogger(_EXPORTER_LOG)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
