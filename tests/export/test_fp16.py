from __future__ import annotations

import copy

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from glandseg.export.errors import ExportError
from glandseg.export.fp16 import emulate_fp16, fp16_share, to_fp16
from glandseg.export.run_export import ExportResult
from glandseg.model.parity import ParityError, check_parity, measure_parity
from glandseg.training.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def models(exported: ExportResult) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    float32, float16 = (onnx.load(artifact.path) for artifact in exported.artifacts)
    return float32, float16


def test_nearly_all_weights_are_float16(models: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    assert fp16_share(models[0]) == 0
    assert fp16_share(models[1]) > 0.999


def test_every_convolution_is_float16(models: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    kinds = {tensor.name: tensor.data_type for tensor in models[1].graph.initializer}
    convolutions = [node for node in models[1].graph.node if node.op_type == "Conv"]
    assert len(convolutions) > 50
    assert {kinds[name] for node in convolutions for name in node.input[1:]} == {onnx.TensorProto.FLOAT16}


def test_probabilities_are_rounded_in_float32(models: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    inferred = onnx.shape_inference.infer_shapes(models[1], check_type=True, strict_mode=True)
    kinds = {value.name: value.type.tensor_type.elem_type for value in inferred.graph.value_info}
    edges = [node for node in models[1].graph.node if node.op_type in ("Sigmoid", "Round", "Sub")]
    assert {node.op_type for node in edges} == {"Sigmoid", "Round", "Sub"}
    assert {kinds[node.output[0]] for node in edges} == {onnx.TensorProto.FLOAT}


def test_half_the_size(exported: ExportResult) -> None:
    float32, float16 = exported.artifacts
    assert 0.45 < float16.size / float32.size < 0.55


def test_converting_leaves_the_original(models: tuple[onnx.ModelProto, onnx.ModelProto]) -> None:
    before = models[0].SerializeToString(deterministic=True)
    to_fp16(models[0])
    assert models[0].SerializeToString(deterministic=True) == before


def test_mostly_float32_is_refused(
    models: tuple[onnx.ModelProto, onnx.ModelProto], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "glandseg.export.fp16.float16.convert_float_to_float16", lambda model, **options: model
    )
    with pytest.raises(ExportError, match="only 0% of the weights"):
        to_fp16(models[0])


def test_emulation_differs_a_little(segmenter: nn.Module, tiles: NDArray[np.uint8]) -> None:
    parity = measure_parity(TorchBackend(segmenter), TorchBackend(emulate_fp16(segmenter)), tiles[:2])
    assert 0 < parity.max_dp <= 0.04


def test_emulation_shows_overflow(segmenter: nn.Module, tiles: NDArray[np.uint8]) -> None:
    loud = copy.deepcopy(segmenter)
    norm, last = loud.get_submodule("skip.mix.1"), loud.get_submodule("head.2")
    with torch.no_grad():  # the same function in float32, beyond float16's range in between
        norm.get_parameter("weight").mul_(1e6)
        norm.get_parameter("bias").mul_(1e6)
        last.get_parameter("weight").div_(1e6)
    parity = measure_parity(TorchBackend(segmenter), TorchBackend(loud), tiles[:2])
    check_parity(parity, "float32", "loud")
    overflown = measure_parity(TorchBackend(loud), TorchBackend(emulate_fp16(loud)), tiles[:2])
    with pytest.raises(ParityError):
        check_parity(overflown, "float16", "loud")
