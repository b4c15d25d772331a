"""What pseudo masks are made of: a source of evidence tells the log odds of gland at each pixel.

Sources differ in what they learned from: the patch labels (activation maps of a trained classifier, a
probe), outlines of other data (a model file) or the pseudo masks of an earlier round (a run). What follows,
label rules and decisions, is the same for all, and log odds of several sources add up: a sum of
independent evidence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample


class Evidence(Protocol):
    """A source of evidence."""

    def map_patches(
        self, sample: Sample, image: NDArray[np.uint8], patches: Sequence[Patch]
    ) -> list[NDArray[np.float32]]:
        """Compute the log odds of gland at each pixel of each patch of an image.

        Args:
            sample: Sample of the image.
            image: (H, W, 3) uint8 RGB.
            patches: Patches of this image.

        Returns:
            (height, width) float32 for each patch; above 0 gland is likelier than not.
        """


def cut_patches(log_odds: NDArray[np.float32], patches: Sequence[Patch]) -> list[NDArray[np.float32]]:
    """Cut the patches out of a whole image's log odds, (H, W) float32."""
    return [patch.cut(log_odds) for patch in patches]
