"""The TensorRT engine of an export, where TensorRT is installed, compared with PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.core.errors import EnvironmentLacksError
from glandseg.doctor.engine_check import open_engine
from glandseg.model.backend import Network
from glandseg.model.parity import ParityError, check_parity, measure_parity
from glandseg.model.tensorrt.engine_cache import find_engine
from glandseg.model.tensorrt.engine_file import EngineFile
from glandseg.model.tensorrt.fingerprint import find_fingerprint_file


def build_engine(
    model: Path, targets: Sequence[str], reference: Network, tiles: NDArray[np.uint8], say: Say
) -> EngineFile | None:
    """Build the engine of the float16 file beside NAME.onnx; report where that is not possible.

    Args:
        model: NAME.onnx.
        targets: GPUs to build for, such as "sm86"; empty for the default of TensorRT.
        reference: Network in PyTorch, float32.
        tiles: (N, 320, 320, 3) uint8 RGB to compare on.
        say: Called with each line of the report.

    Raises:
        BadInputError: This TensorRT does not know a target.
        ParityError: The engine does not compute the same as the reference; it is removed.
    """
    try:
        engine = find_engine(model, precision="float16", targets=targets, say=say)
    except EnvironmentLacksError as error:
        say(f"no engine was built: {error}")
        return None
    _check(engine, reference, tiles, say)
    return engine


def _check(engine: EngineFile, reference: Network, tiles: NDArray[np.uint8], say: Say) -> None:
    try:
        with open_engine(engine.path) as backend:
            parity = measure_parity(reference, backend, tiles)
        check_parity(parity, engine.facts.precision, engine.path.name)
    except EnvironmentLacksError as error:
        say(f"{engine.path.name}: not compared with PyTorch here: {error}")
    except ParityError:
        engine.path.unlink()
        find_fingerprint_file(engine.path).unlink(missing_ok=True)
        raise
