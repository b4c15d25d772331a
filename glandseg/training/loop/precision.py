"""Half precision, converted to float32 where it would lose too much."""

from __future__ import annotations

import torch
from torch import Tensor


def widen(values: Tensor) -> Tensor:
    """Convert half precision to float32, which sums over space need; leave wider values as they are."""
    return values.to(torch.promote_types(values.dtype, torch.float32))
