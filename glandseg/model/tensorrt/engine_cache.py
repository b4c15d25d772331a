"""The engine of a model: the one that is there if it fits, else a new one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.tensorrt.build import build_engine
from glandseg.model.tensorrt.engine_file import EngineFile, open_alone, open_plan
from glandseg.model.tensorrt.fingerprint import StaleEngineError
from glandseg.model.tensorrt.fingerprint_file import read_fingerprint_file, write_fingerprint_file
from glandseg.model.tensorrt.package import RTX, find_package
from glandseg.model.tensorrt.paths import (
    PLAN_SUFFIX,
    Say,
    choose_onnx,
    find_cache,
    keep_plan,
    list_places,
    place_aside,
)
from glandseg.model.tensorrt.progress import Advance
from glandseg.model.tensorrt.request import Order, make_order

__all__ = ["EngineFile", "find_engine", "make_engine"]

STALE_CURE = "`glandseg infer --device trt` builds it again."


def find_engine(
    model: Path,
    *,
    batch: int | None = None,
    precision: str = "auto",
    targets: Sequence[str] = (),
    package: str | None = None,
    aside: bool = False,
    rebuild: bool = True,
    cache: Path | None = None,
    say: Say = lambda line: None,
    advance: Advance = lambda done, total, note: None,
) -> EngineFile:
    """Give the engine of a model, built now unless one that fits is there.

    Args:
        model: NAME.onnx, NAME.fp16.onnx or a plan NAME.engine.
        batch: windows that go in at once; none takes those of the plan that is there, or 8.
        precision: "float32", "float16", "int8", or "auto" for float16 where its file lies beside NAME.onnx.
        targets: GPUs to build for, "sm89"; TensorRT for RTX alone can.
        package: the TensorRT to use, "tensorrt" or "tensorrt_rtx"; none takes that of the plan that is there,
            else the one installed.
        aside: keep the plan in the cache under a name of its batch, and look for it there alone.
        rebuild: build an engine where none fits; else that is an error.
        cache: folder for what cannot be kept beside the model; none takes the user's.
        say: is told why an engine is built, and what came of it.
        advance: is told the percent of a build, 100, and its phase.

    Raises:
        BadInputError: if the model or the plan cannot be used.
        EnvironmentLacksError: if there is no TensorRT, no GPU that it needs, or no place to write.
        StaleEngineError: if no plan fits and none may be built.
        GlandsegError: if no engine can be built in that precision.
    """
    cache = cache or find_cache()
    given = model if model.suffix == PLAN_SUFFIX else None
    onnx = given.with_suffix(".onnx") if given else choose_onnx(model, precision, say)
    if given and not onnx.is_file():
        return open_alone(given)
    beside = given or onnx.with_suffix(PLAN_SUFFIX)
    trt_package = find_package(package or (RTX if targets else _find_package(beside)))
    order = make_order(onnx, batch, tuple(targets), trt_package, cache)
    places = [given] if given else list_places(onnx, order.sha256, cache)
    if aside:
        places = [place_aside(onnx, order.sha256, order.settings.batch, cache)]
    refused: list[str] = []
    found = (open_plan(plan, order, batch, refused.append) for plan in places if plan.is_file())
    engine = next(filter(None, found), None)
    if engine is None and not rebuild:
        raise StaleEngineError(f"{refused[0] if refused else f'{beside}: no such plan.'}")
    for reason in refused:
        say(f"{reason} It is not used.")
    return engine or make_engine(order, places, say, advance)


def _find_package(plan: Path) -> str | None:
    """Return the TensorRT that built a plan, where it can be imported; None lets any be taken."""
    try:
        package = read_fingerprint_file(plan).package
        find_package(package)
    except (BadInputError, EnvironmentLacksError):
        return None
    return package


def make_engine(order: Order, places: Sequence[Path], say: Say, advance: Advance) -> EngineFile:
    """Build an engine and keep it with its fingerprint file.

    Args:
        order: what to build.
        places: where the plan may lie, the best place first.
        say: is told what came of it.
        advance: is told the percent done, 100, and the phase.
    """
    say(f"{order.onnx.name}: building an engine with {order.trt_package}")
    built = build_engine(order.onnx, order.settings, order.trt_package, advance)
    share = built.count.share(order.settings.precision)
    if built.doubt:
        say(f"{order.onnx.name}: {built.doubt}")
    facts = replace(
        order.describe(),
        share=round(share, 4),
        measured_on=built.count.measured_on,
        layers=built.count.layers,
    )

    def write(plan: Path) -> None:
        plan.write_bytes(built.plan)
        write_fingerprint_file(plan, facts)

    path = keep_plan(places, write)
    say(
        f"{path}: {order.trt_package}, batch {facts.batch}, {share:.0%} of the layers of its "
        f"{facts.measured_on} in {facts.precision}, {len(built.plan) / 1e6:.1f} MB"
    )
    return EngineFile(
        path=path,
        facts=read_fingerprint_file(path),
        card=order.card,
        trt_package=order.trt_package,
        built=True,
    )
