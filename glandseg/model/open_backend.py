"""Open a model on a device: TensorRT, CUDA or the CPU."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError, EnvironmentLacksError, GlandsegError, explain
from glandseg.core.system import hash_file
from glandseg.model.backend import BATCH, ModelBackend
from glandseg.model.device import DeviceChoice, parse_device
from glandseg.model.fastest import choose_for_gpu, is_open_to_choice, open_fastest_on_cpu
from glandseg.model.files import AUTO, ENGINE_SUFFIX
from glandseg.model.gpu import NONE, read_machine
from glandseg.model.gpu_check import pass_first_use
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.onnx.cuda import CudaSession


def open_backend(
    path: Path,
    *,
    device: str = "auto",
    threads: int = 0,
    batch: int | None = None,
    require_gpu: bool = False,
    precision: str | None = None,
    say: Say = lambda text: None,
    take: Callable[[Path, str], None] = lambda path, reason: None,
) -> ModelBackend:
    """Open a model on a device; at its first use, a GPU is compared with the CPU.

    "auto" takes TensorRT where it, PyCUDA and a driver work, else ONNX Runtime with CUDA, else the CPU.

    Args:
        path: ONNX file, or an .engine file, which runs with TensorRT alone.
        device: "auto", "cpu", "cuda", "cuda:N", "trt" or "trt:N".
        threads: Threads on the CPU; 0 takes all CPUs that this process may use.
        batch: Windows in one call on a GPU; halved while it has not enough memory. None means those of the
            engine that is kept, else `BATCH`.
        require_gpu: Refuse the CPU.
        precision: "auto" runs, where `path` is NAME.onnx, the fastest of the files beside it that the device
            computes right. None runs `path` as it is; so do the other precisions, but for TensorRT, which
            builds an engine in them.
        say: Called with a line for each device that "auto" leaves out, and before what takes long.
        take: Called with (file, reason) where a file was chosen.

    Raises:
        BadInputError: if there is no such device or file.
        EnvironmentLacksError: if the requested device, or any GPU where one is required, does not work.
        ParityError: if the requested GPU computes something else than the CPU.
    """
    choice = parse_device(device)
    _check(path, choice, batch, require_gpu)
    chooses = precision == AUTO and is_open_to_choice(path)

    def open_cuda() -> ModelBackend:
        file, reason = choose_for_gpu(path) if chooses else (path, "")
        backend = open_on_cuda(file, choice.ordinal, batch, say)
        if chooses:
            take(file, reason)
        return backend

    def open_cpu() -> ModelBackend:
        if not chooses:
            return CpuSession(path, threads=threads, batch=batch or BATCH)
        backend, file, reason = open_fastest_on_cpu(path, threads=threads, batch=batch or BATCH, say=say)
        take(file, reason)
        return backend

    openers: dict[str, Callable[[], ModelBackend]] = {
        "trt": lambda: open_on_tensorrt(path, choice.ordinal, batch, say, precision=precision or AUTO),
        "cuda": open_cuda,
        "cpu": open_cpu,
    }
    if choice.kind == "auto" and path.suffix != ENGINE_SUFFIX:
        return _open_best(openers, require_gpu, say)
    kind = "trt" if choice.kind == "auto" else choice.kind
    return openers[kind]() if kind == "cpu" else _open_on_gpu(kind, openers[kind])


def open_on_tensorrt(
    path: Path, ordinal: int, batch: int | None, say: Say, *, precision: str = AUTO, rebuild: bool = True
) -> ModelBackend:
    """Open a model with TensorRT; its engine is built first where none fits.

    Args:
        path: ONNX or .engine file.
        ordinal: Number of the GPU.
        batch: Windows in one call; None means those of the engine that is kept.
        say: Called with a line before what takes long.
        precision: Precision of the engine; "auto" takes float16 where its file lies beside the model.
        rebuild: Build an engine where none fits; else that is an error.
    """
    from glandseg.model.tensorrt.backend import EngineBackend
    from glandseg.model.tensorrt.driver import check_first_kind, load_driver
    from glandseg.model.tensorrt.engine_cache import find_engine
    from glandseg.model.tensorrt.engine_file import EngineFile

    driver = load_driver()
    check_first_kind(driver, ordinal)

    def find(windows: int | None) -> EngineFile:
        if not rebuild and windows != batch:
            raise EnvironmentLacksError(
                f"{path}: not enough GPU memory for it. Close other programs that use it."
            )
        # A batch that was halved suits what the GPU has free now: its engine must not replace the good one.
        halved = windows != batch
        return find_engine(path, batch=windows, precision=precision, halved=halved, rebuild=rebuild, say=say)

    backend = EngineBackend(driver, find, ordinal=ordinal, batch=batch, say=say)
    return _prove(backend, path, backend.precision, ordinal, say)


def open_engine_only(path: Path) -> ModelBackend:
    """Open an engine as it is, on the first GPU; where it does not fit, that is an error."""
    return _open_on_gpu("trt", lambda: open_on_tensorrt(path, 0, None, lambda text: None, rebuild=False))


def open_on_cuda(path: Path, ordinal: int, batch: int | None, say: Say) -> ModelBackend:
    """Open a model with ONNX Runtime on a GPU."""
    session = CudaSession(path, ordinal=ordinal, batch=batch or BATCH, say=say)
    return _prove(session, path, session.card.precision, ordinal, say)


def _open_best(openers: dict[str, Callable[[], ModelBackend]], require_gpu: bool, say: Say) -> ModelBackend:
    reasons = []
    for kind in ("trt", "cuda") if read_machine().gpu != NONE else ():
        opened = _try(openers[kind])
        if not isinstance(opened, str):
            return opened
        reasons.append(opened)
        say(f"{kind} is not used: {opened}")
    if require_gpu:
        raise EnvironmentLacksError(
            f"--require-gpu: no GPU can be used ({' | '.join(reasons) or 'no NVIDIA GPU or driver'}). "
            "Look at `glandseg doctor`, or leave --require-gpu out."
        )
    if not reasons:
        say("no NVIDIA GPU: the CPU does the work")
    return openers["cpu"]()


def _try(opener: Callable[[], ModelBackend]) -> ModelBackend | str:
    """Open a device, or return why not: whatever a GPU's libraries raise, another device may work."""
    try:
        return opener()
    except Exception as error:
        return explain(error)


def _open_on_gpu(kind: str, opener: Callable[[], ModelBackend]) -> ModelBackend:
    """Open a model on the requested GPU; what its libraries raise is the environment's fault."""
    try:
        return opener()
    except GlandsegError:
        raise
    except Exception as error:  # ONNX Runtime, TensorRT and PyCUDA raise classes that share no base
        raise EnvironmentLacksError(
            f"--device {kind}: the GPU cannot be used ({explain(error)}). Look at `glandseg doctor`, or give "
            "--device cpu."
        ) from error


def _prove(backend: ModelBackend, path: Path, precision: str, ordinal: int, say: Say) -> ModelBackend:
    """Return the backend once it passed the check at first use; else close it."""
    try:
        machine = read_machine(ordinal)
        facts = {"model": hash_file(path), "gpu": machine.gpu, "driver": machine.driver, "cuda": machine.cuda}
        pass_first_use(backend, path, facts, precision=precision, say=say)
    except BaseException:
        backend.__exit__(None, None, None)
        raise
    return backend


def _check(path: Path, choice: DeviceChoice, batch: int | None, require_gpu: bool) -> None:
    if not path.is_file():
        raise BadInputError(f"{path}: no such model file. Check the path, or leave --model out.")
    if batch is not None and batch < 1:
        raise BadInputError(f"--batch: at least 1. Received: {batch}.")
    if choice.kind == "cpu" and require_gpu:
        raise BadInputError("--require-gpu: not with --device cpu. Leave one of the two out.")
    if path.suffix == ENGINE_SUFFIX and choice.kind not in ("auto", "trt"):
        raise BadInputError(f"{path}: an engine runs with --device trt alone. Received: {choice.kind}.")
