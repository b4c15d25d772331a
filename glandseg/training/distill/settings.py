"""Settings of distillation, in a module of their own: settings are read where PyTorch is not installed."""

from __future__ import annotations

from dataclasses import dataclass

from glandseg.core.errors import BadInputError

MAX_TEMPERATURE = 1000.0


@dataclass(frozen=True, kw_only=True)
class DistillationSettings:
    """Settings of the segmenter's loss towards a teacher (Hinton et al. 2015).

    Attributes:
        temperature: Divisor of the log odds of teacher and student. With two classes there is no ranking of
            wrong ones to reveal: above 1, only the last bit of a probability near certainty weighs more.
        weight: Weight of the teacher in the loss; outlines have the rest. Without outlines it is 1.
    """

    temperature: float = 1.0
    weight: float = 0.9

    def __post_init__(self) -> None:
        """Refuse values outside their range."""
        if not 0 < self.temperature <= MAX_TEMPERATURE:
            raise BadInputError(
                f"temperature: above 0 and at most {MAX_TEMPERATURE:g}. Received: {self.temperature}"
            )
        if not 0 < self.weight < 1:
            raise BadInputError(f"weight: above 0 and below 1. Received: {self.weight}")
