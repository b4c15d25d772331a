"""A whole training: data, split, both stages, record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError
from glandseg.training.classifier import Classifier
from glandseg.training.data.soundness import keep_sound
from glandseg.training.data.twins import refuse_twins
from glandseg.training.datasets import DataSet, Picture, find_pictures
from glandseg.training.drawn import draw_examples
from glandseg.training.fractions import thin_split
from glandseg.training.lessons import VAL, learn_from_teacher, teach_truth
from glandseg.training.patches import Patch, list_patches
from glandseg.training.processes import ask_first, is_first, start_fabric
from glandseg.training.pseudo_mask_record import has_record, record_pseudo_masks
from glandseg.training.pseudo_masks import make_pseudo_masks
from glandseg.training.published_splits import split_data_set
from glandseg.training.run import Run, start_run
from glandseg.training.segmenter import Example
from glandseg.training.settings import TrainSettings
from glandseg.training.splits import Split
from glandseg.training.stages import Report, Say, fit_classifier, fit_segmenter, refuse_idle_weights
from glandseg.training.teacher import Teacher, find_teacher, refuse_idle_labels


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
        TrainingStopped: if a stop was asked for; the same call goes on.
    """
    refuse_idle_weights(settings)
    refuse_idle_labels(settings)
    start_fabric()
    if not is_first():
        report, say = (lambda stage, progress: None), (lambda line: None)
    data_set = find_pictures(data, labelled=settings.labels != "none")
    um_per_px = settings.um_per_px or data_set.um_per_px
    if um_per_px is None:
        raise BadInputError(f"{data}: its um/px is not known. Give --mpp.")
    data_set = replace(data_set, pictures=keep_sound(data_set.pictures, settings.on_corrupt, say))
    split = split_data_set(data_set, settings.split, settings.shares, settings.split_seed)
    split = thin_split(split, settings.fraction, settings.segmenter.fit.seed)
    parts = {part: split.part(part) for part in ("train", "val", "test")}
    refuse_twins(parts, settings.classifier.background)
    if not split.train or not (split.val or split.published):
        raise BadInputError(
            f"{data}: holds {len(data_set.pictures)} images of {split.count_groups()} patients. At least two "
            "are needed: one to learn from, another to choose on."
        )
    teacher = ask_first(lambda: find_teacher(settings, folder))
    if teacher and settings.labels == "outlines" and not any(each.mask_path for each in split.train):
        raise BadInputError(f"{data}: no image to learn from has outlines. Give --labels none.")
    run = ask_first(lambda: begin_run(folder, settings, split))
    counts = ", ".join(f"{len(pictures)} {part}" for part, pictures in parts.items())
    say(f"{data_set.kind}: {len(data_set.pictures)} images ({counts}) at {um_per_px:g} um/px -> {run.path}")
    seen = teacher.note_seen(data_set, split) if teacher else ""
    for note in filter(None, (*data_set.notes, split.note, seen)):
        say(f"note: {note}")
    if settings.labels == "patches":
        learn_masks(run, split, um_per_px, settings, report, say)
    model_um = settings.segmenter.um_per_px or um_per_px
    factor = um_per_px / model_um
    if teacher:
        examples, val, test = learn_from_teacher(run, teacher, split, um_per_px, settings, say)
    else:
        learned, test = None if settings.labels == "outlines" else run, VAL
        chosen_on = split.choose_on()
        val = read_examples(chosen_on, learned if chosen_on[0].mask_path is None else None, factor)
        examples = read_examples(split.train, learned, factor)
    share = settings.segmenter.drawn
    drawn = draw_examples(round(len(examples) * share / (1 - share)), model_um, settings.split_seed)
    examples += teach_truth(drawn) if teacher else drawn
    scores = fit_segmenter(run, examples, val, settings, report, say)
    facts = describe_run(data_set, um_per_px, model_um, split, teacher)
    ask_first(lambda: run.write_record(**facts, scores={test: scores}))
    return run


def begin_run(folder: Path | None, settings: TrainSettings, split: Split) -> Run:
    """Make a run folder that says how the data are split, or take an unfinished one up again."""
    run = start_run(folder, settings)
    run.write_split(split)
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
    val = patches[len(train) :] if split.val else train
    if not train or not val:
        raise BadInputError(
            f"{pictures[0].path.parent}: {len(train)} patches to learn from and {len(val)} to choose on are "
            "not white. Give images of tissue, or raise classifier.background."
        )
    classifier = fit_classifier(run, train, val, images, settings, report, say)
    ask_first(lambda: write_missing_masks(run, classifier, patches, pictures, images, settings, say))


def write_missing_masks(
    run: Run,
    classifier: Classifier,
    patches: Sequence[Patch],
    pictures: Sequence[Picture],
    images: Sequence[NDArray[np.uint8]],
    settings: TrainSettings,
    say: Say,
) -> None:
    """Make and record the pseudo masks that a run does not have yet."""
    missing = [index for index, picture in enumerate(pictures) if not run.has_pseudo_mask(picture.name)]
    say(f"pseudo masks: {len(missing)} to make -> {run.pseudo_masks_path}")
    for index, mask in zip(
        missing, make_pseudo_masks(classifier, patches, images, missing, settings.classifier), strict=True
    ):
        run.write_pseudo_mask(pictures[index].name, mask)
    if missing or not has_record(run):
        record_pseudo_masks(run, pictures)


def read_examples(pictures: Sequence[Picture], run: Run | None, factor: float = 1.0) -> list[Example]:
    """Read pictures into memory, with their outlines or, where a run is given, with its pseudo masks.

    Args:
        pictures: to read.
        run: whose pseudo masks are read.
        factor: by which both are enlarged.
    """
    examples = []
    for picture in pictures:
        image = picture.read()
        mask = run.read_pseudo_mask(picture.name) if run else picture.read_mask(image.shape)
        examples.append(Example(image=image, mask=mask).enlarge(factor))
    return examples


def describe_run(
    data_set: DataSet,
    images_um_per_px: float,
    um_per_px: float,
    split: Split,
    teacher: Teacher | None = None,
) -> dict[str, object]:
    """Say what a run learned from, and at which um/px its segmenter works."""
    return {
        "data": data_set.kind,
        "images_um_per_px": images_um_per_px,
        "um_per_px": um_per_px,
        "images": {part: len(split.part(part)) for part in ("train", "val", "test")},
        **({"note": split.note} if split.note else {}),
        **({"teacher": teacher.describe(data_set, split)} if teacher else {}),
    }
