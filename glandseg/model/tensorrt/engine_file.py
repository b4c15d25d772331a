"""A plan that is kept: opened only where its fingerprint file fits this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.model.card import METADATA_KEY, CardError, ModelCard, read_card
from glandseg.model.gpu import read_machine
from glandseg.model.tensorrt.fingerprint import (
    Fingerprint,
    StaleEngineError,
    check_fingerprint,
    read_fingerprint_file,
)
from glandseg.model.tensorrt.package import TensorRtPackage, find_package
from glandseg.model.tensorrt.request import EngineRequest


@dataclass(frozen=True, kw_only=True)
class EngineFile:
    """A plan that may be loaded.

    Attributes:
        path: Path of the plan.
        facts: Fingerprint of the plan.
        card: Model card.
        trt_package: TensorRT that loads it.
        built: Whether it was built just now.
    """

    path: Path
    facts: Fingerprint
    card: ModelCard
    trt_package: TensorRtPackage
    built: bool = False


def open_kept(
    plan: Path, request: EngineRequest, batch: int | None, refuse: Callable[[str], None]
) -> EngineFile | None:
    """Open a plan beside its ONNX file or in the cache; return None where it does not fit.

    Args:
        plan: Path of the plan.
        request: Engine that is needed.
        batch: Windows in one call; None means the plan's.
        refuse: Called with the reason why the plan does not fit.

    Raises:
        BadInputError: if nothing states what the plan holds.
    """
    needed = request.describe()
    try:
        found = read_fingerprint_file(plan)
    except BadInputError as error:
        raise BadInputError(f"{error} Remove {plan.name} to have it built again.") from None
    if batch is None:
        needed = replace(needed, profile=found.profile)
    if not needed.targets and request.machine.target:
        needed = replace(needed, targets=(request.machine.target,))
    try:
        check_fingerprint(plan, found, needed)
    except StaleEngineError as error:
        refuse(str(error))
        return None
    return EngineFile(path=plan, facts=found, card=request.card, trt_package=request.trt_package)


def open_alone(plan: Path) -> EngineFile:
    """Open a plan whose ONNX file is not beside it: nothing can be rebuilt.

    Raises:
        BadInputError: if it is missing, or does not fit this machine.
    """
    if not plan.is_file():
        raise BadInputError(f"{plan}: no such plan. Check the path.")
    try:
        found = read_fingerprint_file(plan)
        trt_package, machine = find_package(found.package), read_machine()
        here = asdict(machine) | {"version": trt_package.version}
        targets = (machine.target,) if machine.target else ()
        check_fingerprint(plan, found, replace(found, **here, targets=targets))
        card = read_card({METADATA_KEY: json.dumps(found.card)})
    except (BadInputError, StaleEngineError, CardError) as error:
        raise BadInputError(f"{error} Put {plan.stem}.onnx beside it, and it is built again.") from None
    return EngineFile(path=plan, facts=found, card=card, trt_package=trt_package)
