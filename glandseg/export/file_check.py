"""The full check of the graph of a model file by ONNX; needs the package `onnx`, not PyTorch."""

from __future__ import annotations

from pathlib import Path

import onnx

from glandseg.core.errors import BadInputError, shorten
from glandseg.model.onnx.onnx_file import check_one_file


def check_file(path: Path) -> None:
    """Check every node and every shape of a model file.

    Raises:
        BadInputError: The file is not an ONNX file or not the whole model, or its graph is invalid.
    """
    check_one_file(path)
    try:
        onnx.checker.check_model(onnx.load(path, load_external_data=False), full_check=True)
    except Exception as error:  # protobuf and ONNX share no base
        raise BadInputError(
            f"{path}: not valid ONNX ({shorten(error)}). Export or install the model again."
        ) from None
