"""The number type that a fit computes in, and sums that need float32 under half precision.

The hardware is asked which types it has instructions for, and is not timed: on a busy machine a timing may
choose otherwise in the next process or on the next day, and the choice changes the results.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from glandseg.core.errors import EnvironmentLacksError
from glandseg.training.loop.fit_settings import AUTO, FitSettings

TENSOR_CORES = (7, 0)  # compute capability since which GPUs have those of float16
BFLOAT16_OF_CPUS = {"amx_bf16": "AMX", "avx512_bf16": "AVX-512-bf16"}


def choose_precision() -> tuple[str, str]:
    """Choose the fastest precision of this machine's GPU, else of its CPU.

    Returns:
        "bfloat16", "float16" (its losses are scaled) or "float32", and the reason.
    """
    if torch.cuda.is_available():
        name = torch.cuda.get_device_name()
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bfloat16", f"{name} has it"
        if torch.cuda.get_device_capability() >= TENSOR_CORES:
            return "float16", f"{name} has it, but no bfloat16"
        return "float32", f"{name} has neither bfloat16 nor float16 tensor cores"
    known = torch.cpu.get_capabilities()  # on other architectures with other keys
    found = [name for key, name in BFLOAT16_OF_CPUS.items() if known.get(key)]
    if found:
        return "bfloat16", f"the CPU has {' and '.join(found)}"
    return "float32", "the CPU has neither AMX nor AVX-512-bf16"


def fix_precision(fit: FitSettings, recorded: str | None = None) -> FitSettings:
    """Return settings whose precision is not "auto".

    Args:
        fit: Settings of a fit.
        recorded: Precision with which the fit was started, which "auto" then means; None before the start.

    Raises:
        EnvironmentLacksError: If the fit was started in float16 and this machine has no GPU for it.
    """
    if fit.precision != AUTO:
        return fit
    if recorded == "float16" and not torch.cuda.is_available():
        raise EnvironmentLacksError(
            "precision float16: the run was started in it, and it needs an NVIDIA GPU. Resume it on one, or "
            "give another --out folder."
        )
    return replace(fit, precision=recorded or choose_precision()[0])


def explain_precision(precision: str) -> str:
    """Return a precision and why it is used, as text."""
    chosen, reason = choose_precision()
    if precision == chosen:
        return f"{precision}: {reason}"
    return f"{precision}: as set or as the run was started; on this machine auto means {chosen}, {reason}"


def widen(values: Tensor) -> Tensor:
    """Convert half precision to float32, which sums over space need; leave wider values as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
