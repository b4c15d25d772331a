"""Which ONNX file an engine is built from, and where the engine is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

import platformdirs

from glandseg.core.atomic import stage_outputs
from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.files import BUNDLED, FP16_SUFFIX, INT8_TENSORRT_SUFFIX, find_name
from glandseg.model.tensorrt.fingerprint_file import find_fingerprint_file

Say = Callable[[str], None]
PLAN_SUFFIX = ".engine"
# Of the stem of the ONNX file that TensorRT takes in each precision, and what writes it.
PRECISIONS = {"float32": "", "float16": FP16_SUFFIX, "int8": INT8_TENSORRT_SUFFIX}
_OPTIONS = {"float32": "", "float16": " --fp16", "int8": " --int8"}


def choose_onnx(model: Path, precision: str, say: Say) -> Path:
    """Choose among NAME.onnx, NAME.fp16.onnx and NAME.int8.trt.onnx, which lie side by side.

    Args:
        model: one of them, or NAME.int8.onnx, whose numbers only ONNX Runtime's CPU takes.
        precision: of the file wanted; "auto" keeps that of a file of lower precision, and takes the float16
            file beside NAME.onnx where there is one.
        say: is told when "auto" finds no float16 file.

    Raises:
        BadInputError: if there is no such precision, or no such file.
    """
    if precision not in (*PRECISIONS, "auto"):
        known = ", ".join(PRECISIONS)
        raise BadInputError(f"precision of an engine: one of auto, {known}. Received: {precision}")
    if precision == "auto":
        precision = _choose_precision(model, say)
    chosen = model.with_name(f"{find_name(model)}{PRECISIONS[precision]}.onnx")
    if chosen != model and not chosen.is_file():
        option = _OPTIONS[precision]
        raise BadInputError(
            f"{chosen}: not there, so no engine in {precision}. `glandseg export{option}` writes it."
        )
    return chosen


def _choose_precision(model: Path, say: Say) -> str:
    name = find_name(model)
    suffix = model.stem.removeprefix(name)
    if suffix:
        return "float16" if suffix == FP16_SUFFIX else "int8"
    half = model.with_name(f"{name}{FP16_SUFFIX}.onnx")
    if half.is_file():
        return "float16"
    say(f"{half.name} is not there: the engine computes in float32. `glandseg export --fp16` writes it.")
    return "float32"


def find_cache() -> Path:
    """Give the user's folder for engines whose models lie where nothing can be written."""
    return platformdirs.user_cache_path("glandseg", appauthor=False) / "engines"


def list_places(onnx: Path, sha256: str, cache: Path) -> list[Path]:
    """List where a model's plan may lie, the best place first: beside it, then in the cache.

    The bundled model's lies in the cache alone, for the package's folder is the installer's.
    """
    cached = cache / f"{onnx.stem}-{sha256[:12]}{PLAN_SUFFIX}"
    return [cached] if onnx.resolve().parent == BUNDLED.parent else [onnx.with_suffix(PLAN_SUFFIX), cached]


def place_aside(onnx: Path, sha256: str, batch: int, cache: Path) -> Path:
    """Return where the plan of a halved batch lies, apart from the model's own."""
    return cache / f"{onnx.stem}-{sha256[:12]}-batch{batch}{PLAN_SUFFIX}"


def keep_plan(places: Sequence[Path], write: Callable[[Path], None]) -> Path:
    """Write a plan and its fingerprint file where that can be done, both or neither; give the plan's path.

    Args:
        places: of the plan, the best one first.
        write: writes both, the plan where it is told.

    Raises:
        EnvironmentLacksError: if no place can be written.
    """
    for place in places:
        if _try_to_keep(place, write):
            return place
    folders = " nor ".join(str(place.parent) for place in places)
    raise EnvironmentLacksError(
        f"{places[0].name}: cannot be kept in {folders}. Make room there, or give this user write permission."
    )


def _try_to_keep(place: Path, write: Callable[[Path], None]) -> bool:
    with contextlib.suppress(EnvironmentLacksError):
        with stage_outputs(place.parent, [place.name, find_fingerprint_file(place).name]) as stage:
            write(stage / place.name)
        return True
    return False
