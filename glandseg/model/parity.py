"""The parity check: a model file must compute what its reference computes, on tiles that are always the same.

Exports, lower precisions and other devices change the last bits, and any of them may change much more. So
probabilities are compared, on synthetic tiles that need no data. The largest difference alone says little:
one pixel of 100,000 may be far off in float16. A mean alone hides a lost region. Masks are compared only
where the reference is decided, for at nearly even odds any rounding turns them. A network with a core channel
is judged by the worse of its two masks, for one that lost its cores would join what the other separates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import GlandsegError
from glandseg.model.backend import Network
from glandseg.model.card import GLAND
from glandseg.model.windows import WINDOW_PX
from glandseg.synthetic import TileKind, draw_tile

# Glands in the stains of four patients, both tissues, no gland, and background.
GOLDEN_TILES: tuple[TileKind, ...] = (*("glands",) * 4, "mixed", "mixed", "stroma", "glass")
MASK_BYTE = 128  # at even odds
_BATCHES = (1, 2, 8)  # first, second and all others: a batch that was fixed by mistake shows


class ParityError(GlandsegError):
    """A model file computes something else than its reference; it must not be used (exit code 4)."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """Difference of two backends on the same tiles.

    Attributes:
        max_dp: Maximum difference of a probability, 0..1.
        mean_dp: Mean difference, 0..1.
        argmax_agreement: Fraction of the decided pixels with the same class, 0..1.
        dice: Dice of the two gland masks on the decided pixels, 0..1.

    With a core channel, in or out of a core is compared likewise, and each figure is that of the channel that
    differs more. A pixel is decided where one of the reference's two probabilities leads by more than `LEAD`.
    """

    max_dp: float
    mean_dp: float
    argmax_agreement: float
    dice: float


LEAD = 0.06  # by which the probability of one of two classes exceeds that of the other

# Limits of each precision: the first two are maxima, the last two minima.
LIMITS = {
    # Sums in another order differ by about 1e-6; that turns a rounded byte by one step, here and there.
    "float32": Parity(max_dp=2 / 255, mean_dp=1e-4, argmax_agreement=0.9999, dice=0.9999),
    # 11 bits a number. Measured on networks in training: at most 0.024, mean 0.0017, agreement 0.9984, Dice
    # 0.9983 over all pixels; only those within 0.02 of even odds changed class. Past some twice that, a layer
    # has overflowed or lost its small weights.
    "float16": Parity(max_dp=0.06, mean_dp=0.004, argmax_agreement=0.996, dice=0.996),
    # 256 steps a layer. Measured on the bundled model: on synthetic colon a mean of 0.0017, on GlaS's 85
    # training images 0.0069, which costs 0.06 points of mIoU; without VNNI, where sums saturate, 0.0028 and
    # 0.0101, which costs 0.09. Synthetic tiles with any ten of those images stay below 0.0115 in 99 of 100
    # samples. A layer clipped to a quarter of its range gives up to 0.27 on synthetic tissue and, but for the
    # smallest layers, 0.017 to 0.45 on GlaS.
    "int8": Parity(max_dp=0.5, mean_dp=0.012, argmax_agreement=0.995, dice=0.98),
}


def draw_golden_tiles(um_per_px: float, kinds: Sequence[TileKind] = GOLDEN_TILES) -> NDArray[np.uint8]:
    """Draw a tile of each kind, (N, 320, 320, 3) uint8 RGB; um/px beyond 0.1..4 are clipped."""
    um_per_px = min(max(um_per_px, 0.1), 4.0)
    return np.stack([draw_tile(WINDOW_PX, um_per_px, seed, kind)[0] for seed, kind in enumerate(kinds)])


def measure_parity(reference: Network, artifact: Network, tiles: NDArray[np.uint8]) -> Parity:
    """Compare an artifact, at batches of 1, 2 and more, with the reference.

    Args:
        reference: Network whose answers are right, float32.
        artifact: Network to check.
        tiles: (N, 320, 320, 3) uint8 RGB.
    """
    expected = np.concatenate([reference.infer(part) for part in _cut(tiles)])
    received = np.concatenate([artifact.infer(part) for part in _cut(tiles)])
    masks = [_compare(received[:, i], expected[:, i]) for i in range(GLAND, expected.shape[1])]
    return Parity(
        max_dp=max(each.max_dp for each in masks),
        mean_dp=max(each.mean_dp for each in masks),
        argmax_agreement=min(each.argmax_agreement for each in masks),
        dice=min(each.dice for each in masks),
    )


def _compare(received: NDArray[np.uint8], expected: NDArray[np.uint8]) -> Parity:
    """Compare the probabilities of gland or of core, (N, H, W) uint8."""
    difference = np.abs(received.astype(np.int16) - expected) / 255
    decided = np.abs(2 * expected.astype(np.int16) - 255) > 255 * LEAD
    mask, truth = received[decided] >= MASK_BYTE, expected[decided] >= MASK_BYTE
    return Parity(
        max_dp=float(difference.max()),
        mean_dp=float(difference.mean()),
        argmax_agreement=float((mask == truth).mean()) if decided.any() else 1.0,
        dice=_dice(mask, truth),
    )


def check_parity(parity: Parity, precision: str, name: str, reference: str = "PyTorch") -> None:
    """Refuse a model file that is too far from its reference.

    Args:
        parity: Measured difference.
        precision: Key of `LIMITS`.
        name: Name of the file, for the message.
        reference: Name of the reference, for the message.

    Raises:
        ParityError: if a value is outside `LIMITS`; the message states by how much.
    """
    limits, outside = asdict(LIMITS[precision]), []
    for key, value in asdict(parity).items():
        excess = value - limits[key] if key.endswith("_dp") else limits[key] - value
        if excess > 0:
            outside.append(f"{key} {value:.5f} is {excess:.5f} outside its limit {limits[key]:.5f}")
    if outside:
        faults = "; ".join(outside)
        raise ParityError(f"{name}: in {precision} it computes something else than {reference}: {faults}.")


def _cut(tiles: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    one, two, most = _BATCHES
    ends = [one, one + two, *range(one + two + most, len(tiles), most)]
    return [part for part in np.split(tiles, ends) if len(part)]


def _dice(mask: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    total = int(mask.sum()) + int(truth.sum())
    return 2 * int((mask & truth).sum()) / total if total else 1.0
