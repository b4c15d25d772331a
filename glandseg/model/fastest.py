"""The fastest of a model's files that a device computes right: NAME.onnx, NAME.fp16.onnx or NAME.int8.onnx.

A GPU computes in float16 nearly twice as fast as in float32. A CPU gains from 8-bit numbers where it has dot
products of them; without, sums are computed in 16 bits, where they saturate, and little is gained. Before the
first use its answers are compared with those in float32, as a GPU's are.
"""

from __future__ import annotations

from pathlib import Path

from glandseg.core.callbacks import Say
from glandseg.core.processor import find_dot_products
from glandseg.core.system import hash_file
from glandseg.model.backend import BATCH
from glandseg.model.files import find_beside, find_name
from glandseg.model.gpu_check import pass_first_use
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import ParityError


def is_open_to_choice(path: Path) -> bool:
    """Return whether a model file is NAME.onnx with another beside it; one of these is run as it is."""
    others = (find_beside(path, precision) for precision in ("float16", "int8"))
    return path.suffix == ".onnx" and path.stem == find_name(path) and any(map(Path.is_file, others))


def choose_for_gpu(path: Path) -> tuple[Path, str]:
    """Return the file to run on a GPU through CUDA, and why."""
    float16 = find_beside(path, "float16")
    if float16.is_file():
        return float16, "float16, the fastest on a GPU"
    return path, f"float32, for {float16.name} is not there. `glandseg export --fp16` writes it"


def open_fastest_on_cpu(
    path: Path, *, threads: int = 0, batch: int = BATCH, say: Say
) -> tuple[CpuSession, Path, str]:
    """Open the file to run on the CPU; return it with its path, and why it is taken.

    Args:
        path: NAME.onnx.
        threads: Threads of the network; 0 takes all.
        batch: Maximum batch size, in windows.
        say: Called with a line before the comparison at first use.
    """
    int8, unit = find_beside(path, "int8"), find_dot_products()
    if not unit:
        reason = "float32, for this CPU has no known dot products of 8-bit numbers"
    elif not int8.is_file():
        reason = f"float32, for {int8.name} is not there. `glandseg export --int8` writes it"
    else:
        session = CpuSession(int8, threads=threads, batch=batch)
        try:
            pass_first_use(session, int8, {"model": hash_file(int8), "cpu": unit}, say=say)
            return session, int8, f"int8, the fastest on a CPU with {unit}"
        except ParityError as error:
            session.__exit__(None, None, None)
            reason = f"float32, for int8 was refused: {error}"
    return CpuSession(path, threads=threads, batch=batch), path, reason
