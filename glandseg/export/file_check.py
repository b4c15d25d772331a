"""The full check of a model file's graph, by ONNX itself; needs the package `onnx`, not PyTorch."""

from __future__ import annotations

from pathlib import Path

import onnx

from glandseg.runtime.errors import BadInputError, shorten


def check_file(path: Path) -> None:
    """Check every node and every shape of a model file.

    Raises:
        BadInputError: if the file is no ONNX file or its graph is not valid.
    """
    try:
        onnx.checker.check_model(onnx.load(path), full_check=True)
    except Exception as error:  # protobuf and ONNX share no base
        raise BadInputError(
            f"{path}: not valid ONNX ({shorten(error)}). Export or install the model again."
        ) from None
