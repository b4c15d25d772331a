"""Build a plan from an ONNX file, and check that it computes in the file's precision."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from glandseg.core.atomic import write_whole
from glandseg.core.errors import BadInputError, GlandsegError
from glandseg.model.backend import BATCH
from glandseg.model.onnx.onnx_file import read_onnx_card
from glandseg.model.ports import check_ports
from glandseg.model.tensorrt.layer_types import (
    LayerCount,
    check_share,
    count_engine,
    count_network,
    describe_doubt,
)
from glandseg.model.tensorrt.log import find_reason
from glandseg.model.tensorrt.package import TensorRtPackage
from glandseg.model.tensorrt.parse import Parsed, parse_network
from glandseg.model.tensorrt.progress import PERCENT, Advance, interrupts_noted, open_progress
from glandseg.model.windows import WINDOW_PX


@dataclass(frozen=True, kw_only=True)
class BuildSettings:
    """How an engine is built.

    Attributes:
        batch: Windows in one call, no more and no fewer.
        precision: Precision of the ONNX file, which the engine must keep: "float32", "float16" or "int8".
        targets: GPUs to build for, "sm89"; None means the package's default.
        workspace_bytes: Maximum memory of a layer beside its inputs and outputs.
        timings: File of kernels' timings, which makes the next build faster; None keeps none.
    """

    batch: int = BATCH
    precision: str = "float32"
    targets: tuple[str, ...] = ()
    workspace_bytes: int = 4 << 30
    timings: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a batch that holds no window."""
        if self.batch < 1:
            raise BadInputError(f"--batch: at least 1. Received: {self.batch}.")

    @property
    def profile(self) -> tuple[int, ...]:
        """Return the one shape of the input `windows`: (N, 320, 320, 3)."""
        return (self.batch, WINDOW_PX, WINDOW_PX, 3)


@dataclass(frozen=True, kw_only=True)
class Built:
    """A plan, and what its layers compute in.

    Attributes:
        plan: Bytes in TensorRT's own format.
        count: Number of layers by number type.
        doubt: Warning about the count; empty where it is as expected.
    """

    plan: bytes
    count: LayerCount
    doubt: str = ""


def build_engine(
    onnx: Path, settings: BuildSettings, trt_package: TensorRtPackage, advance: Advance
) -> Built:
    """Build a plan.

    Args:
        onnx: ONNX file, in the settings' precision.
        settings: How to build.
        trt_package: TensorRT that builds.
        advance: Called with (percent done, 100, phase).

    Raises:
        BadInputError: if TensorRT cannot read the model, or cannot build for the targets.
        EnvironmentLacksError: if TensorRT cannot start here.
        GlandsegError: if it cannot build the engine, or the network does not compute in the precision.
        KeyboardInterrupt: if the user stops it.
    """
    trt_package.check_targets(settings.targets)
    parsed = parse_network(onnx, trt_package)
    _check_parsed(parsed, onnx)
    inputs, outputs = _list_ports(parsed.network)
    check_ports(onnx, inputs, outputs, len(read_onnx_card(onnx).classes))
    count = count_network(parsed.network)
    check_share(count, settings.precision, onnx.name)
    config = _configure(parsed, settings)
    with _kept_timings(config, trt_package, settings.timings):
        plan = _run_builder(parsed, config, onnx, advance)
    built = count_engine(plan, trt_package, parsed.log) or count
    return Built(plan=plan, count=built, doubt=describe_doubt(built, settings.precision))


def _check_parsed(parsed: Parsed, onnx: Path) -> None:
    if parsed.errors:
        more = f" (and {len(parsed.errors) - 1} more)" if parsed.errors[1:] else ""
        raise BadInputError(
            f"{onnx}: {parsed.trt_package} cannot read it: {parsed.errors[0]}{more}. Export the model again."
        )


def _list_ports(network: Any) -> tuple[list[Any], list[Any]]:
    """List the inputs and outputs of a network, as ONNX Runtime spells them."""

    def spell(tensor: Any) -> Any:
        shape = [None if side < 0 else side for side in tensor.shape]
        return SimpleNamespace(name=tensor.name, shape=shape, type=f"tensor({tensor.dtype.name.lower()})")

    inputs = [spell(network.get_input(i)) for i in range(network.num_inputs)]
    return inputs, [spell(network.get_output(i)) for i in range(network.num_outputs)]


def _configure(parsed: Parsed, settings: BuildSettings) -> Any:
    module, config = parsed.trt_package.module, parsed.builder.create_builder_config()
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, settings.workspace_bytes)
    config.clear_flag(module.BuilderFlag.TF32)  # float32 means float32
    config.profiling_verbosity = module.ProfilingVerbosity.DETAILED  # the inspector lists types only then
    _fix_shape(parsed, config, settings.profile)
    if settings.targets:
        config.num_compute_capabilities = len(settings.targets)
        for i, target in enumerate(settings.targets):
            config.set_compute_capability(getattr(module.ComputeCapability, target.upper()), i)
    return config


def _fix_shape(parsed: Parsed, config: Any, shape: tuple[int, ...]) -> None:
    """Fix the shape of the input.

    TensorRT for RTX compiles kernels for free shapes while it runs, which may change last bits in mid-slide:
    its shape is fixed in the network.
    """
    windows = parsed.network.get_input(0)
    if parsed.trt_package.is_rtx:
        windows.shape = shape
        return
    profile = parsed.builder.create_optimization_profile()
    profile.set_shape(windows.name, *[shape] * 3)  # minimum, optimum and maximum
    config.add_optimization_profile(profile)


def _run_builder(parsed: Parsed, config: Any, onnx: Path, advance: Advance) -> bytes:
    progress = open_progress(parsed.trt_package.module, advance)
    config.progress_monitor = progress
    with interrupts_noted(progress.stop):
        plan = parsed.builder.build_serialized_network(parsed.network, config)
    if progress.error is not None:
        raise progress.error
    if plan is None:
        raise GlandsegError(
            f"{onnx}: {parsed.trt_package} cannot build an engine of it: {find_reason(parsed.log)}"
        )
    advance(PERCENT, PERCENT, "built")
    return bytes(plan)


@contextlib.contextmanager
def _kept_timings(config: Any, trt_package: TensorRtPackage, path: Path | None) -> Iterator[None]:
    """Pass the timings of earlier builds to the builder, and keep its own; losing them costs only time."""
    if path is None or trt_package.is_rtx:  # TensorRT for RTX times nothing while it builds
        yield
        return
    known = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(known) or config.create_timing_cache(b"")
    config.set_timing_cache(cache, False)
    yield
    with contextlib.suppress(OSError), write_whole(path) as part:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(bytes(config.get_timing_cache().serialize()))
