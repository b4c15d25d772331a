"""A whole training: data, split, both stages, record."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError
from glandseg.training.classifier import Classifier, PatchStream, classification_loss, score_classifier
from glandseg.training.datasets import DataSet, Picture, find_pictures
from glandseg.training.drawn import draw_examples
from glandseg.training.fit import Progress, fit
from glandseg.training.patches import Patch, count_presence, list_patches
from glandseg.training.pseudo_masks import make_pseudo_masks
from glandseg.training.run import Run, build_classifier, build_segmenter, open_run, start_run
from glandseg.training.segmenter import Example, ExampleStream, score_segmenter, segmentation_loss
from glandseg.training.settings import TrainSettings
from glandseg.training.splits import Split, split_pictures
from glandseg.training.trunks.weights import load_weights

Report = Callable[[str, Progress], None]
Say = Callable[[str], None]


def train(data: Path, folder: Path | None, settings: TrainSettings, *, report: Report, say: Say) -> Run:
    """Learn a segmenter from a data folder.

    Args:
        data: a folder that `find_pictures` knows.
        folder: of the run; none makes one below `runs`. An unfinished one is taken up again.
        settings: of the run.
        report: is told the stage and its progress after every step.
        say: is told what is being done, a line each.

    Returns:
        The finished run.

    Raises:
        BadInputError: if data or settings cannot be used.
    """
    data_set = find_pictures(data)
    um_per_px = settings.um_per_px or data_set.um_per_px
    if um_per_px is None:
        raise BadInputError(f"{data}: its um/px is not known. Give --mpp.")
    split = split_pictures(data_set.pictures, settings.shares, settings.split_seed)
    if not split.train or not split.val:
        raise BadInputError(
            f"{data}: holds {len(data_set.pictures)} images of {split.count_groups()} patients. At least two "
            "are needed: one to learn from, another to choose on."
        )
    run = start_run(folder, settings)
    run.write_split(split)
    counts = ", ".join(f"{len(split.part(part))} {part}" for part in ("train", "val", "test"))
    say(f"{data_set.kind}: {len(data_set.pictures)} images ({counts}) at {um_per_px:g} um/px -> {run.path}")
    if settings.labels == "patches":
        learn_masks(run, split, um_per_px, settings, report, say)
    learned = None if settings.labels == "outlines" else run
    val = read_examples(split.val, learned if split.val[0].mask_path is None else None)
    examples = read_examples(split.train, learned)
    share = settings.segmenter.drawn
    examples += draw_examples(round(len(examples) * share / (1 - share)), um_per_px, settings.split_seed)
    scores = fit_segmenter(run, examples, val, settings, report, say)
    run.write_record(**describe_run(data_set, um_per_px, split), scores={"val": scores})
    return run


def learn_masks(
    run: Run, split: Split, um_per_px: float, settings: TrainSettings, report: Report, say: Say
) -> None:
    """Stage 1: fit the classifier to patch labels and write a pseudo mask for every picture.

    Validation pictures get one too, to choose the segmenter on where nobody drew outlines.
    """
    pictures = split.train + split.val
    images = [picture.read() for picture in pictures]
    patches = list_patches(pictures, images, um_per_px, settings.classifier)
    train = [patch for patch in patches if patch.picture < len(split.train)]
    val = patches[len(train) :]
    if not train or not val:
        raise BadInputError(
            f"{pictures[0].path.parent}: {len(train)} patches to learn from and {len(val)} to choose on are "
            "not white. Give images of tissue, or raise classifier.background."
        )
    classifier = fit_classifier(run, train, val, images, settings, report, say)
    missing = [index for index, picture in enumerate(pictures) if not run.has_pseudo_mask(picture.name)]
    say(f"pseudo masks: {len(missing)} to make -> {run.pseudo_masks_path}")
    for index, mask in zip(
        missing, make_pseudo_masks(classifier, patches, images, missing, settings.classifier), strict=True
    ):
        run.write_pseudo_mask(pictures[index].name, mask)


def fit_classifier(
    run: Run,
    train: Sequence[Patch],
    val: Sequence[Patch],
    images: Sequence[NDArray[np.uint8]],
    settings: TrainSettings,
    report: Report,
    say: Say,
) -> Classifier:
    """Fit the classifier of a run."""
    stage = settings.classifier
    torch.manual_seed(stage.fit.seed)
    classifier = build_classifier(settings)
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.weights:
        say(f"{settings.weights}: {load_weights(classifier.trunk, Path(settings.weights))}")
    say(f"classifier: {len(train)} patches, {count_presence(train)}")
    fit(
        classifier,
        PatchStream(train, images, stage).draw,
        classification_loss,
        lambda network: score_classifier(network, val, images, stage),
        settings=stage.fit,
        folder=run.path,
        name="classifier",
        report=lambda progress: report("classifier", progress),
    )
    return classifier


def read_examples(pictures: Sequence[Picture], run: Run | None) -> list[Example]:
    """Read pictures into memory, with their outlines or, where a run is given, with its pseudo masks."""
    examples = []
    for picture in pictures:
        image = picture.read()
        mask = run.read_pseudo_mask(picture.name) if run else picture.read_mask(image.shape)
        examples.append(Example(image=image, mask=mask))
    return examples


def fit_segmenter(
    run: Run,
    examples: Sequence[Example],
    val: Sequence[Example],
    settings: TrainSettings,
    report: Report,
    say: Say,
) -> dict[str, float]:
    """Fit the segmenter of a run and give its scores on `val`."""
    torch.manual_seed(settings.segmenter.fit.seed)
    network = build_segmenter(settings)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if settings.weights:
        say(f"{settings.weights}: {load_weights(network.trunk, Path(settings.weights))}")
    if settings.start_from:
        earlier = open_run(Path(settings.start_from)).segmenter_path
        say(f"{settings.start_from}: {load_weights(network, earlier)}")
    stage, precision = settings.segmenter, settings.segmenter.fit.precision
    fit(
        network,
        ExampleStream(examples, stage).draw,
        lambda network, batch: segmentation_loss(network, batch, stage.auxiliary),
        lambda network: score_segmenter(network, val, precision),
        settings=stage.fit,
        folder=run.path,
        name="segmenter",
        report=lambda progress: report("segmenter", progress),
    )
    return score_segmenter(network, val, "float32")


def describe_run(data_set: DataSet, um_per_px: float, split: Split) -> dict[str, object]:
    """Say what a run learned from."""
    return {
        "data": data_set.kind,
        "um_per_px": um_per_px,
        "images": {part: len(split.part(part)) for part in ("train", "val", "test")},
    }
