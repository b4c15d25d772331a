"""The engine of a model: the one that is kept if it fits, else a new one.

A plan of TensorRT is valid for one version, GPU and driver only, and loading a wrong one fails late or
computes something else. So each plan has a fingerprint file, and it is loaded only after all its facts were
compared with what is here. Building takes minutes: what fits is reused, what does not is replaced.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import platformdirs

from glandseg.core.atomic import stage_outputs
from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.files import BUNDLED, ENGINE_SUFFIX
from glandseg.model.tensorrt.build import build_engine
from glandseg.model.tensorrt.engine_file import EngineFile, open_alone, open_kept
from glandseg.model.tensorrt.fingerprint import (
    StaleEngineError,
    find_fingerprint_file,
    read_fingerprint_file,
    write_fingerprint_file,
)
from glandseg.model.tensorrt.package import RTX, find_package
from glandseg.model.tensorrt.progress import Advance
from glandseg.model.tensorrt.request import EngineRequest, choose_onnx, make_request

STALE_CURE = "`glandseg infer --device trt` builds it again."


def find_engine(
    model: Path,
    *,
    batch: int | None = None,
    precision: str = "auto",
    targets: Sequence[str] = (),
    package: str | None = None,
    halved: bool = False,
    rebuild: bool = True,
    cache: Path | None = None,
    say: Say = lambda line: None,
    advance: Advance = lambda done, total, note: None,
) -> EngineFile:
    """Return the engine of a model, built now unless one that fits is kept.

    Args:
        model: NAME.onnx, NAME.fp16.onnx or a plan NAME.engine.
        batch: Windows in one call; None means those of the plan that is kept, or 8.
        precision: "float32", "float16", "int8", or "auto" for float16 where its file lies beside NAME.onnx.
        targets: GPUs to build for, "sm89"; TensorRT for RTX alone can.
        package: TensorRT to use, "tensorrt" or "tensorrt_rtx"; None means that of the plan that is kept,
            else the one installed.
        halved: The batch was halved: keep the plan in the cache under its batch, and look for it there alone.
        rebuild: Build an engine where none fits; else that is an error.
        cache: Folder for what cannot be kept beside the model; None means the user's.
        say: Called with a line for why an engine is built, and for what came of it.
        advance: Called with (percent done, 100, phase) while an engine is built.

    Raises:
        BadInputError: if the model or the plan cannot be used.
        EnvironmentLacksError: if there is no TensorRT, no GPU that it needs, or no place to write.
        StaleEngineError: if no plan fits and none may be built.
        GlandsegError: if no engine can be built in that precision.
    """
    cache = cache or find_cache()
    given = model if model.suffix == ENGINE_SUFFIX else None
    onnx = given.with_suffix(".onnx") if given else choose_onnx(model, precision, say)
    if given and not onnx.is_file():
        return open_alone(given)
    beside = given or onnx.with_suffix(ENGINE_SUFFIX)
    trt_package = find_package(package or (RTX if targets else _find_package(beside)))
    request = make_request(onnx, batch, tuple(targets), trt_package, cache)
    paths = [given] if given else _list_engine_paths(onnx, request.sha256, cache)
    if halved:
        paths = [_find_halved(onnx, request.sha256, request.settings.batch, cache)]
    refused: list[str] = []
    kept = (open_kept(plan, request, batch, refused.append) for plan in paths if plan.is_file())
    engine = next(filter(None, kept), None)
    if engine is None and not rebuild:
        raise StaleEngineError(refused[0] if refused else f"{beside}: no such plan.")
    for reason in refused:
        say(f"{reason} It is not used.")
    return engine or build_and_keep(request, paths, say, advance)


def build_and_keep(request: EngineRequest, paths: Sequence[Path], say: Say, advance: Advance) -> EngineFile:
    """Build an engine and write it with its fingerprint file.

    Args:
        request: Engine to build.
        paths: Paths that the plan may have, the preferred one first.
        say: Called with a line for what came of it.
        advance: Called with (percent done, 100, phase).
    """
    say(f"{request.onnx.name}: building an engine with {request.trt_package}")
    built = build_engine(request.onnx, request.settings, request.trt_package, advance)
    share, measured_on = built.count.share(request.settings.precision), built.count.measured_on
    if built.doubt:
        say(f"{request.onnx.name}: {built.doubt}")
    facts = replace(
        request.describe(), share=round(share, 4), measured_on=measured_on, layers=built.count.layers
    )

    def write(plan: Path) -> None:
        plan.write_bytes(built.plan)
        write_fingerprint_file(plan, facts)

    path = _keep_plan(paths, write)
    say(
        f"{path}: {request.trt_package}, batch {facts.batch}, {share:.0%} of the layers of its "
        f"{measured_on} in {facts.precision}, {len(built.plan) / 1e6:.1f} MB"
    )
    facts = read_fingerprint_file(path)
    return EngineFile(path=path, facts=facts, card=request.card, trt_package=request.trt_package, built=True)


def _find_package(plan: Path) -> str | None:
    """Return the TensorRT that built a plan, where it can be imported; None lets any be taken."""
    try:
        package = read_fingerprint_file(plan).package
        find_package(package)
    except (BadInputError, EnvironmentLacksError):
        return None
    return package


def find_cache() -> Path:
    """Return the user's folder for engines whose models lie where nothing can be written."""
    return platformdirs.user_cache_path("glandseg", appauthor=False) / "engines"


def _list_engine_paths(onnx: Path, sha256: str, cache: Path) -> list[Path]:
    """List where a model's plan may lie: beside the model, then in the cache.

    The bundled model's lies in the cache alone, for the package's folder is the installer's.
    """
    cached = cache / f"{onnx.stem}-{sha256[:12]}{ENGINE_SUFFIX}"
    return [cached] if onnx.resolve().parent == BUNDLED.parent else [onnx.with_suffix(ENGINE_SUFFIX), cached]


def _find_halved(onnx: Path, sha256: str, batch: int, cache: Path) -> Path:
    """Return where the plan of a halved batch lies, apart from the model's own."""
    return cache / f"{onnx.stem}-{sha256[:12]}-batch{batch}{ENGINE_SUFFIX}"


def _keep_plan(paths: Sequence[Path], write: Callable[[Path], None]) -> Path:
    """Write a plan and its fingerprint file, both or neither; return the plan's path.

    Args:
        paths: Paths that the plan may have; the first that can be written is taken.
        write: Called with the path to write the plan to, its fingerprint file beside it.

    Raises:
        EnvironmentLacksError: if no path can be written.
    """
    for path in paths:
        with contextlib.suppress(EnvironmentLacksError):
            with stage_outputs(path.parent, [path.name, find_fingerprint_file(path).name]) as stage:
                write(stage / path.name)
            return path
    folders = " nor ".join(str(path.parent) for path in paths)
    raise EnvironmentLacksError(
        f"{paths[0].name}: cannot be kept in {folders}. Make room there, or give this user write permission."
    )
