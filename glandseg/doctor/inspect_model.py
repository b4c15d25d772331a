"""Report on a model file without the package `onnx`: card, hashes, inputs and outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glandseg.core.errors import BadInputError, shorten, show
from glandseg.core.system import hash_file, hide_home
from glandseg.model.card import CardError, ModelCard, read_card
from glandseg.model.files import check_model, find_record, list_recorded
from glandseg.model.onnx.onnx_file import check_one_file
from glandseg.model.onnx.open_session import import_onnxruntime


@dataclass(frozen=True, kw_only=True)
class Port:
    """An input or output of a graph.

    Attributes:
        name: Name of the tensor.
        shape: Shape of the tensor, with the name of each free axis.
        kind: Number type: "uint8", "float", ...
    """

    name: str
    shape: tuple[int | str, ...]
    kind: str

    def __str__(self) -> str:
        """Return "windows, (batch, 320, 320, 3) uint8"."""
        return show(f"{self.name}, ({', '.join(map(str, self.shape))}) {self.kind}", 160)


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """The facts of a file that contains a model.

    Attributes:
        name: Name of the file, without its folder.
        size: Size in bytes.
        sha256: Hash of the file.
        record: Agreement with the record beside the file, in words.
        whole: False if the record contradicts the file.
        card: Card of the model; None without one of a gland segmenter.
    """

    name: str
    size: int
    sha256: str
    record: str
    whole: bool
    card: ModelCard | None


@dataclass(frozen=True, kw_only=True)
class ModelReport(FileReport):
    """The facts of an ONNX file.

    Attributes:
        flaw: Reason why there is no card.
        inputs: Inputs of the graph.
        outputs: Outputs of the graph.
    """

    flaw: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def inspect_model(path: Path) -> ModelReport:
    """Report on any ONNX file, as read by ONNX Runtime.

    Raises:
        BadInputError: The file is missing, or not a model.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such model file. Check the path, or omit it.")
    sha256 = hash_file(path)
    record, whole = judge_record(path)
    session = _open(path)
    try:
        metadata = session.get_modelmeta().custom_metadata_map
        inputs, outputs = (
            tuple(map(_describe_port, ports)) for ports in (session.get_inputs(), session.get_outputs())
        )
    except UnicodeError as error:
        raise BadInputError(f"{path}: contains text that is not UTF-8 ({error}). Export it again.") from None
    card, flaw = _judge_card(metadata)
    return ModelReport(
        name=path.name,
        size=path.stat().st_size,
        sha256=sha256,
        record=record,
        whole=whole,
        card=card,
        flaw=flaw,
        inputs=inputs,
        outputs=outputs,
    )


def judge_record(path: Path) -> tuple[str, bool]:
    """Describe the agreement of a model file with its record, and return whether nothing contradicts."""
    record = find_record(path)
    if not record.is_file():
        return f"no {record.name} beside it", True
    try:
        check_model(path, "")
        listed = path.name in list_recorded(record)
    except BadInputError as error:
        return hide_home(str(error)), False
    return f"{record.name} {'agrees' if listed else 'does not list it'}", True


def _open(path: Path) -> Any:
    check_one_file(path)
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base
        reason = shorten(error)
        raise BadInputError(f"{path}: ONNX Runtime cannot load it ({reason}). Give an ONNX file.") from None


def _judge_card(metadata: Mapping[str, str]) -> tuple[ModelCard | None, str]:
    try:
        return read_card(metadata), ""
    except CardError as error:
        return None, f"not a model of glandseg, {error}"


def _describe_port(port: Any) -> Port:
    kind = str(port.type).removeprefix("tensor(").removesuffix(")")
    return Port(name=port.name, shape=tuple("?" if axis is None else axis for axis in port.shape), kind=kind)
