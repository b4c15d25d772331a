"""From the signed class map to the image's logits: plain averaging, or pyramid fusion pooling (MPFP).

Feng et al. 2025, Eq. 3 and 5 to 9. Under averaging a few strong pixels can carry a whole logit, so maps
cover only the most telling parts of a gland. MPFP weighs the map by its own averages over coarse to fine
cells: a pixel counts where its surroundings agree. Both poolings take the class map F, (N, c, h, w) signed
logits, and return the image's logits (N, c), float32 at least and before the sigmoid, and the map that F
was weighed with. F must not pass a ReLU first: absence shows in its negative part.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, interpolate, relu

from glandseg.training.classifier_settings import FUSIONS, POOLINGS
from glandseg.training.loop.precision import widen


class GlobalAveragePooling(nn.Module):
    """The baseline (Eq. 3): all pixels weigh the same."""

    def forward(self, class_map: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, c) and the class map itself."""
        return widen(class_map).mean(dim=(2, 3)), class_map


class SignPreservingFusion(nn.Module):
    """Fusion of a coarse map with a finer one, positive and negative parts apart (Eq. 5 to 8)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.positive = nn.Conv2d(2 * classes, 2, kernel_size=3, padding=1, bias=False)
        self.negative = nn.Conv2d(2 * classes, 2, kernel_size=3, padding=1, bias=False)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Fuse two (N, c, h, w) maps into one."""
        present = _weigh_parts(self.positive, relu(coarse), relu(fine))
        absent = _weigh_parts(self.negative, relu(-coarse), relu(-fine))
        return present - absent


class MultiScalePyramidFusionPooling(nn.Module):
    """The class map weighed by a pyramid of its own averages (Eq. 9).

    A level finer than the map is allowed: it is the map, blurred by less than a pixel.

    Args:
        classes: Channels c of the class map.
        sizes: Side tau of each level's square average pooling, coarse to fine.
        fusion: "sign-preserving" (Eq. 5 to 8), "average" (the levels' mean) or "none" (a single level).

    Raises:
        ValueError: If `fusion` is unknown, or `sizes` are not positive and ascending, or, under fusion
            "none", not a single one.
    """

    def __init__(
        self, classes: int, sizes: Sequence[int] = (2, 4, 8, 16), fusion: str = "sign-preserving"
    ) -> None:
        super().__init__()
        _check_pyramid(sizes, fusion)
        self.sizes = tuple(sizes)
        count = len(sizes) - 1 if fusion == "sign-preserving" else 0
        self.fusions = nn.ModuleList(SignPreservingFusion(classes) for _ in range(count))

    def forward(self, class_map: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits (N, c) and the fused pyramid P' (N, c, h, w), both float32 at least."""
        class_map = widen(class_map)
        fused = self._fuse([_average_cells(class_map, size) for size in self.sizes])
        evidence = relu(fused) * relu(class_map) - relu(-fused) * relu(-class_map)
        return evidence.mean(dim=(2, 3)), fused

    def _fuse(self, levels: list[Tensor]) -> Tensor:
        if not self.fusions:
            return torch.stack(levels).mean(dim=0)
        fused = levels[0]
        for fusion, level in zip(self.fusions, levels[1:], strict=True):
            fused = fusion(fused, level)
        return fused


def build_pooling(
    kind: str, classes: int, sizes: Sequence[int] = (2, 4, 8, 16), fusion: str = "sign-preserving"
) -> nn.Module:
    """Build a pooling: "gap" (Eq. 3; `sizes` and `fusion` are unused) or "mpfp".

    Raises:
        ValueError: If `kind` is unknown or the pyramid's settings are invalid.
    """
    if kind not in POOLINGS:
        raise ValueError(f"pooling: one of {', '.join(POOLINGS)}. Received: {kind}")
    return GlobalAveragePooling() if kind == "gap" else MultiScalePyramidFusionPooling(classes, sizes, fusion)


def _weigh_parts(convolution: nn.Module, coarse: Tensor, fine: Tensor) -> Tensor:
    """Return half the sum of two non-negative maps, each times its channel of S (Eq. 5)."""
    gates: Tensor = convolution(torch.cat([coarse, fine], dim=1)).sigmoid()  # (N, 2, h, w)
    return (coarse * gates[:, :1] + fine * gates[:, 1:]) / 2


def _average_cells(class_map: Tensor, size: int) -> Tensor:
    """Average over a grid of size x size cells, and resize to the map's own size."""
    cells = adaptive_avg_pool2d(class_map, size)
    return interpolate(cells, size=class_map.shape[2:], mode="bilinear", align_corners=False)


def _check_pyramid(sizes: Sequence[int], fusion: str) -> None:
    if fusion not in FUSIONS:
        raise ValueError(f"fusion: one of {', '.join(FUSIONS)}. Received: {fusion}")
    if not sizes or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
        raise ValueError(f"sizes: ascending, each at least 1. Received: {list(sizes)}")
    if fusion == "none" and len(sizes) > 1:
        raise ValueError(f"sizes: a single one with fusion=none. Received: {list(sizes)}")
