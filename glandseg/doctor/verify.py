"""Verification of the files of a model: record, card, graph and parity."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError, GlandsegError
from glandseg.doctor.engine_check import open_engine
from glandseg.model.backend import ModelBackend, Network
from glandseg.model.card import ModelCard
from glandseg.model.files import (
    BUNDLED,
    ENGINE_SUFFIX,
    FP16_SUFFIX,
    SUFFIXES,
    check_model,
    find_name,
    find_record,
    list_recorded,
)
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import Parity, check_parity, measure_parity
from glandseg.model.tensorrt.engine_cache import STALE_CURE
from glandseg.model.tensorrt.fingerprint import StaleEngineError

FINE, FAILED, UNCHECKED = "fine", "failed", "unchecked"
CheckGraph = Callable[[Path], None]
GatherTiles = Callable[[float], NDArray[np.uint8]]


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result for one file.

    Attributes:
        file: Name of the file.
        state: `FINE`, `FAILED` or `UNCHECKED`.
        text: Facts, or the reason of the state.
        parity: Parity with the reference; None if not compared.
    """

    file: str
    state: str
    text: str
    parity: Parity | None = None

    def __str__(self) -> str:
        """Return the verdict as one line."""
        prefix = {FINE: "", FAILED: "FAILED: ", UNCHECKED: "not checked here: "}[self.state]
        return f"{self.file}: {prefix}{self.text}"

    def describe(self) -> dict[str, Any]:
        """Return the verdict for JSON."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The network that the files of a model are compared with.

    Attributes:
        name: Name in messages, such as "PyTorch".
        network: Network to run.
        weights_sha256: Hash of its weights.
    """

    name: str
    network: Network
    weights_sha256: str


def verify_files(
    model: Path,
    gather_tiles: GatherTiles,
    *,
    reference: Reference | None = None,
    check_graph: CheckGraph | None = None,
) -> Iterator[Verdict]:
    """Verify the files of a model one by one, NAME.onnx first.

    Args:
        model: NAME.onnx.
        gather_tiles: Called with the um/px of the model; returns (N, 320, 320, 3) uint8 RGB to compare on.
        reference: Network to compare with; None for NAME.onnx on the CPU, which the export verified.
        check_graph: Called with each ONNX file; raises GlandsegError if its graph is invalid. None skips it.
    """
    try:
        with _open_whole(model, check_graph) as session:
            tiles = gather_tiles(session.card.um_per_px)
            yield _compare_model(model, session, reference, tiles)
            network = reference or Reference(
                name=model.name, network=session, weights_sha256=session.card.weights_sha256
            )
            yield from (_verify_other(path, network, check_graph, tiles) for path in list_others(model))
    except GlandsegError as error:
        yield Verdict(file=model.name, state=FAILED, text=_drop_folder(error, model))
        for path in list_others(model):
            yield Verdict(file=path.name, state=UNCHECKED, text=f"{model.name} is not fine")


def find_float32(given: Path | None) -> Path:
    """Find NAME.onnx for any file of a model; None for the bundled model.

    Raises:
        BadInputError: There is no such file.
    """
    path = given or BUNDLED
    model = path.with_name(f"{find_name(path)}.onnx")
    if not path.is_file() or not model.is_file():
        missing = model if path.is_file() else path
        raise BadInputError(f"{missing}: no such model file. Check the path, or export the model again.")
    return model


def list_others(model: Path) -> list[Path]:
    """List the files beside NAME.onnx with the same model in another precision or as an engine."""
    name = find_name(model)
    names = [f"{name}{suffix}.onnx" for suffix in SUFFIXES]
    names += [f"{name}{suffix}{ENGINE_SUFFIX}" for suffix in ("", *SUFFIXES)]
    return [path for path in map(model.with_name, names) if path.is_file()]


def _verify_other(
    path: Path, reference: Reference, check_graph: CheckGraph | None, tiles: NDArray[np.uint8]
) -> Verdict:
    try:
        whole = open_engine(path) if path.suffix == ENGINE_SUFFIX else _open_whole(path, check_graph)
        with whole as backend:
            return _compare(path, backend, reference, tiles)
    except EnvironmentLacksError as error:
        return Verdict(file=path.name, state=UNCHECKED, text=_drop_folder(error, path))
    except StaleEngineError as error:
        return Verdict(file=path.name, state=FAILED, text=f"stale, {_drop_folder(error, path)} {STALE_CURE}")
    except GlandsegError as error:
        return Verdict(file=path.name, state=FAILED, text=_drop_folder(error, path))


def _open_whole(path: Path, check_graph: CheckGraph | None) -> CpuSession:
    """Open an ONNX file after checking its hash, its graph and the precision of its card."""
    _check_record(path)
    check_model(path, "")
    if check_graph:
        check_graph(path)
    session = CpuSession(path)
    _check_precision(path, session.card)
    return session


def _check_record(path: Path) -> None:
    record = find_record(path)
    if not (record.is_file() and path.name in list_recorded(record)):
        raise BadInputError(
            f"{path}: no record {record.name} beside it has its hash. It was renamed, or copied without its "
            "record. Restore both names, or export again."
        )


def _check_precision(path: Path, card: ModelCard) -> None:
    suffix = path.stem.removeprefix(find_name(path))
    expected = {"": "float32", FP16_SUFFIX: "float16"}.get(suffix, "int8")
    if card.precision != expected:
        raise BadInputError(
            f"{path}: its card says {card.precision}, its name {expected}. Export the model again."
        )


def _compare_model(
    path: Path, session: CpuSession, reference: Reference | None, tiles: NDArray[np.uint8]
) -> Verdict:
    if reference:
        return _compare(path, session, reference, tiles)
    text = f"{session.card.precision}, whole; its export compared it with PyTorch"
    return Verdict(file=path.name, state=FINE, text=text)


def _compare(path: Path, backend: ModelBackend, reference: Reference, tiles: NDArray[np.uint8]) -> Verdict:
    if backend.card.weights_sha256 != reference.weights_sha256:
        raise BadInputError(f"{path}: has other weights than {reference.name}. Export the model again.")
    parity = measure_parity(reference.network, backend, tiles)
    precision = backend.card.precision
    check_parity(parity, precision, path.name, reference.name)
    text = (
        f"{precision}, whole, within {parity.max_dp:.4f} of {reference.name}, on average "
        f"{parity.mean_dp:.5f}, {parity.argmax_agreement:.3%} of the pixels alike, Dice {parity.dice:.4f}"
    )
    return Verdict(file=path.name, state=FINE, text=text, parity=parity)


def _drop_folder(error: GlandsegError, path: Path) -> str:
    """Return the text of an error without its leading file name."""
    return str(error).removeprefix(f"{path}: ").removeprefix(f"{path.name}: ")
