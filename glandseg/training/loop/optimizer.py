"""The optimiser of a fit, and its learning rate by step."""

from __future__ import annotations

from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from glandseg.training.loop.fit_settings import FitSettings


def find_scales(network: nn.Module) -> dict[str, Tensor]:
    """Return the residual scales of a network's attentions by name; 0 makes one the identity."""
    return {name: weight for name, weight in network.named_parameters() if name.endswith("scale")}


def build_optimizer(network: nn.Module, settings: FitSettings) -> Optimizer:
    """Build the optimiser of all trainable weights, in groups, each with its "peak" learning rate.

    The encoder's group comes first; it holds the other layers too where `new_lr` is None. With it, their
    weights form a group, and their biases another without decay. The attentions' scales come last.
    """
    new_lr = settings.lr if settings.new_lr is None else settings.new_lr
    scale_lr = settings.lr if settings.scale_lr is None else settings.scale_lr
    rates = {
        "encoder": (settings.lr, settings.weight_decay),
        "new": (new_lr, settings.weight_decay),
        "new bias": (2 * new_lr, 0.0),
        "scale": (scale_lr, 0.0),
    }
    weights: dict[str, list[Tensor]] = {kind: [] for kind in rates}
    for name, weight in network.named_parameters():
        if weight.requires_grad:
            weights[_choose_group(name, settings)].append(weight)
    groups = [
        {"params": weights[kind], "peak": peak, "weight_decay": decay}
        for kind, (peak, decay) in rates.items()
        if weights[kind]
    ]
    if settings.optimizer == "sgd":
        return SGD(groups, settings.lr, momentum=settings.momentum)
    return AdamW(groups, settings.lr)


def _choose_group(name: str, settings: FitSettings) -> str:
    if name.endswith("scale"):
        return "scale"
    if settings.new_lr is None or name.startswith("encoder."):
        return "encoder"
    return "new bias" if name.endswith("bias") else "new"


def set_rate(optimizer: Optimizer, settings: FitSettings, step: int, steps: int) -> float:
    """Set each group's learning rate for a step of `steps`, and return that of the first."""
    rise = min(1.0, (step + 1) / max(settings.warmup, 1))
    decay_steps = settings.decay_steps or steps
    decay = (1 - min(step, decay_steps - 1) / decay_steps) ** settings.power
    for group in optimizer.param_groups:
        end = min(settings.lr_end, group["peak"])
        group["lr"] = end + (group["peak"] - end) * rise * decay
    rate: float = optimizer.param_groups[0]["lr"]
    return rate
