"""Parse an ONNX file with TensorRT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.model.tensorrt.log import find_reason, open_log
from glandseg.model.tensorrt.package import TensorRtPackage, find_package

_MAX_CHARS = 240  # of a parser's error


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """A network with what it depends on: its weights lie in the parser.

    Attributes:
        trt_package: TensorRT that parsed it.
        log: TensorRT's log.
        builder: TensorRT's builder.
        network: TensorRT's network definition.
        parser: TensorRT's parser.
        errors: Errors of the parser, a line each.
    """

    trt_package: TensorRtPackage
    log: Any
    builder: Any
    network: Any
    parser: Any
    errors: tuple[str, ...]


def parse_onnx(path: Path, trt_package: TensorRtPackage | None = None) -> list[str]:
    """Return TensorRT's objections to an ONNX file, a line each, without building it.

    Args:
        path: ONNX file.
        trt_package: TensorRT that parses; None finds the installed one.

    Raises:
        EnvironmentLacksError: if there is no TensorRT, or it needs a GPU and there is none.
    """
    return list(parse_network(path, trt_package or find_package()).errors)


def parse_network(path: Path, trt_package: TensorRtPackage) -> Parsed:
    """Parse an ONNX file into a network that keeps the file's number types.

    Raises:
        BadInputError: if the file cannot be opened.
        EnvironmentLacksError: if TensorRT cannot start here.
    """
    log = open_log(trt_package.module)
    builder = _open_builder(trt_package, log)
    network = builder.create_network(trt_package.network_flags)
    parser = trt_package.module.OnnxParser(network, log)
    try:
        whole = parser.parse(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    errors = tuple(_describe(parser.get_error(i)) for i in range(parser.num_errors))
    if not whole and not errors:
        errors = (find_reason(log),)
    return Parsed(
        trt_package=trt_package, log=log, builder=builder, network=network, parser=parser, errors=errors
    )


def _open_builder(trt_package: TensorRtPackage, log: Any) -> Any:
    try:
        return trt_package.module.Builder(log)
    except Exception as error:  # pybind11 raises TypeError where the library gave none
        reason = find_reason(log) if log.lines else shorten(error)
        raise EnvironmentLacksError(
            f"{trt_package}: cannot start ({reason}). It needs an NVIDIA GPU and its driver."
        ) from None


def _describe(error: Any) -> str:
    """Return the node, the kind of error and the parser's text, which may be as little as "false"."""
    node = f"{error.node_name()} [{error.node_operator()}], " if error.node_operator() else ""
    return f"{node}{error.code().name}: {' '.join(error.desc().split())}".lstrip()[:_MAX_CHARS]
