"""The loss by which a student learns a teacher's probabilities (Hinton et al. 2015), outlines optional.

A small network trained on outlines alone learns that a border pixel is wholly gland or wholly not; the
teacher's probability says how sure one can be there, and exists for unlabelled images too. Both networks'
logits are divided by a temperature, and the loss is that temperature squared times the Kullback-Leibler
divergence of their softmaxes, so that its gradient keeps its size (Hinton et al., 2.1). The teacher's log
odds come back from bytes: without a bound, 0 and 255 would be infinite.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import kl_div, log_softmax, logsigmoid

from glandseg.training.loop.precision import widen
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_core_loss
from glandseg.training.segmenter_loss import compute_class_loss, split_target, sum_heads
from glandseg.training.settings import TrainSettings
from glandseg.training.torch_backend import CLASSES

MIN_PROBABILITY = 1 / 510  # what a byte of 0 stands for: half a step


def compute_soft_loss(logits: Tensor, probability: Tensor, temperature: float) -> Tensor:
    """Compute the mean over pixels of T^2 times the divergence of the student's softmax from the teacher's.

    Args:
        logits: (N, 2, H, W) scores of non-gland and gland; half precision is computed in float32.
        probability: (N, H, W) integer, the teacher's probability of gland, 0..255.
        temperature: Temperature T, above 0.

    Returns:
        A scalar, float32 at least; 0 where student and teacher agree.
    """
    logits = widen(logits)
    odds = torch.logit(probability.to(logits.dtype) / 255, eps=MIN_PROBABILITY) / temperature
    teacher = torch.stack([logsigmoid(-odds), logsigmoid(odds)], dim=1)  # (N, 2, H, W)
    student = log_softmax(logits / temperature, dim=1)
    divergence = kl_div(student, teacher, reduction="none", log_target=True).sum(dim=1)  # (N, H, W)
    return temperature**2 * divergence.mean()


def distillation_loss(network: nn.Module, batch: Batch, settings: TrainSettings) -> Tensor:
    """Compute the loss of both heads towards the teacher and, where the run has outlines, towards those.

    Args:
        network: Network, a `Segmenter`.
        batch: Batch with labels (N, S, S, C): pixel labels, the teacher's probability of gland, 0..255, and
            the maps of core and border that the settings want. Cores are known everywhere.
        settings: Settings of the run.
    """
    stage, share = settings.segmenter, settings.distillation.weight
    target = split_target(batch.labels, stage, has_soft=True)
    soft = target.pop("soft")

    def compute_head(logits: Tensor) -> Tensor:
        loss = compute_soft_loss(logits[:, :CLASSES], soft, settings.distillation.temperature)
        if settings.labels != "none":
            loss = share * loss + (1 - share) * compute_class_loss(logits, target, stage, batch.step)
        if "core" in target:
            core, everywhere = target["core"], torch.ones_like(target["core"], dtype=torch.bool)
            loss = loss + stage.core_weight * compute_core_loss(logits[:, CLASSES], core, everywhere)
        return loss

    return sum_heads(network, batch.images, stage.auxiliary, compute_head)
