"""A plan that is there: loaded only where its fingerprint file says that it fits what is wanted here."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.model.card import METADATA_KEY, CardError, ModelCard, read_card
from glandseg.model.gpu import read_machine
from glandseg.model.tensorrt.fingerprint import Fingerprint, StaleEngineError, check_fingerprint
from glandseg.model.tensorrt.fingerprint_file import read_fingerprint_file
from glandseg.model.tensorrt.package import TensorRtPackage, find_package
from glandseg.model.tensorrt.request import Order


@dataclass(frozen=True, kw_only=True)
class EngineFile:
    """A plan that may be loaded.

    Attributes:
        path: of the plan.
        facts: what it was built from, with and for; `facts.batch` windows go in at once.
        card: of the model.
        package: the TensorRT that loads it.
        built: whether it was built just now.
    """

    path: Path
    facts: Fingerprint
    card: ModelCard
    trt_package: TensorRtPackage
    built: bool


def open_plan(
    plan: Path, order: Order, batch: int | None, refuse: Callable[[str], None]
) -> EngineFile | None:
    """Return a plan that is there, None where it does not fit what is wanted.

    Args:
        plan: path of the plan.
        order: what is wanted.
        batch: windows that go in in one call; None takes the plan's.
        refuse: called with why the plan does not fit.

    Raises:
        BadInputError: if nothing tells what the plan holds.
    """
    try:
        facts = _check_plan(plan, order, batch)
    except StaleEngineError as error:
        refuse(str(error))
        return None
    return EngineFile(path=plan, facts=facts, card=order.card, trt_package=order.trt_package, built=False)


def _check_plan(plan: Path, order: Order, batch: int | None) -> Fingerprint:
    needed = order.describe()
    try:
        found = read_fingerprint_file(plan)
    except BadInputError as error:
        raise BadInputError(f"{error} Remove {plan.name} to have it built again.") from None
    if batch is None:
        needed = replace(needed, profile=found.profile)
    if not needed.targets and order.machine.target:
        needed = replace(needed, targets=(order.machine.target,))
    check_fingerprint(plan, found, needed)
    return found


def open_alone(plan: Path) -> EngineFile:
    """Open a plan whose ONNX file is not beside it: nothing can be rebuilt.

    Raises:
        BadInputError: if there is none, or it does not fit this machine.
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
    return EngineFile(path=plan, facts=found, card=card, trt_package=trt_package, built=False)
