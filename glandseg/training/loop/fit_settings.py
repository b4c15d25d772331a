"""How a network is fitted: the settings of the training loop."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from glandseg.core.errors import BadInputError
from glandseg.training.validation import refuse_outside, refuse_unknown

AUTO = "auto"
MAX_STEPS = 10**9
MAX_SEED = 2**32 - 1


@dataclass(frozen=True, kw_only=True)
class FitSettings:
    """How a network is fitted.

    Attributes:
        steps: Optimiser steps; None if epochs are given.
        epochs: Passes over the images, in place of steps.
        batch: Images per step, over all processes and accumulated parts.
        accumulate: Sequential parts of a step's batch, to save memory. Batch norm and ohem then see each part
            as a batch.
        optimizer: "sgd" or "adamw".
        lr: Learning rate after warm-up; it decays polynomially to `lr_end`.
        lr_end: Learning rate at the end of the decay.
        decay_steps: Steps over which it decays; later ones keep the last rate. None means all steps.
        new_lr: Learning rate of the layers outside the encoder, which no pretrained weights initialize;
            their biases have twice that rate and no weight decay. None means `lr`, as for the encoder.
        scale_lr: Learning rate of the attentions' residual scales, which start at 0 and have no weight
            decay; None means `lr`.
        power: Power of the polynomial decay.
        warmup: Steps over which the learning rate rises from 0.
        momentum: Momentum of sgd.
        weight_decay: Weight decay, except of those scales.
        ema: Decay per step of an exponential moving average of the weights, which then is validated and kept
            in their place; early steps decay faster. 0 keeps the weights themselves.
        precision: "float32", or by autocast "bfloat16" or, on a GPU, "float16"; "auto" means the fastest of
            them that the machine has instructions for. A run stores the one chosen, and resumes with it.
        validate_every: Steps between validations.
        patience: Validations without improvement after which the fit ends; 0 never ends it early.
        seed: Seed of the order of images, their augmentation and dropout.
    """

    steps: int | None = 2000
    epochs: float | None = None
    batch: int = 12
    accumulate: int = 1
    optimizer: str = "adamw"
    lr: float = 1e-3
    lr_end: float = 0.0
    decay_steps: int | None = None
    new_lr: float | None = None
    scale_lr: float | None = None
    power: float = 0.9
    warmup: int = 100
    momentum: float = 0.9
    weight_decay: float = 1e-2
    ema: float = 0.0
    precision: str = AUTO
    validate_every: int = 500
    patience: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse values that no fit can use."""
        refuse_unknown("optimizer", self.optimizer, ("adamw", "sgd"))
        refuse_unknown("precision", self.precision, (AUTO, "float32", "bfloat16", "float16"))
        if (self.steps is None) == (self.epochs is None):
            raise BadInputError(
                f"steps or epochs: one of them, the other null. Received: {self.steps}, {self.epochs}"
            )
        if self.steps is not None:
            refuse_outside(self, 1, MAX_STEPS, "steps")
        if self.epochs is not None and not 0 < self.epochs <= MAX_STEPS:
            raise BadInputError(f"epochs: above 0 and at most {MAX_STEPS}. Received: {self.epochs}")
        refuse_outside(self, 1, 100_000, "batch", "accumulate")
        refuse_outside(self, 1, MAX_STEPS, "validate_every")
        refuse_outside(self, 0, MAX_STEPS, "warmup", "patience")
        rates = [name for name in ("new_lr", "scale_lr") if getattr(self, name) is not None]
        refuse_outside(self, 0, 100, "lr", "lr_end", "power", *rates)
        if self.decay_steps is not None:
            refuse_outside(self, 1, MAX_STEPS, "decay_steps")
        refuse_outside(self, 0, 1, "weight_decay")
        refuse_outside(self, 0, 0.9999, "momentum", "ema")
        refuse_outside(self, 0, MAX_SEED, "seed")
        if self.batch % self.accumulate:
            raise BadInputError(f"batch: a multiple of accumulate={self.accumulate}. Received: {self.batch}")

    def count_steps(self) -> int:
        """Return the number of steps.

        Raises:
            ValueError: If epochs are given, whose number of images is not known here.
        """
        if self.steps is None:
            raise ValueError("steps: not counted yet. Call `turn_to_steps` with the number of images.")
        return self.steps

    def turn_to_steps(self, images: int) -> FitSettings:
        """Return the same settings with epochs, where given, converted to steps."""
        if self.epochs is None:
            return self
        return replace(self, epochs=None, steps=max(math.ceil(self.epochs * images / self.batch), 1))
