"""How a network is fitted: the settings of the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from glandseg.core.errors import BadInputError
from glandseg.training.validation import refuse_outside, refuse_unknown

MOST_STEPS = 10**9
LARGEST_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a network is fitted.

    Attributes:
        steps: optimiser steps; none where epochs are given.
        epochs: passes over the images, in place of steps.
        batch: images a step, of all processes and accumulated parts together.
        accumulate: parts that a step's batch is cut into, one after the other, to save memory. What looks
            at a batch as one (batch norm, ohem) then looks at each part.
        optimizer: "sgd" or "adamw".
        lr: learning rate after warm-up; it decays polynomially to `lr_end`.
        lr_end: learning rate that the decay ends at.
        scale_lr: learning rate of the attentions' residual scales, which start at 0 and have no weight
            decay; none means `lr`.
        power: of the polynomial decay.
        warmup: steps over which the learning rate rises from 0.
        momentum: of sgd.
        weight_decay: on every weight but those scales.
        precision: "float32", or by autocast "bfloat16" or, on a GPU, "float16".
        validate_every: steps between validations.
        patience: validations without a better one after which the fit ends; 0 never ends it early.
        seed: of the order of images, their changes and dropout.
    """

    steps: int | None = 2000
    epochs: float | None = None
    batch: int = 12
    accumulate: int = 1
    optimizer: str = "adamw"
    lr: float = 1e-3
    lr_end: float = 0.0
    scale_lr: float | None = None
    power: float = 0.9
    warmup: int = 100
    momentum: float = 0.9
    weight_decay: float = 1e-2
    precision: str = "bfloat16"
    validate_every: int = 500
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be fitted with."""
        refuse_unknown("optimizer", self.optimizer, ("adamw", "sgd"))
        refuse_unknown("precision", self.precision, ("float32", "bfloat16", "float16"))
        if (self.steps is None) == (self.epochs is None):
            raise BadInputError(
                f"steps or epochs: one of them, the other null. Received: {self.steps}, {self.epochs}"
            )
        if self.steps is not None:
            refuse_outside(self, 1, MOST_STEPS, "steps")
        if self.epochs is not None and not 0 < self.epochs <= MOST_STEPS:
            raise BadInputError(f"epochs: above 0 and at most {MOST_STEPS}. Received: {self.epochs}")
        refuse_outside(self, 1, 100_000, "batch", "accumulate")
        refuse_outside(self, 1, MOST_STEPS, "validate_every")
        refuse_outside(self, 0, MOST_STEPS, "warmup", "patience")
        refuse_outside(self, 0, 100, "lr", "lr_end", "power", *(["scale_lr"] if self.scale_lr else []))
        refuse_outside(self, 0, 1, "weight_decay")
        refuse_outside(self, 0, 0.9999, "momentum")
        refuse_outside(self, 0, LARGEST_SEED, "seed")
        if self.batch % self.accumulate:
            raise BadInputError(f"batch: a multiple of accumulate={self.accumulate}. Received: {self.batch}")

    def count_steps(self) -> int:
        """Give the steps.

        Raises:
            ValueError: if they are meant in epochs, of nobody knows how many images.
        """
        if self.steps is None:
            raise ValueError("steps: not counted yet. Call `turn_to_steps` with the number of images.")
        return self.steps

    def turn_to_steps(self, images: int) -> FitSettings:
        """Give the same settings with epochs, where they are meant, turned to steps."""
        if self.epochs is None:
            return self
        return replace(self, epochs=None, steps=max(math.ceil(self.epochs * images / self.batch), 1))
