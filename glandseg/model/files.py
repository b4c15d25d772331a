"""Choose the model file to run, and check its hash against the record beside it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.json_text import parse_json
from glandseg.core.system import hash_file

BUNDLED = Path(__file__).parent / "bundled" / "glandseg-colon.onnx"
RECORD_SUFFIX = ".json"
# Suffixes of stems, of files beside NAME.onnx: NAME.fp16.onnx.
FP16_SUFFIX = ".fp16"
INT8_SUFFIX = ".int8"
INT8_TENSORRT_SUFFIX = ".int8.trt"
AUTO = "auto"  # the precision that is the fastest on a device
_SUFFIXES = {"float32": "", "float16": FP16_SUFFIX, "int8": INT8_SUFFIX}
_OPTIONS = {"float32": "", "float16": " --fp16", "int8": " --int8"}  # of `glandseg export`, by precision
SUFFIXES = (FP16_SUFFIX, INT8_SUFFIX, INT8_TENSORRT_SUFFIX)
ENGINE_SUFFIX = ".engine"
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """A model file that agrees with its record.

    Attributes:
        path: ONNX file.
        sha256: Hash of its bytes.
        origin: "bundled", "newest export" or "--model".
        choice: Its precision and why it was taken; empty where it was named.
    """

    path: Path
    sha256: str
    origin: str
    choice: str = ""


def find_model(
    given: Path | None, exports: Path = Path("models"), *, precision: str | None = None
) -> ModelFile:
    """Choose the model: the given one, else the newest export, else the bundled one.

    Args:
        given: File that the user named.
        exports: Folder where `glandseg export` writes.
        precision: "float32", "float16" or "int8", in which the file beside the chosen model is taken; None
            means the chosen file as it is.

    Raises:
        BadInputError: if the file is missing, or differs from the hash recorded beside it.
    """
    path, origin = (given, "--model") if given is not None else _choose_model(exports)
    if precision is None or not path.is_file():  # `check_model` reports it
        return check_model(path, origin)
    file = find_beside(path, precision)
    if not file.is_file():
        command = f"glandseg export{_OPTIONS[precision]}"
        raise BadInputError(f"{file}: no {precision} file of this model. Write it with `{command}`.")
    return check_model(file, origin)


def find_bundled() -> ModelFile:
    """Return the model that comes with the package."""
    return check_model(BUNDLED, "bundled")


def _choose_model(exports: Path) -> tuple[Path, str]:
    found = (path for path in exports.glob("*/*.onnx") if not path.stem.endswith(SUFFIXES))
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    return (newest, "newest export") if newest else (BUNDLED, "bundled")


def check_model(path: Path, origin: str) -> ModelFile:
    """Hash a model file and compare it with the record of the model, NAME.json, where there is one.

    Raises:
        BadInputError: if the file is missing, or differs from its record.
        EnvironmentLacksError: if it cannot be read.
    """
    if not path.is_file():
        raise BadInputError(f"{path}: no such model file. Check the path, or leave --model out.")
    try:
        sha256 = hash_file(path)
    except OSError as error:
        raise EnvironmentLacksError(
            f"{path}: cannot be read ({error.strerror}). Give this user read permission."
        ) from error
    record = find_record(path)
    if record.is_file():
        recorded = list_recorded(record).get(path.name)
        if recorded is not None and recorded != sha256:
            raise BadInputError(
                f"{path}: its sha256 is {sha256[:12]}, {record.name} says {recorded[:12]}. "
                "The file is damaged or was replaced: export or install it again."
            )
    return ModelFile(path=path, sha256=sha256, origin=origin)


def find_record(path: Path) -> Path:
    """Return the path of a model file's record: NAME.json for NAME.onnx and NAME.fp16.onnx."""
    return path.with_name(find_name(path) + RECORD_SUFFIX)


def find_beside(path: Path, precision: str) -> Path:
    """Return the path of a model's file in "float32", "float16" or "int8", which need not exist."""
    return path.with_name(f"{find_name(path)}{_SUFFIXES[precision]}.onnx")


def find_name(path: Path) -> str:
    """Return the name of a model file's model, NAME for NAME.fp16.onnx."""
    suffix = next((suffix for suffix in SUFFIXES if path.stem.endswith(suffix)), "")
    return path.stem.removesuffix(suffix)


def list_recorded(record: Path) -> dict[str, str]:
    """Read the sha256 of each file in a model's record.

    Raises:
        BadInputError: if the record is damaged.
        EnvironmentLacksError: if it cannot be read.
    """
    try:
        files = parse_json(record.read_bytes())["files"]
        stated = {name: facts["sha256"] for name, facts in files.items()}
        if not all(isinstance(sha256, str) and _SHA256.fullmatch(sha256) for sha256 in stated.values()):
            raise ValueError("no sha256")
    except OSError as error:
        raise EnvironmentLacksError(
            f"{record}: cannot be read ({error.strerror}). Give this user read permission."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInputError(
            f"{record}: damaged record of a model. Export or install the model again."
        ) from None
    return stated
