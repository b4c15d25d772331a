"""The full check of a model file's graph, by ONNX itself; needs the package `onnx`, not PyTorch."""

from __future__ import annotations

from pathlib import Path

import onnx

from glandseg.core.errors import BadInputError, shorten
from glandseg.model.onnx.onnx_file import check_one_file


def check_file(path: Path) -> None:
    """Check every node and every shape of a model file.

    Raises:
        BadInputError: if the file is no ONNX file, not all of the model, or its graph is not valid.
    """
    check_one_file(path)
    try:
        onnx.checker.check_model(onnx.load(path, load_external_data=False), full_check=True)
    except Exception as error:  # protobuf and ONNX share no base
        raise BadInputError(
            f"{path}: not valid ONNX ({shorten(error)}). Export or install the model again."
        ) from None
