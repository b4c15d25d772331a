"""Stage 1, read from top to bottom: patches of all images, evidence, pseudo masks, their record."""

from __future__ import annotations

from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import CLASSIFIER
from glandseg.training.data.patches import LabelledPatches, count_presence, list_patches
from glandseg.training.evidence_sources import judge_evidence, open_evidence, weigh_layers
from glandseg.training.loop.processes import ask_first
from glandseg.training.preparation import Prepared
from glandseg.training.stages import Training, fit_classifier
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.pseudo_mask_record import has_record, record_pseudo_masks
from glandseg.training.weak.pseudo_masks import make_pseudo_masks


def label_patches(training: Training, prepared: Prepared) -> LabelledPatches:
    """Read the images of stage 1 and cut them into patches.

    Validation images belong to them, to choose the segmenter on where they have no outlines.

    Args:
        training: Training under way.
        prepared: Its data.

    Raises:
        BadInputError: If too few patches show tissue.
    """
    split, settings = prepared.split, training.settings.classifier
    samples = split.train + split.val
    images = [sample.read() for sample in samples]
    patches = list_patches(samples, images, prepared.um_per_px, settings)
    train = [patch for patch in patches if patch.sample < len(split.train)]
    val = patches[len(train) :] if split.val else train
    if not train or not val:
        raise BadInputError(
            f"{samples[0].path.parent}: {len(train)} patches to learn from and {len(val)} to choose on are "
            "not white. Give images of tissue, or raise classifier.background."
        )
    for purpose, some in (("learn from", train), ("choose on", val)):
        if len({patch.present for patch in some}) == 1:
            training.say(
                f"note: all patches to {purpose} are labelled alike: {count_presence(some)}. Check the labels"
            )
    return LabelledPatches(samples=samples, images=images, patches=patches, train=train, val=val)


def make_missing_masks(training: Training, prepared: Prepared, labelled: LabelledPatches) -> None:
    """Gather evidence, and write a pseudo mask for every image that lacks one.

    Args:
        training: Training under way.
        prepared: Its data.
        labelled: Its patches.

    Raises:
        BadInputError: If no source of evidence can use them.
    """
    needed = CLASSIFIER in training.settings.classifier.weigh_sources()
    classifier = fit_classifier(training, labelled.train, labelled.val, labelled.images) if needed else None
    ask_first(lambda: _write_missing_masks(training, prepared, classifier, labelled))


def _write_missing_masks(
    training: Training, prepared: Prepared, classifier: WeakMethod | None, labelled: LabelledPatches
) -> None:
    """Write and record the pseudo masks that the run lacks; a probe is fitted to training images alone."""
    run, settings, samples = training.run, training.settings, labelled.samples
    missing = [index for index, sample in enumerate(samples) if not run.has_pseudo_mask(sample.name)]
    training.say(f"pseudo masks: {len(missing)} to make -> {run.pseudo_masks_path}")
    if missing:
        learned = labelled.images[: len(prepared.split.train)]
        um_per_px = prepared.um_per_px
        with open_evidence(settings, classifier, learned, labelled.train, um_per_px, training.say) as sources:
            made = make_pseudo_masks(
                sources,
                labelled.patches,
                samples,
                labelled.images,
                missing,
                settings.classifier,
                votes=weigh_layers(classifier),
            )
            agreement = []
            for index, each in zip(missing, made, strict=True):
                if each.soft is not None:
                    run.write_soft_mask(samples[index].name, each.soft)
                run.write_pseudo_mask(samples[index].name, each.mask)
                agreement.append(each.agreement)
        for line in judge_evidence(agreement):
            training.say(line)
    if missing or not has_record(run):
        record_pseudo_masks(run, samples)
