"""An engine as requested: of which ONNX file, for which GPU, by which TensorRT."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.model.backend import BATCH
from glandseg.model.card import ModelCard
from glandseg.model.files import FP16_SUFFIX, INT8_TENSORRT_SUFFIX, check_model, find_name
from glandseg.model.gpu import Machine, read_machine
from glandseg.model.onnx.onnx_file import check_one_file, read_onnx_card
from glandseg.model.tensorrt.build import BuildSettings
from glandseg.model.tensorrt.fingerprint import Fingerprint
from glandseg.model.tensorrt.package import TensorRtPackage

# Of each precision, the suffix of the ONNX file's stem and the option of `glandseg export` that writes it.
_SUFFIXES = {"float32": "", "float16": FP16_SUFFIX, "int8": INT8_TENSORRT_SUFFIX}
_OPTIONS = {"float32": "", "float16": " --fp16", "int8": " --int8"}


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """An engine that this machine needs.

    Attributes:
        onnx: ONNX file of the model.
        sha256: Hash of that file.
        card: Model card.
        trt_package: TensorRT that builds and loads the engine.
        machine: This machine.
        settings: How to build the engine.
    """

    onnx: Path
    sha256: str
    card: ModelCard
    trt_package: TensorRtPackage
    machine: Machine
    settings: BuildSettings

    def describe(self) -> Fingerprint:
        """Return the fingerprint that the engine would have, but for its bytes and layers."""
        return Fingerprint(
            onnx_sha256=self.sha256,
            weights_sha256=self.card.weights_sha256,
            package=self.trt_package.package,
            version=self.trt_package.version,
            profile=self.settings.profile,
            precision=self.settings.precision,
            targets=self.settings.targets,
            card=asdict(self.card),
            **asdict(self.machine),
        )


def make_request(
    onnx: Path, batch: int | None, targets: tuple[str, ...], trt_package: TensorRtPackage, cache: Path
) -> EngineRequest:
    """Put together what an engine depends on.

    Args:
        onnx: ONNX file of the model.
        batch: Windows in one call; None means `BATCH`.
        targets: GPUs to build for, "sm89"; None means the package's default.
        trt_package: TensorRT that builds and loads the engine.
        cache: Folder for the timings of kernels.

    Raises:
        BadInputError: if the file is no model of glandseg, or differs from its record.
        EnvironmentLacksError: if the package does not run on this machine's GPU.
    """
    check_one_file(onnx)
    sha256, card, machine = check_model(onnx, "--model").sha256, read_onnx_card(onnx), read_machine()
    trt_package.check_gpu(machine.gpu, machine.target)
    settings = BuildSettings(
        batch=BATCH if batch is None else batch,
        precision=card.precision,
        targets=targets or trt_package.choose_targets(machine.target),
        timings=cache / f"timings-{trt_package.version}-{machine.gpu.replace(' ', '-')}",
    )
    return EngineRequest(
        onnx=onnx, sha256=sha256, card=card, trt_package=trt_package, machine=machine, settings=settings
    )


def choose_onnx(model: Path, precision: str, say: Say) -> Path:
    """Choose among NAME.onnx, NAME.fp16.onnx and NAME.int8.trt.onnx, which lie side by side.

    Args:
        model: One of them, or NAME.int8.onnx, whose numbers only ONNX Runtime's CPU takes.
        precision: Precision of the file; "auto" keeps that of a file of lower precision, and takes the
            float16 file beside NAME.onnx where there is one.
        say: Called with a line where "auto" finds no float16 file.

    Raises:
        BadInputError: if there is no such precision, or no such file.
    """
    if precision not in (*_SUFFIXES, "auto"):
        known = ", ".join(_SUFFIXES)
        raise BadInputError(f"precision of an engine: one of auto, {known}. Received: {precision}.")
    if precision == "auto":
        precision = _choose_precision(model, say)
    chosen = model.with_name(f"{find_name(model)}{_SUFFIXES[precision]}.onnx")
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
    fp16 = model.with_name(f"{name}{FP16_SUFFIX}.onnx")
    if fp16.is_file():
        return "float16"
    say(f"{fp16.name} is not there: the engine computes in float32. `glandseg export --fp16` writes it.")
    return "float32"
