"""Half precision, brought to float32 where it would lose too much."""

from __future__ import annotations

import torch
from torch import Tensor


def widen(values: Tensor) -> Tensor:
    """Bring half precision to float32, as sums over space need; wider values stay as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
