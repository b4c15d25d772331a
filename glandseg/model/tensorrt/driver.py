"""NVIDIA's driver through PyCUDA, and the CUDA context that a thread works in."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator
from typing import Any

from glandseg.core.errors import EnvironmentLacksError, shorten

_MISSING = ("libcuda", "nvcuda", "DLL load failed")


def load_driver() -> Any:
    """Import PyCUDA's driver module and start the driver; no context is made.

    Raises:
        EnvironmentLacksError: if PyCUDA is not installed, there is no NVIDIA driver, or no GPU.
    """
    try:
        driver = importlib.import_module("pycuda.driver")
    except Exception as error:  # on Windows it opens the folder that CUDA_PATH names, which may be gone
        raise EnvironmentLacksError(_explain_import(error)) from None
    try:
        driver.init()
        gpus = driver.Device.count()
    except driver.Error as error:
        raise EnvironmentLacksError(
            f"PyCUDA: the NVIDIA driver does not start ({shorten(error)}). Check it with nvidia-smi."
        ) from None
    if not gpus:
        raise EnvironmentLacksError("PyCUDA: the NVIDIA driver shows no GPU. Check it with nvidia-smi.")
    return driver


def check_first_kind(driver: Any, ordinal: int) -> None:
    """Refuse a GPU other than the first one's kind, which engines are built for.

    Raises:
        EnvironmentLacksError: if it is missing, or of another kind.
    """
    count = driver.Device.count()
    if ordinal >= count:
        raise EnvironmentLacksError(f"GPU {ordinal}: no such GPU, the driver shows {count}.")
    first, requested = driver.Device(0).name(), driver.Device(ordinal).name()
    if first != requested:
        raise EnvironmentLacksError(
            f"trt:{ordinal}: is {requested}, engines are built for the first GPU, {first}. "
            f"Set CUDA_VISIBLE_DEVICES={ordinal} and give --device trt."
        )


@contextlib.contextmanager
def held_context(driver: Any, ordinal: int) -> Iterator[Any]:
    """Make a GPU's primary context, which all libraries share, this thread's own until the block ends.

    Everything made inside must be freed inside, by the same thread: a context that is still on a thread's
    stack when the thread ends aborts the process.

    Args:
        driver: PyCUDA's module.
        ordinal: Number of the GPU.

    Yields:
        PyCUDA's device.
    """
    device = driver.Device(ordinal)
    context = device.retain_primary_context()
    try:
        context.push()
        try:
            yield device
        finally:
            driver.Context.pop()
    finally:
        context.detach()  # also takes it off the stack where a lost GPU refuses the pop


def _explain_import(error: Exception) -> str:
    if isinstance(error, OSError):
        return (
            f"PyCUDA: cannot be imported ({shorten(error)}). "
            "Let CUDA_PATH name the CUDA that is installed, or unset it."
        )
    if any(sign in str(error) for sign in _MISSING):
        return f"PyCUDA: no NVIDIA driver ({shorten(error)}). Install NVIDIA's driver, r535 or newer."
    return (
        f"PyCUDA: cannot be imported ({shorten(error)}). "
        "Build its wheel with `make pycuda` in a clone of glandseg, then pip install dist/pycuda-*.whl."
    )
