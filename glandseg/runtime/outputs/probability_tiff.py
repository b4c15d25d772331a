"""The probability of gland as a pyramidal OME-TIFF: 0..255 stands for 0..1, as the network gives it.

It is what the glands are cut from at `--threshold`, before touching glands are told apart; 0 also where the
slide was not looked at. A px of a smaller level is the mean of those it covers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from glandseg.runtime.maps.tile_map import CroppedMap
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.mask_pyramid import fill_means
from glandseg.runtime.outputs.ome_tiff import OmeImage, write_map


@contextlib.contextmanager
def write_probability(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the map of a slide's probabilities, tile by tile."""
    yield lambda gland, _: None
    image = OmeImage(name="Probability of gland", channel="Gland", um_per_px=found.plane.um_per_px)
    full = CroppedMap(found.imagery.probability, found.mask_shape)
    write_map(path, full, image, fill_means, lambda part: part)
