from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from torch import nn

from glandseg.core.errors import BadInputError
from glandseg.export.errors import ExportError
from glandseg.export.onnx_file import OPSET, check_graph, trace_segmenter
from glandseg.export.run_export import ExportResult
from glandseg.model.onnx.cpu import CpuSession
from glandseg.training.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def model(exported: ExportResult) -> onnx.ModelProto:
    return onnx.load(exported.artifacts[0].path)


def list_dims(value: onnx.ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_takes_and_gives_bytes_at_any_batch(model: onnx.ModelProto) -> None:
    windows, probabilities = model.graph.input[0], model.graph.output[0]
    assert (windows.name, list_dims(windows)) == ("windows", ["batch", 320, 320, 3])
    assert (probabilities.name, list_dims(probabilities)) == ("probabilities", ["batch", 2, 320, 320])
    for value in (windows, probabilities):
        assert value.type.tensor_type.elem_type == onnx.TensorProto.UINT8


def test_old_readers_can_read_it(model: onnx.ModelProto) -> None:
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [OPSET]
    assert len(model.opset_import) == 1 and len(model.functions) == 0
    assert model.ir_version <= 10


def test_bytes_are_cast_before_anything_else(model: onnx.ModelProto) -> None:
    assert [node.op_type for node in model.graph.node if "windows" in node.input] == ["Cast"]
    assert [node.op_type for node in model.graph.node if "probabilities" in node.output] == ["Cast"]


def test_holds_no_softmax_no_batch_norm_and_no_auxiliary_head(model: onnx.ModelProto) -> None:
    kinds = {node.op_type for node in model.graph.node}
    assert "Sigmoid" in kinds and not {"Softmax", "BatchNormalization"} & kinds
    assert not [tensor.name for tensor in model.graph.initializer if "auxiliary" in tensor.name]


def test_dilated_convolutions_stay_what_they_are(model: onnx.ModelProto) -> None:
    found = [
        list(entry.ints) for node in model.graph.node for entry in node.attribute if entry.name == "dilations"
    ]
    assert found.count([2, 2]) == 3 and {tuple(each) for each in found} == {(1, 1), (2, 2)}


def test_is_one_file_without_traces_of_where_it_was_made(exported: ExportResult) -> None:
    for artifact in exported.artifacts:
        content = artifact.path.read_bytes()
        home, checkout = str(Path.home()).encode(), str(Path(__file__).parents[2]).encode()
        for trace in (b"/work", b"/home", b"site-packages", b"pkg.torch", b"forward", home, checkout):
            assert trace not in content
        assert artifact.path.stat().st_size == artifact.size
    assert {path.suffix for path in exported.record.parent.iterdir()} == {".onnx", ".json"}


def test_same_weights_give_the_same_bytes(segmenter: nn.Module, model: onnx.ModelProto) -> None:
    again = trace_segmenter(segmenter)
    del model.metadata_props[:]
    assert again.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


@pytest.mark.parametrize("batch", [1, 2, 5])
@pytest.mark.parametrize("index", [0, 1], ids=["float32", "float16"])
def test_plain_onnxruntime_agrees_with_pytorch(
    exported: ExportResult, segmenter: nn.Module, tiles: NDArray[np.uint8], batch: int, index: int
) -> None:
    path = exported.artifacts[index].path
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(None, {"windows": tiles[:batch]})
    assert probabilities.shape == (batch, 2, 320, 320) and probabilities.dtype == np.uint8
    expected = TorchBackend(segmenter).infer(tiles[:batch])
    assert expected.std() > 50  # the network answers with more than one value
    difference = np.abs(probabilities.astype(int) - expected)
    assert difference.max() <= (2, 10)[index]


def test_card_comes_back_through_the_session(exported: ExportResult) -> None:
    with CpuSession(exported.artifacts[0].path) as session:
        assert session.card == exported.card
    with CpuSession(exported.artifacts[1].path) as session:
        assert session.card.precision == "float16"


def test_truncated_file_is_refused(exported: ExportResult, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(exported.artifacts[0].path.read_bytes()[:-5000])
    with pytest.raises(BadInputError, match=r"damaged\.onnx"):
        CpuSession(damaged)


def test_file_without_card_is_refused(model: onnx.ModelProto, tmp_path: Path) -> None:
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    onnx.save(bare, tmp_path / "bare.onnx")
    with pytest.raises(BadInputError, match="not a model of glandseg"):
        CpuSession(tmp_path / "bare.onnx")


def test_fixed_batch_is_refused(model: onnx.ModelProto) -> None:
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    fixed.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 2
    with pytest.raises(ExportError, match="fixed the batch at 2"):
        check_graph(fixed)


def test_graph_that_is_not_valid_is_refused(model: onnx.ModelProto) -> None:
    broken = onnx.ModelProto()
    broken.CopyFrom(model)
    broken.graph.node[3].input[0] = "nowhere"
    with pytest.raises(ExportError, match="not valid ONNX"):
        check_graph(broken)
