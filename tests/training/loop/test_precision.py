"""Half precision is widened, nothing else is touched."""

from __future__ import annotations

import pytest
import torch

from glandseg.training.loop.precision import widen


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
