"""Several segmenters in one: trained side by side, averaged where they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.encoder import Encoder


class Interleaved(Segmenter):
    """Segmenters of one structure, each with weights of its own.

    Args:
        members: Two or more segmenters with equally many outputs.
    """

    def __init__(self, members: Sequence[Segmenter]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.outputs = members[0].outputs
        self.scores = tuple(f"members.{i}.{name}" for i, each in enumerate(members) for name in each.scores)

    def list_encoders(self) -> list[Encoder]:
        """Return the encoders of all members."""
        return [encoder for each in self._list_members() for encoder in each.list_encoders()]

    def forward(self, images: Tensor) -> Tensor:
        """Compute the mean of the members' (N, outputs, H, W) logits of (N, 3, H, W) float RGB in 0..1."""
        return torch.stack([each(images) for each in self._list_members()]).mean(0)

    def forward_members(self, images: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Compute each member's logits of the main and of the auxiliary head; shapes as of `forward`."""
        return [each.forward_both(images) for each in self._list_members()]

    def _list_members(self) -> list[Segmenter]:
        return [cast(Segmenter, each) for each in self.members]
