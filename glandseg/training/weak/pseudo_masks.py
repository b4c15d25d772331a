"""From evidence and patch labels to a pseudo mask for every image.

Errors of pseudo masks lie where the evidence is weak, and stage 2 learns them as if they were true. So the
pixels that the labels leave open may lose their label where the evidence is weakest, or where two sources
differ; stage 2's loss ignores them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from glandseg.training.classifier_settings import CLASSIFIER, ClassifierSettings
from glandseg.training.data.augment import IGNORED
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.weak.evidence import Evidence
from glandseg.training.weak.label_rules import Labelling, Maps, label_image

LAYER = f"{CLASSIFIER}, layer "  # what the names of its layers, as sources, begin with
NO_VOTES: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class PseudoMask:
    """The pseudo mask of an image, and how far its evidence agrees with its labels.

    Attributes:
        mask: (H, W) uint8: 0 non-gland, 1 gland, 255 where no patch lies or the decision is left out.
        soft: (H, W) uint8: share of the votes for gland, 255 for all; None without votes.
        agreement: By source, its decisions without labels at the pixels that labels alone decide,
            counted against these.
    """

    mask: NDArray[np.uint8]
    soft: NDArray[np.uint8] | None = None
    agreement: dict[str, Confusion]


def make_pseudo_masks(
    sources: Mapping[str, Evidence],
    patches: Sequence[Patch],
    samples: Sequence[Sample],
    images: Sequence[NDArray[np.uint8]],
    wanted: Sequence[int],
    settings: ClassifierSettings,
    *,
    votes: Mapping[str, float] = NO_VOTES,
) -> Iterator[PseudoMask]:
    """Yield the pseudo masks of the wanted images, in that order.

    Args:
        sources: Sources of evidence by name, some or all of those in the settings.
        patches: Patches of all images.
        samples: Samples of all images.
        images: All images.
        wanted: Indices of images.
        settings: Settings of stage 1.
        votes: Weights of the sources whose labels make the soft mask; none without one.
    """
    by_sample: dict[int, list[Patch]] = defaultdict(list)
    for patch in patches:
        by_sample[patch.sample].append(patch)
    for index in wanted:
        image, own = images[index], by_sample[index]
        maps = {name: source.map_patches(samples[index], image, own) for name, source in sources.items()}
        yield decide(image.shape, own, maps, settings, votes)


def decide(
    shape: tuple[int, ...],
    patches: Sequence[Patch],
    maps: Mapping[str, Maps],
    settings: ClassifierSettings,
    votes: Mapping[str, float] = NO_VOTES,
) -> PseudoMask:
    """Decide the label of each pixel of an image.

    Args:
        shape: Image size, (H, W).
        patches: Patches of the image.
        maps: By source, the log odds of gland of each patch.
        settings: Settings of stage 1: weights of the sources, label rule and decision.
        votes: As in `make_pseudo_masks`.
    """
    joint = label_image(shape, patches, sum_maps(maps, settings), settings.rule)
    alone = {name: label_image(shape, patches, own, settings.rule) for name, own in maps.items()}
    mask = joint.mask.copy()
    if settings.agree:
        for each in alone.values():
            mask[each.mask != joint.mask] = IGNORED
    mask[find_unsure(joint, settings.ignore)] = IGNORED
    known = joint.decided != IGNORED
    truth = joint.decided[known] == 1
    agreement = {name: Confusion.of(each.log_odds[known] > 0, truth) for name, each in alone.items()}
    soft = count_votes({name: alone[name].mask for name in votes}, votes) if votes else None
    return PseudoMask(mask=mask, soft=soft, agreement=agreement)


def count_votes(masks: Mapping[str, NDArray[np.uint8]], weights: Mapping[str, float]) -> NDArray[np.uint8]:
    """Return the weighted share of masks that label a pixel as gland: (H, W) uint8, 255 for all."""
    votes = [weight * (masks[name] == 1) for name, weight in weights.items()]
    share = np.sum(votes, axis=0) / sum(weights.values())
    return np.asarray(np.round(255 * share), np.uint8)


def sum_maps(maps: Mapping[str, Maps], settings: ClassifierSettings) -> list[NDArray[np.float32]]:
    """Return each patch's sum of the sources' log odds, weighted as the settings say.

    A layer has the weight of its classifier.
    """
    weights = settings.weigh_sources()
    sources = [CLASSIFIER if name.startswith(LAYER) else name for name in maps]
    factors = np.array([weights[source] for source in sources], np.float32)
    return [np.tensordot(factors, np.stack(of_patch), 1) for of_patch in zip(*maps.values(), strict=True)]


def find_unsure(labelling: Labelling, share: float) -> NDArray[np.bool_]:
    """Return the given share of an image's open pixels whose log odds are nearest to 0: (H, W) bool."""
    sureness = np.abs(labelling.log_odds)
    if not labelling.is_open.any():
        return labelling.is_open
    return np.asarray(labelling.is_open & (sureness < np.quantile(sureness[labelling.is_open], share)))
