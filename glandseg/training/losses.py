"""The losses: presence of each class in a patch, and cross entropy weighted by pixel.

Pseudo masks are wrong at some pixels, and a network fits the right ones first. A wrong label then shows
itself by a high loss, and an unsure one by probabilities that lie close together: weighing each pixel's
cross entropy by either keeps the network from learning the errors of stage 1. Losses are compared
within an image, so that a hard image is not taken for a wrong one, and weights carry no gradient, else the
network could lower its loss by being unsure. PLF ("plf") is Feng et al. 2025, Eq. 10 and 11; "c_max",
"c_diff", "l_norm" and "lc_mix" are Li et al. 2022, Eq. 4 to 7; online hard example mining ("ohem"), which
does the opposite, and no weights ("plain") are for comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from glandseg.training.loop.precision import widen

HARD_PROBABILITY = 0.7  # a pixel is hard if its true class has less
HARD_SHARE = 1 / 16  # minimum share of the valid pixels that is mined


def compute_presence_loss(logits: Tensor, presence: Tensor) -> Tensor:
    """Compute the mean binary cross entropy between (N, c) logits and (N, c) presence, 0 or 1."""
    logits = widen(logits)
    return binary_cross_entropy_with_logits(logits, presence.to(logits.dtype))


def weighted_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    scheme: str,
    ignore_index: int = 255,
    factor: Tensor | None = None,
    share: Tensor | None = None,
) -> Tensor:
    """Compute the mean over the batch's valid pixels of weight times cross entropy (normalised as in Eq. 10).

    Args:
        logits: (N, c, H, W) scores; half precision is computed in float32.
        labels: (N, H, W) int64 class indices, or `ignore_index`.
        scheme: Key of `SCHEMES`.
        ignore_index: Label of ignored pixels.
        factor: (N, H, W), multiplies the weight of each pixel; None multiplies by 1.
        share: (N, H, W) float in 0..1, the share of several label maps that say class 1, of two classes: the
            loss is the mean of theirs. None means `labels` alone.

    Returns:
        A scalar, float32 at least; 0 with zero gradients when no pixel is valid.

    Raises:
        ValueError: If `scheme` is unknown.
    """
    logits, valid = widen(logits), labels != ignore_index
    if share is None:
        loss = cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none")
    else:
        targets = torch.stack([1 - share, share], 1).to(logits.dtype)
        loss = torch.where(valid, cross_entropy(logits, targets, reduction="none"), 0)
    weights = _weigh(scheme, logits.detach(), loss.detach(), labels, valid)
    weights = weights if factor is None else weights * factor
    return (weights * loss).sum() / valid.sum().clamp(min=1)


def compute_core_loss(logits: Tensor, core: Tensor, valid: Tensor) -> Tensor:
    """Compute the mean binary cross entropy of the core over the batch's valid pixels.

    Args:
        logits: (N, H, W) log odds; half precision is computed in float32.
        core: (N, H, W) integer, true probability of core, 0..255.
        valid: (N, H, W) bool.

    Returns:
        A scalar, float32 at least; 0 with zero gradients when no pixel is valid.
    """
    logits = widen(logits)
    loss = binary_cross_entropy_with_logits(logits, core.to(logits.dtype) / 255, reduction="none")
    return torch.where(valid, loss, 0).sum() / valid.sum().clamp(min=1)


@torch.no_grad()
def pixel_weights(logits: Tensor, labels: Tensor, scheme: str, ignore_index: int = 255) -> Tensor:
    """Return the weight of each pixel's loss: (N, H, W), float32 at least, without gradient.

    Ignored pixels weigh 0. In an image whose valid labels hold one class every valid pixel weighs 1, except
    under "ohem", which mines the batch as a whole.
    Arguments and errors are those of `weighted_cross_entropy`.
    """
    logits = widen(logits)
    loss = cross_entropy(logits, labels, ignore_index=ignore_index, reduction="none")
    return _weigh(scheme, logits, loss, labels, labels != ignore_index)


def _weigh(scheme: str, logits: Tensor, loss: Tensor, labels: Tensor, valid: Tensor) -> Tensor:
    if scheme not in SCHEMES:
        raise ValueError(f"loss: one of {', '.join(SCHEMES)}. Received: {scheme}")
    weights = SCHEMES[scheme](logits, loss, valid)
    if scheme != "ohem":
        weights = torch.where(_find_mixed(labels, valid), weights, 1)
    return torch.where(valid, weights, 0)


def _find_mixed(labels: Tensor, valid: Tensor) -> Tensor:
    """Return which images hold more than one class, (N, 1, 1) bool."""
    lowest = labels.masked_fill(~valid, torch.iinfo(labels.dtype).max).amin(dim=(1, 2), keepdim=True)
    highest = labels.masked_fill(~valid, -1).amax(dim=(1, 2), keepdim=True)
    return lowest < highest


def _normalise_loss(loss: Tensor, valid: Tensor) -> Tensor:
    """Compute the softmax of -loss over each image's valid pixels, divided by its mean there."""
    scores = (-loss).masked_fill(~valid, -torch.inf)
    shares = scores.flatten(1).softmax(dim=1).view_as(loss)
    return shares * valid.sum(dim=(1, 2), keepdim=True)


def _take_best(logits: Tensor) -> Tensor:
    return logits.softmax(dim=1).amax(dim=1)


def _take_gap(logits: Tensor) -> Tensor:
    probabilities = logits.softmax(dim=1)
    return probabilities.amax(dim=1) - probabilities.amin(dim=1)


def _mine_hard(loss: Tensor, valid: Tensor) -> Tensor:
    """Return 1 on hard pixels and on at least the hardest share of the batch, else 0."""
    ranked = loss.masked_fill(~valid, -torch.inf).flatten().sort(descending=True).values
    count = (valid.sum() * HARD_SHARE).ceil().long().clamp(min=1)
    threshold = ranked.gather(0, count.view(1) - 1)
    return ((loss > -math.log(HARD_PROBABILITY)) | (loss >= threshold)).to(loss.dtype)


# (logits (N, c, H, W), loss (N, H, W), valid (N, H, W)) -> weights (N, H, W)
SCHEMES: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "plain": lambda logits, loss, valid: torch.ones_like(loss),
    "c_max": lambda logits, loss, valid: _take_best(logits),
    "c_diff": lambda logits, loss, valid: _take_gap(logits),
    "l_norm": lambda logits, loss, valid: _normalise_loss(loss, valid),
    "lc_mix": lambda logits, loss, valid: _normalise_loss(loss, valid) * _take_best(logits),
    "plf": lambda logits, loss, valid: _normalise_loss(loss, valid) * _take_gap(logits),
    "ohem": lambda logits, loss, valid: _mine_hard(loss, valid),
}
