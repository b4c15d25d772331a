"""The optimiser of a fit, and its learning rate by step."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from glandseg.training.settings import FitSettings


def find_scales(network: nn.Module) -> dict[str, Tensor]:
    """Return the residual scales of a network's attentions by name; 0 makes one the identity."""
    return {name: weight for name, weight in network.named_parameters() if name.endswith("scale")}


def build_optimizer(network: nn.Module, settings: FitSettings) -> Optimizer:
    """Build the optimiser of all trainable weights; the attentions' scales form a group without decay."""
    scales = find_scales(network)
    weights = [
        weight for name, weight in network.named_parameters() if weight.requires_grad and name not in scales
    ]
    groups = [{"params": weights, "weight_decay": settings.weight_decay, "peak": settings.lr}]
    if scales:
        peak = settings.lr if settings.scale_lr is None else settings.scale_lr
        groups.append({"params": list(scales.values()), "weight_decay": 0.0, "peak": peak})
    if settings.optimizer == "sgd":
        return SGD(groups, settings.lr, momentum=settings.momentum)
    return AdamW(groups, settings.lr)


def set_rate(optimizer: Optimizer, settings: FitSettings, step: int, steps: int) -> float:
    """Set each group's learning rate for a step of `steps`, and return that of the first."""
    rise = min(1.0, (step + 1) / max(settings.warmup, 1))
    decay = (1 - step / steps) ** settings.power
    for group in optimizer.param_groups:
        end = min(settings.lr_end, group["peak"])
        group["lr"] = end + (group["peak"] - end) * rise * decay
    rate: float = optimizer.param_groups[0]["lr"]
    return rate
