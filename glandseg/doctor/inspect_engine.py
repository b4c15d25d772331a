"""Report on a TensorRT engine by its fingerprint file, without loading it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.doctor.inspect_model import FileReport
from glandseg.model.card import METADATA_KEY, CardError, ModelCard, read_card
from glandseg.model.gpu import NONE, Machine, read_machine
from glandseg.model.tensorrt.fingerprint import (
    Fingerprint,
    find_fingerprint_file,
    list_differences,
    read_fingerprint_file,
)
from glandseg.model.tensorrt.package import find_package


@dataclass(frozen=True, kw_only=True)
class EngineReport(FileReport):
    """The facts of an engine; its record is its fingerprint file.

    Attributes:
        fingerprint: Model, software and GPUs of the build.
        misfits: Reasons why it does not run here; empty if it does.
    """

    fingerprint: Fingerprint
    misfits: tuple[str, ...]


def inspect_engine(path: Path) -> EngineReport:
    """Report on an engine and its fingerprint file.

    Raises:
        BadInputError: The file is missing, or its fingerprint file is missing or damaged.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such engine. Check the path.")
    found, sha256 = read_fingerprint_file(path), hash_file(path)
    whole = sha256 == found.plan_sha256
    beside = find_fingerprint_file(path).name
    verdict = "agrees" if whole else f"says {found.plan_sha256[:12]}: damaged or replaced"
    return EngineReport(
        name=path.name,
        size=path.stat().st_size,
        sha256=sha256,
        record=f"{beside} {verdict}",
        whole=whole,
        card=_read_card(found),
        fingerprint=found,
        misfits=tuple(list_misfits(found, read_machine())),
    )


def list_misfits(found: Fingerprint, machine: Machine) -> list[str]:
    """List the reasons in its fingerprint why an engine does not run on a machine."""
    try:
        trt_package = find_package(found.package)
        trt_package.check_gpu(machine.gpu, machine.target)
    except EnvironmentLacksError as error:
        return [str(error)]
    if machine.gpu == NONE:
        return ["no NVIDIA GPU here"]
    target = (machine.target,) if trt_package.is_rtx and machine.target else ()
    needed = replace(
        found, package=trt_package.package, version=trt_package.version, targets=target, **asdict(machine)
    )
    return list(list_differences(found, needed))


def _read_card(found: Fingerprint) -> ModelCard | None:
    try:
        return read_card({METADATA_KEY: json.dumps(dict(found.card))})
    except CardError:
        return None
