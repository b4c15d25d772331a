"""Scores of stage 1 against outlines that it was trained without (Li et al. 2022, Table 2)."""

from __future__ import annotations

from collections.abc import Iterable

from glandseg.training.data.augment import IGNORED
from glandseg.training.data.patches import list_patches
from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.evaluation.scored_model import choose_device
from glandseg.training.factory import load_classifier
from glandseg.training.run import Run
from glandseg.training.weak.activation_maps import ActivationMaps
from glandseg.training.weak.label_rules import label_image


def score_stage_1(run: Run, samples: Iterable[Sample], um_per_px: float) -> dict[str, float]:
    """Score a run's activation maps, and its pseudo masks before unsure pixels are left out.

    Args:
        run: Run whose classifier is trained.
        samples: Training samples; those without outline masks are passed over.
        um_per_px: Microns per pixel of the images.

    Returns:
        mIoU in percent by name, "cam" without patch labels and "pseudo_mask" with them, each over all pixels
        under patches; empty without outlines.
    """
    settings = run.settings.classifier
    evidence = ActivationMaps(load_classifier(run).to(choose_device()), settings)
    cam, pseudo_mask = Confusion.empty(), Confusion.empty()
    for sample in samples:
        if sample.mask_path is None:
            continue
        image = sample.read()
        patches = list_patches([sample], [image], um_per_px, settings)
        labelling = label_image(
            image.shape, patches, evidence.map_patches(sample, image, patches), settings.rule
        )
        covered = labelling.mask != IGNORED
        truth = sample.read_mask(image.shape)[covered] == 1
        cam += Confusion.of(labelling.log_odds[covered] > 0, truth)
        pseudo_mask += Confusion.of(labelling.mask[covered] == 1, truth)
    if not cam.counts.any():
        return {}
    return {"cam": round(100 * cam.miou, 2), "pseudo_mask": round(100 * pseudo_mask.miou, 2)}
