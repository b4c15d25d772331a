"""Interleaved learning: three segmenters that judge each other's pseudo masks (HAMIL, Zhong et al. 2023).

Networks that start differently make different mistakes. Where two of them agree, the pseudo mask is the more
reliable for the third, and their mean is its teacher. Each is judge, teacher and student in turn, at every
step; the weights are those of the released code.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import kl_div, log_softmax

from glandseg.training.data.augment import IGNORED
from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.networks.interleaved import Interleaved
from glandseg.training.segmenter_loss import compute_head_loss, split_target
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.torch_backend import CLASSES

AGREEING, DISAGREEING = 2.0, 0.5  # weights of pixels by whether the two judges agree
DISTILLATION, TEMPERATURE = 0.2, 30.0


def interleaved_loss(
    network: Interleaved, batch: Batch, settings: SegmenterSettings, *, has_soft: bool = False
) -> Tensor:
    """Compute the sum of the members' losses, each judged by the others, which get no gradient from it.

    Args:
        network: Network of three members.
        batch: Batch, as of `segmentation_loss`.
        settings: Settings of stage 2.
        has_soft: As of `segmentation_loss`.
    """
    target = split_target(batch.labels, settings, has_soft=has_soft)
    heads = network.forward_members(batch.images)
    classes = [widen(main[:, :CLASSES]).detach() for main, _ in heads]
    losses = []
    for index, (main, other) in enumerate(heads):
        judges = [each for place, each in enumerate(classes) if place != index]
        trusted = target | {"trust": weigh_by_agreement(judges)}
        own = compute_head_loss(main, trusted, settings, batch.step)
        own = own + settings.auxiliary * compute_head_loss(other, target, settings, batch.step)
        valid = target["mask"] != IGNORED
        losses.append(own + DISTILLATION * distill(main[:, :CLASSES], torch.stack(judges).mean(0), valid))
    return torch.stack(losses).sum()


def weigh_by_agreement(judges: list[Tensor]) -> Tensor:
    """Return the weight of each pixel, (N, H, W) float, by two judges' (N, 2, H, W) logits."""
    one, other = (each.argmax(1) for each in judges)
    return torch.where(one == other, AGREEING, DISAGREEING)


def distill(logits: Tensor, teacher: Tensor, valid: Tensor) -> Tensor:
    """Compute the mean over valid pixels of T^2 times the divergence from the teacher's softmax.

    Args:
        logits: (N, 2, H, W) float of the student.
        teacher: (N, 2, H, W) float, the mean of the judges' logits.
        valid: (N, H, W) bool.
    """
    student, wanted = (log_softmax(widen(each) / TEMPERATURE, dim=1) for each in (logits, teacher))
    divergence = kl_div(student, wanted, reduction="none", log_target=True).sum(dim=1)
    return TEMPERATURE**2 * torch.where(valid, divergence, 0).sum() / valid.sum().clamp(min=1)
