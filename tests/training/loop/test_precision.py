"""The precision follows the hardware, is kept by what was started, and half precision is widened for sums."""

from __future__ import annotations

import pytest
import torch

from glandseg.core.errors import EnvironmentLacksError
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.precision import choose_precision, explain_precision, fix_precision, widen


def stand_in_cpu(monkeypatch: pytest.MonkeyPatch, **capabilities: object) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)


def stand_in_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], *, bfloat16: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "GPU X")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bfloat16)


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [
        ({"avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "float32"),
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx512_bf16": True, "amx_bf16": True}, "bfloat16"),
        ({"architecture": "aarch64", "neon": True, "bf16": True}, "float32"),
    ],
)
def test_a_cpu_needs_bfloat16_instructions(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], expected: str
) -> None:
    stand_in_cpu(monkeypatch, **capabilities)
    precision, reason = choose_precision()
    assert precision == expected and reason.startswith("the CPU has ")
    assert fix_precision(FitSettings(precision="auto")).precision == expected
    assert explain_precision(expected) == f"{expected}: {reason}"


@pytest.mark.parametrize(
    ("capability", "bfloat16", "expected"),
    [
        ((9, 0), True, "bfloat16"),
        ((8, 0), True, "bfloat16"),
        ((7, 5), False, "float16"),
        ((6, 1), False, "float32"),
    ],
)
def test_a_gpu_takes_the_best_that_it_has(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], bfloat16: bool, expected: str
) -> None:
    stand_in_gpu(monkeypatch, capability, bfloat16=bfloat16)
    precision, reason = choose_precision()
    assert precision == expected and reason.startswith("GPU X has ")


def test_this_machine_can_be_asked() -> None:
    assert choose_precision()[0] in ("float32", "bfloat16", "float16")


def test_a_precision_that_is_set_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_cpu(monkeypatch)
    fit = FitSettings(precision="bfloat16")
    assert fix_precision(fit) is fit and fix_precision(fit, "float32") is fit
    assert explain_precision("bfloat16") == (
        "bfloat16: as set or as the run was started; on this machine auto means float32, the CPU has neither "
        "AMX nor AVX-512-bf16"
    )


def test_what_was_started_is_kept_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in_cpu(monkeypatch)
    fit = FitSettings()
    assert fit.precision == "auto"
    assert fix_precision(fit, "bfloat16").precision == "bfloat16"
    with pytest.raises(
        EnvironmentLacksError, match="started in it, and it needs an NVIDIA GPU. Resume it on"
    ):
        fix_precision(fit, "float16")


@pytest.mark.parametrize(
    ("given", "widened"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_float32(given: torch.dtype, widened: torch.dtype) -> None:
    values = torch.tensor([0.5, -3.0], dtype=given)
    assert widen(values).dtype == widened and widen(values).tolist() == [0.5, -3.0]
