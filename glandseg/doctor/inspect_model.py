"""What a model file is, without the `onnx` package: its card, its hashes, what goes in and comes out."""

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
    """What goes into a graph, or comes out.

    Attributes:
        name: of the tensor.
        shape: of it, a free axis by its name.
        kind: of its numbers: "uint8", "float", ...
    """

    name: str
    shape: tuple[int | str, ...]
    kind: str

    def __str__(self) -> str:
        """Write it as "windows, (batch, 320, 320, 3) uint8"."""
        return show(f"{self.name}, ({', '.join(map(str, self.shape))}) {self.kind}", 160)


@dataclass(frozen=True, kw_only=True)
class FileReport:
    """What a file that holds a model is.

    Attributes:
        name: of the file, without its folder.
        size: in bytes.
        sha256: of the file.
        record: what the record beside the file says of it.
        whole: false where the record contradicts the file.
        card: the model's own; none where the file has none of a gland segmenter.
    """

    name: str
    size: int
    sha256: str
    record: str
    whole: bool
    card: ModelCard | None


@dataclass(frozen=True, kw_only=True)
class ModelReport(FileReport):
    """What an ONNX file is.

    Attributes:
        flaw: why there is no card.
        inputs: of the graph.
        outputs: of the graph.
    """

    flaw: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def inspect_model(path: Path) -> ModelReport:
    """Look at a model file of any maker; ONNX Runtime reads it.

    Raises:
        BadInputError: if the file is missing, or no model.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such model file. Check the path, or leave it out.")
    sha256 = hash_file(path)
    record, whole = judge_record(path)
    session = _open(path)
    try:
        metadata = session.get_modelmeta().custom_metadata_map
        inputs, outputs = (
            tuple(map(_describe_port, ports)) for ports in (session.get_inputs(), session.get_outputs())
        )
    except UnicodeError as error:
        raise BadInputError(f"{path}: holds text that is not UTF-8 ({error}). Export it again.") from None
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
    """Say what the record beside a model file says of it, and whether it agrees or is silent."""
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
