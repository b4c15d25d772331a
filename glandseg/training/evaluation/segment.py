"""An image segmented as an inference would: its gland labels and its probabilities, at its own size.

Map, cut, cleaning and outlines come from the code of `glandseg infer`; only the tissue mask is left out, for
the images of a data set are tissue.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from glandseg.model.backend import Network
from glandseg.model.separation import CORE_CHANNEL, Separation
from glandseg.runtime.glands.cut import find_cut
from glandseg.runtime.glands.labels import label_glands
from glandseg.runtime.glands.separation import separate
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.tiling.flip import FlipAverage
from glandseg.runtime.tiling.in_memory import segment_plane
from glandseg.runtime.tiling.scales import rescale
from glandseg.slides.slide_plane import SlidePlane
from glandseg.training.data.decoding import open_image
from glandseg.training.data.sample import Sample


def label_file(
    sample: Sample,
    network: Network,
    image_um: float,
    model_um: float,
    scales: tuple[float, ...],
    settings: InferSettings,
    rule: Separation | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Label the glands of an image.

    Args:
        sample: Image.
        network: Network, ready to run.
        image_um: Microns per pixel of the image.
        model_um: Microns per pixel of the network's input.
        scales: Scales of the model, unless the settings name others.
        settings: Settings of the inference: scales, flips, threshold, minimum gland and minimum lumen, and
            whether touching glands are told apart.
        rule: By which they are; None leaves them together.

    Returns:
        (H, W) int32, the number of each px's gland, 0 for none; and (H, W) bool, the mask, as it is without
        the gaps between glands.
    """
    all_scales, base_scales = settings.choose_scales(scales)
    network = FlipAverage(network) if settings.flips else network
    rule = rule if settings.separate else None
    keeps_core = rule is not None and rule.channel == CORE_CHANNEL
    with _open_plane(sample, image_um, model_um) as (base, shape):
        maps = segment_plane(base, network, all_scales, base_scales, keeps_core=keeps_core)

        def label(probability: NDArray[np.uint8]) -> NDArray[np.int32]:
            return label_glands(
                probability,
                settings,
                um_per_px=base.um_per_px,
                image_px_per_px=base.l0_per_px,
                shape=shape,
            )

        together = label(maps[0])
        if rule is None:
            return together, together > 0
        cut = find_cut(settings.threshold)
        return label(separate(maps[0], maps[-1], cut, rule, base.um_per_px)), together > 0


def segment_file(
    sample: Sample, network: Network, image_um: float, model_um: float, scales: Sequence[float]
) -> NDArray[np.float32]:
    """Compute the probability of gland of each pixel of an image: (H, W) float32, 0..255."""
    with _open_plane(sample, image_um, model_um) as (base, shape):
        [probability] = segment_plane(base, network, scales, len(scales))
        return rescale(probability, 1 / base.l0_per_px, shape)


@contextlib.contextmanager
def _open_plane(
    sample: Sample, image_um: float, model_um: float
) -> Iterator[tuple[SlidePlane, tuple[int, int]]]:
    """Open an image as a plane at the model's um/px, with its own height and width."""
    with open_image(sample.path, image_um) as slide:
        yield SlidePlane(slide, model_um), (slide.height_l0, slide.width_l0)
