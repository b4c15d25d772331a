"""An exponential moving average of a network's weights, which scores better than the last weights.

Steps circle around a minimum, and the mean of the last ones lies nearer to it. The first weights are far off
and must not linger in it, so the decay rises with the step n: min(decay, (1 + n) / (10 + n)).
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def average_weights(network: nn.Module, decay: float) -> AveragedModel | None:
    """Return the average of a network's weights and batch norms, from the next step on; None without decay.

    Args:
        network: Network that is fitted.
        decay: Highest decay per step, 0 to 1; 0 averages nothing.
    """
    if not decay:
        return None

    def update(averages: Any, weights: Any, steps: Tensor | int) -> None:
        rising = (1 + int(steps)) / (10 + int(steps))
        get_ema_multi_avg_fn(min(decay, rising))(averages, weights, steps)  # type: ignore[no-untyped-call]

    return AveragedModel(network, multi_avg_fn=update, use_buffers=True)
