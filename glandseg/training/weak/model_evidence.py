"""Evidence of a segmenter: a model file, the bundled one among them, or the run of an earlier round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.scored_model import ScoredModel
from glandseg.training.evaluation.segment import segment_file
from glandseg.training.weak.evidence import cut_patches

LOWEST_BYTE = 0.5  # bytes of probability know nothing between 0 and 1


@dataclass(frozen=True, kw_only=True)
class ModelEvidence:
    """Log odds of an open model's probability, at its own um/px and scales.

    Attributes:
        model: Open model.
        um_per_px: Microns per pixel of the images.
    """

    model: ScoredModel
    um_per_px: float

    def map_patches(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[NDArray[np.float32]]:
        """Compute the log odds of gland of each patch, as `Evidence` says."""
        model = self.model
        found = segment_file(sample, model.backend, self.um_per_px, model.um_per_px, model.scales)
        gland = np.clip(found, LOWEST_BYTE, 255 - LOWEST_BYTE)
        return cut_patches(np.log(gland / (255 - gland)), patches)
