"""Where a model runs: TensorRT, CUDA or the CPU; what is given up is said with its reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glandseg.runtime.engine.machine import NONE, read_machine
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError, GlandsegError
from glandseg.runtime.model_file import ENGINE_SUFFIX, hash_file
from glandseg.runtime.network.backend import ModelBackend
from glandseg.runtime.network.device_choice import DeviceChoice, parse_device
from glandseg.runtime.network.first_use import pass_first_use
from glandseg.runtime.network.session import Session

BATCH = 8
Say = Callable[[str], None]


def open_backend(
    path: Path,
    *,
    device: str = "auto",
    threads: int = 0,
    batch: int = BATCH,
    require_gpu: bool = False,
    say: Say = lambda text: None,
) -> ModelBackend:
    """Open a model on a device; before a GPU is used for the first time, it is compared with the CPU.

    "auto" takes TensorRT where it, PyCUDA and a driver work, else ONNX Runtime with CUDA, else the CPU.

    Args:
        path: of the .onnx file, or of an .engine file, which runs with TensorRT alone.
        device: "auto", "cpu", "cuda", "cuda:N", "trt" or "trt:N".
        threads: of the CPU; 0 takes all that this process may use.
        batch: windows that a GPU runs at once; halved where its memory does not suffice.
        require_gpu: refuse the CPU.
        say: is told, a line each, what "auto" gave up and why, and of what takes long.

    Raises:
        BadInputError: if the device or the file is none.
        EnvironmentLacksError: if the device asked for, or any GPU where one is required, does not work.
        ParityError: if the GPU asked for computes something else than the CPU.
    """
    choice = parse_device(device)
    _check(path, choice, batch, require_gpu)
    openers: dict[str, Callable[[], ModelBackend]] = {
        "trt": lambda: open_on_tensorrt(path, choice.ordinal, batch, say),
        "cuda": lambda: open_on_cuda(path, choice.ordinal, batch, say),
        "cpu": lambda: Session(path, device="cpu", threads=threads),
    }
    if choice.kind != "auto":
        return openers[choice.kind]()
    if path.suffix == ENGINE_SUFFIX:
        return openers["trt"]()
    return _open_best(openers, require_gpu, say)


def open_on_tensorrt(path: Path, ordinal: int, batch: int, say: Say) -> ModelBackend:
    """Open a model with TensorRT; its engine is built first where there is none that fits."""
    from glandseg.runtime.cuda.driver import check_first_kind, load_driver
    from glandseg.runtime.cuda.engine_backend import EngineBackend
    from glandseg.runtime.engine.find import EngineFile, find_engine

    driver = load_driver()
    check_first_kind(driver, ordinal)

    def find(windows: int | None) -> EngineFile:
        return find_engine(path, batch=windows, say=say)

    asked = None if batch == BATCH else batch
    backend = EngineBackend(driver, find, ordinal=ordinal, batch=asked, say=say)
    return _prove(backend, path, backend.precision, say)


def open_on_cuda(path: Path, ordinal: int, batch: int, say: Say) -> ModelBackend:
    """Open a model with ONNX Runtime on a GPU."""
    session = Session(path, device=f"cuda:{ordinal}", batch=batch, say=say)
    return _prove(session, path, session.card.precision, say)


def _open_best(openers: dict[str, Callable[[], ModelBackend]], require_gpu: bool, say: Say) -> ModelBackend:
    reasons = []
    for kind in ("trt", "cuda") if read_machine().gpu != NONE else ():
        opened = _try(openers[kind])
        if not isinstance(opened, GlandsegError):
            return opened
        reasons.append(str(opened))
        say(f"{kind} is not used: {opened}")
    if require_gpu:
        raise EnvironmentLacksError(
            f"--require-gpu: no GPU can be used ({' | '.join(reasons) or 'no NVIDIA GPU or driver'})."
        )
    if not reasons:
        say("no NVIDIA GPU: the CPU does the work")
    return openers["cpu"]()


def _try(opener: Callable[[], ModelBackend]) -> ModelBackend | GlandsegError:
    try:
        return opener()
    except GlandsegError as error:
        return error


def _prove(backend: ModelBackend, path: Path, precision: str, say: Say) -> ModelBackend:
    """Give the backend once it passed the gate; else close it."""
    machine = read_machine()
    facts = {"model": hash_file(path), "gpu": machine.gpu, "driver": machine.driver, "cuda": machine.cuda}
    try:
        pass_first_use(backend, path, facts, precision=precision, say=say)
    except BaseException:
        backend.__exit__(None, None, None)
        raise
    return backend


def _check(path: Path, choice: DeviceChoice, batch: int, require_gpu: bool) -> None:
    if not path.is_file():
        raise BadInputError(f"{path}: no such model file. Check the path, or leave --model out.")
    if batch < 1:
        raise BadInputError(f"--batch: at least 1. Received: {batch}")
    if choice.kind == "cpu" and require_gpu:
        raise BadInputError("--require-gpu: not with --device cpu. Leave one of the two out.")
    if path.suffix == ENGINE_SUFFIX and choice.kind not in ("auto", "trt"):
        raise BadInputError(f"{path}: an engine runs with --device trt alone. Received: {choice.kind}")
