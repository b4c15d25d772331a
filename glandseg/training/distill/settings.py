"""How a small network learns from a big one; named here, for settings are read where PyTorch is not."""

from __future__ import annotations

from dataclasses import dataclass

from glandseg.core.errors import BadInputError

HOTTEST = 1000.0


@dataclass(frozen=True, kw_only=True)
class DistillationSettings:
    """How the segmenter learns from a teacher (Hinton et al. 2015).

    Attributes:
        temperature: by which the log odds of teacher and student are divided. Of two classes a probability
            hides no third; above 1 the last bit of a probability near certainty weighs more.
        weight: of the teacher in the loss where outlines have the rest; without outlines it has all.
    """

    temperature: float = 1.0
    weight: float = 0.9

    def __post_init__(self) -> None:
        """Refuse what nothing can be learned with."""
        if not 0 < self.temperature <= HOTTEST:
            raise BadInputError(f"temperature: above 0 and at most {HOTTEST:g}. Received: {self.temperature}")
        if not 0 < self.weight < 1:
            raise BadInputError(f"weight: above 0 and below 1. Received: {self.weight}")
