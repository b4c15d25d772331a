"""The loss of stage 2: the two classes and the core, at both heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn

from glandseg.training.data.augment import IGNORED
from glandseg.training.loop.sampling import Batch
from glandseg.training.losses import compute_core_loss, weighted_cross_entropy
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.segmenter import MAPS
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.torch_backend import CLASSES


def segmentation_loss(
    network: nn.Module, batch: Batch, settings: SegmenterSettings, *, has_soft: bool = False
) -> Tensor:
    """Compute the weighted cross entropy of both heads, and their cores' where there are some.

    Args:
        network: Network, a `Segmenter`.
        batch: Batch with labels (N, S, S), or (N, S, S, C) with maps: soft, core and border.
        settings: Settings of stage 2.
        has_soft: Whether there is a soft map, of several pseudo masks, whose mean loss is computed.
    """
    target = split_target(batch.labels, settings, has_soft=has_soft)
    return sum_heads(
        network,
        batch.images,
        settings.auxiliary,
        lambda logits: compute_head_loss(logits, target, settings, batch.step),
    )


def compute_head_loss(
    logits: Tensor, target: Mapping[str, Tensor], settings: SegmenterSettings, step: int
) -> Tensor:
    """Compute the loss of a head's two classes and, where the target has one, of its core.

    Args:
        logits: (N, outputs, S, S).
        target: Mask and maps, as of `split_target`.
        settings: Settings of stage 2.
        step: Step of the fit.
    """
    loss = compute_class_loss(logits, target, settings, step)
    if "core" not in target:
        return loss
    valid = target["mask"] != IGNORED
    return loss + settings.core_weight * compute_core_loss(logits[:, CLASSES], target["core"], valid)


def split_target(labels: Tensor, settings: SegmenterSettings, *, has_soft: bool = False) -> dict[str, Tensor]:
    """Split a batch's labels into the mask and its maps, each (N, S, S) int64, by name.

    Args:
        labels: (N, S, S), the mask alone, or (N, S, S, C).
        settings: Settings of stage 2, from which the maps follow.
        has_soft: Whether there is a soft map, a teacher's or of several pseudo masks.
    """
    expected = (has_soft, settings.core_um is not None, settings.border_weight > 0)
    names = ("mask", *(name for name, there in zip(MAPS, expected, strict=True) if there))
    planes = labels.unbind(dim=-1) if len(names) > 1 else (labels,)
    return dict(zip(names, planes, strict=True))


def compute_class_loss(
    logits: Tensor, target: Mapping[str, Tensor], settings: SegmenterSettings, step: int
) -> Tensor:
    """Compute the weighted cross entropy of a head's two classes against the mask.

    Args:
        logits: (N, outputs, S, S).
        target: Mask and maps, as of `split_target`; with a soft map, the labels are shares. A map "trust",
            (N, S, S) float, multiplies the weight of each pixel.
        settings: Settings of stage 2.
        step: Step of the fit, which decides whether the scheme of pixel weights has started.
    """
    scheme = "plain" if step < settings.warmup_plain else settings.loss
    factor = 1 + settings.border_weight * target["border"] / 255 if "border" in target else None
    if "trust" in target:
        factor = target["trust"] if factor is None else factor * target["trust"]
    share = target["soft"] / 255 if "soft" in target else None
    return weighted_cross_entropy(logits[:, :CLASSES], target["mask"], scheme, IGNORED, factor, share)


def sum_heads(
    network: nn.Module, images: Tensor, auxiliary: float, compute_head: Callable[[Tensor], Tensor]
) -> Tensor:
    """Compute the loss of the main head plus `auxiliary` times that of the other.

    Args:
        network: Network, a `Segmenter`.
        images: (N, 3, S, S) float32 RGB in 0..1.
        auxiliary: Weight of the auxiliary head's loss.
        compute_head: Called with a head's logits, (N, outputs, S, S); returns its loss.
    """
    if not isinstance(network, Segmenter):
        raise TypeError(f"network: a Segmenter expected. Received: {type(network).__name__}")
    main, other = map(compute_head, network.forward_both(images))
    return main + auxiliary * other
