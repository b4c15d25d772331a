"""Check of an engine against its fingerprint file and its ONNX file."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.model.backend import ModelBackend
from glandseg.model.gpu import read_machine
from glandseg.model.tensorrt.fingerprint import check_fingerprint, read_fingerprint_file


def open_engine(path: Path) -> AbstractContextManager[ModelBackend]:
    """Open a TensorRT engine to run it; it is not rebuilt, as another engine would be judged.

    Raises:
        EnvironmentLacksError: It cannot run on this machine.
        GlandsegError: It is damaged or stale, or does not fit the software here.
    """
    from glandseg.model.open_backend import open_engine_only

    check_plan(path)
    return open_engine_only(path)


def check_plan(path: Path) -> None:
    """Compare an engine with its fingerprint file and the ONNX file beside it, without a GPU.

    Raises:
        BadInputError: It has no fingerprint file.
        EnvironmentLacksError: It was built for other GPUs than those of this machine.
        StaleEngineError: It is damaged, or was built from another ONNX file.
    """
    facts, onnx = read_fingerprint_file(path), path.with_suffix(".onnx")
    here = hash_file(onnx) if onnx.is_file() else facts.onnx_sha256
    check_fingerprint(path, facts, replace(facts, onnx_sha256=here, targets=()))
    target = read_machine().target
    if facts.targets and target and target not in facts.targets:
        raise EnvironmentLacksError(
            f"{path}: was built for {', '.join(facts.targets)}, but the GPU here is {target}."
        )
