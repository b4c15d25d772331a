"""The state of a fit between two steps, which a checkpoint keeps beside network and optimiser."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import nn
from torch.optim import Optimizer

from glandseg.training.loop.checkpoint import load_progress, save_progress


@dataclass(kw_only=True)
class FitState:
    """The place of a fit.

    Attributes:
        step: Steps done.
        best: Best validation score.
        loss: Running mean of the loss; None before the first step.
        stale: Validations since the best.
    """

    step: int = 0
    best: float = -math.inf
    loss: float | None = None
    stale: int = 0

    def add_loss(self, loss: float) -> float:
        """Count a step and return the running mean of the loss."""
        self.step += 1
        self.loss = loss if self.loss is None else 0.98 * self.loss + 0.02 * loss
        return self.loss

    def add_score(self, score: float) -> bool:
        """Count a validation and return whether its score is the best."""
        self.stale = 0 if score > self.best else self.stale + 1
        self.best = score if self.stale == 0 else self.best
        return self.stale == 0


def load_state(
    path: Path, network: nn.Module, optimizer: Optimizer, fabric: Fabric, average: nn.Module | None = None
) -> FitState:
    """Load a checkpoint, where there is one, into network, optimiser, average and float16's loss scaler.

    Raises:
        BadInputError: If it is damaged or of another network.
    """
    if not path.is_file():
        return FitState()
    place = load_progress(path, network, optimizer, average)
    scaler: dict[str, Any] = fabric.strategy.precision.state_dict()
    known = {name: type(value)(place.get(f"scaler.{name}", value)) for name, value in scaler.items()}
    fabric.strategy.precision.load_state_dict(known)
    return FitState(
        step=int(place.get("step", 0)),
        best=place.get("best", -math.inf),
        loss=place.get("loss"),
        stale=int(place.get("stale", 0)),
    )


def save_state(
    path: Path,
    network: nn.Module,
    optimizer: Optimizer,
    fabric: Fabric,
    state: FitState,
    average: nn.Module | None = None,
) -> None:
    """Save a checkpoint after a step."""
    scaler = {f"scaler.{name}": value for name, value in fabric.strategy.precision.state_dict().items()}
    save_progress(path, network, optimizer, asdict(state) | scaler, average)
