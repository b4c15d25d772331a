"""A whole training: data, split, both stages, record."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import DataSet, Sample
from glandseg.training.data.examples import choose_judges, read_examples, tell_one_class
from glandseg.training.data.patches import Patch, count_presence, list_patches
from glandseg.training.data.splits import Split
from glandseg.training.data.synthetic_examples import draw_examples
from glandseg.training.distill.examples import VAL, learn_from_teacher, teach_truth
from glandseg.training.distill.teacher import Teacher, find_teacher, refuse_idle_labels
from glandseg.training.loop.processes import ask_first, is_first, start_fabric
from glandseg.training.preparation import Prepared, prepare
from glandseg.training.run import Run, name_run, start_run
from glandseg.training.run_lock import hold_run
from glandseg.training.settings import TrainSettings
from glandseg.training.stages import (
    Report,
    Say,
    fit_classifier,
    fit_segmenter,
    refuse_idle_weights,
    refuse_missing_sources,
)
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.pseudo_mask_record import has_record, record_pseudo_masks
from glandseg.training.weak.pseudo_masks import make_pseudo_masks


def train(data: Path, folder: Path | None, settings: TrainSettings, *, report: Report, say: Say) -> Run:
    """Learn a segmenter from a data folder.

    Args:
        data: a folder that `find_samples` knows.
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
    refuse_missing_sources(settings)
    refuse_idle_labels(settings)
    start_fabric()
    if not is_first():
        report, say = (lambda stage, progress: None), (lambda line: None)
    prepared = prepare(data, settings, say)
    teacher = ask_first(lambda: find_teacher(settings, folder))
    path = ask_first(lambda: name_run(folder))
    with hold_run(path) if is_first() else contextlib.nullcontext():
        run = ask_first(lambda: begin_run(path, settings, prepared.split))
        _tell_start(run, prepared, teacher, say)
        _learn(run, prepared, teacher, settings, report, say)
    return run


def _tell_start(run: Run, prepared: Prepared, teacher: Teacher | None, say: Say) -> None:
    data_set, split = prepared.data_set, prepared.split
    say(
        f"{data_set.kind}: {len(data_set.samples)} images ({prepared.describe_parts()}) at "
        f"{prepared.um_per_px:g} um/px -> {run.path}"
    )
    seen = teacher.note_seen(data_set, split) if teacher else ""
    for note in filter(None, (*data_set.notes, split.note, seen)):
        say(f"note: {note}")


def _learn(
    run: Run, prepared: Prepared, teacher: Teacher | None, settings: TrainSettings, report: Report, say: Say
) -> None:
    """Learn in a run folder that is held."""
    split, um_per_px, factor = prepared.split, prepared.um_per_px, prepared.um_per_px / prepared.model_um
    if settings.labels == "patches":
        learn_masks(run, split, um_per_px, settings, report, say)
    if teacher:
        examples, val, test = learn_from_teacher(run, teacher, split, um_per_px, settings, say)
    else:
        test = VAL
        outlines = settings.labels == "outlines"
        examples = read_examples(split.train, None if outlines else run, factor)
        chosen_on, has_outlines = choose_judges(split.choose_on(), say)
        val = read_examples(chosen_on, None if has_outlines else run, factor)
    tell_one_class(examples, val, say)
    share = settings.segmenter.drawn
    drawn = draw_examples(round(len(examples) * share / (1 - share)), prepared.model_um, settings.split_seed)
    examples += teach_truth(drawn) if teacher else drawn
    scores = fit_segmenter(run, examples, val, settings, report, say)
    facts = describe_run(prepared.data_set, um_per_px, prepared.model_um, split, teacher)
    ask_first(lambda: run.write_record(**facts, scores={test: scores}))


def begin_run(folder: Path, settings: TrainSettings, split: Split) -> Run:
    """Make a run folder that says how the data are split, or take an unfinished one up again."""
    run = start_run(folder, settings)
    run.write_split(split)
    return run


def learn_masks(
    run: Run, split: Split, um_per_px: float, settings: TrainSettings, report: Report, say: Say
) -> None:
    """Stage 1: fit the classifier to patch labels and write a pseudo mask for every image.

    Validation images get one too, to choose the segmenter on where nobody drew outlines.
    """
    samples = split.train + split.val
    images = [sample.read() for sample in samples]
    patches = list_patches(samples, images, um_per_px, settings.classifier)
    train = [patch for patch in patches if patch.sample < len(split.train)]
    val = patches[len(train) :] if split.val else train
    if not train or not val:
        raise BadInputError(
            f"{samples[0].path.parent}: {len(train)} patches to learn from and {len(val)} to choose on are "
            "not white. Give images of tissue, or raise classifier.background."
        )
    for purpose, some in (("learn from", train), ("choose on", val)):
        if len({patch.present for patch in some}) == 1:
            say(
                f"note: all patches to {purpose} are labelled alike: {count_presence(some)}. Check the labels"
            )
    classifier = fit_classifier(run, train, val, images, settings, report, say)
    ask_first(lambda: write_missing_masks(run, classifier, patches, samples, images, settings, say))


def write_missing_masks(
    run: Run,
    classifier: WeakMethod,
    patches: Sequence[Patch],
    samples: Sequence[Sample],
    images: Sequence[NDArray[np.uint8]],
    settings: TrainSettings,
    say: Say,
) -> None:
    """Make and record the pseudo masks that a run does not have yet."""
    missing = [index for index, sample in enumerate(samples) if not run.has_pseudo_mask(sample.name)]
    say(f"pseudo masks: {len(missing)} to make -> {run.pseudo_masks_path}")
    for index, mask in zip(
        missing, make_pseudo_masks(classifier, patches, images, missing, settings.classifier), strict=True
    ):
        run.write_pseudo_mask(samples[index].name, mask)
    if missing or not has_record(run):
        record_pseudo_masks(run, samples)


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
