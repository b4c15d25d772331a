"""A whole training, read from top to bottom: data, run folder, stage 1, examples, stage 2, record."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import torch

from glandseg.core.callbacks import Say
from glandseg.training.data.corrections import cut_corrections, find_corrected_slides
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.examples import choose_validation, cut_tiles, note_one_class, read_examples
from glandseg.training.data.splits import Split
from glandseg.training.data.synthetic_examples import count_examples, draw_examples
from glandseg.training.distill.examples import VAL, learn_from_teacher, teach_truth
from glandseg.training.distill.teacher import Teacher, find_teacher, refuse_idle_labels
from glandseg.training.evidence_sources import describe_evidence, find_models
from glandseg.training.loop.processes import ask_first, is_first, start_fabric
from glandseg.training.plan import announce_plan
from glandseg.training.preparation import Prepared, prepare, refuse_unusable_weights
from glandseg.training.pseudo_labelling import label_patches, make_missing_masks
from glandseg.training.run import PARTS, SETTINGS, Run, hold_run, name_run, start_run
from glandseg.training.segmenter import Example
from glandseg.training.settings import TrainSettings
from glandseg.training.stages import Report, Training, fit_segmenter
from glandseg.training.start import describe_start

CORRECTIONS = "corrections"  # folder of their patches, in that of the run
TRAIN_BY_PSEUDO_MASKS = "train, the pseudo masks for truth"  # what the scores of such a run refer to


def train(data: Path, folder: Path | None, settings: TrainSettings, *, report: Report, say: Say) -> Run:
    """Train a segmenter on a data folder.

    Args:
        data: Folder that `find_samples` knows.
        folder: Run folder; None makes one below `runs`. An unfinished one is resumed.
        settings: Settings of the run.
        report: Called with (stage, progress) after each step.
        say: Called with each line of the console log.

    Returns:
        The finished run.

    Raises:
        BadInputError: If data or settings cannot be used.
        TrainingStopped: If a stop was requested; the same call resumes.
    """
    began = time.monotonic()
    refuse_unusable_weights(settings)
    refuse_idle_labels(settings)
    start_fabric()
    if not is_first():
        report, say = (lambda stage, progress: None), (lambda line: None)
    prepared = prepare(data, settings, say)
    teacher = ask_first(lambda: find_teacher(settings, folder))
    models = ask_first(lambda: find_models(settings))
    path = ask_first(lambda: name_run(folder))
    with hold_run(path) if is_first() else contextlib.nullcontext():
        resumed = ask_first((path / SETTINGS).is_file)
        run = ask_first(lambda: _start(path, settings, prepared.split))
        settings = run.settings  # with the precisions that the run was started in
        training = Training(run=run, settings=settings, report=report, say=say)
        _announce(training, prepared, teacher)
        labelled = label_patches(training, prepared) if settings.labels == "patches" else None
        announce_plan(training, prepared, labelled)
        if labelled:
            make_missing_masks(training, prepared, labelled)
        examples, val, judged_by = _read_examples(training, prepared, teacher)
        examples += _read_corrections(training, prepared)
        note_one_class(examples, val, say)
        examples = cut_tiles(examples, settings.segmenter.crop, settings.segmenter.stride)
        examples += _draw_synthetic(len(examples), prepared, settings)
        if examples[0].soft is not None:
            examples = [each if each.soft is not None else teach_truth([each])[0] for each in examples]
        scores = fit_segmenter(training, examples, val)
        facts = _describe(prepared, teacher) | {"scores": {judged_by: scores}}
        if settings.start_from:
            facts["start"] = describe_start(settings.start_from)
        if settings.labels == "patches":
            facts["evidence"] = describe_evidence(settings, models, prepared.data_set, prepared.split)
        seconds = None if resumed else round(time.monotonic() - began, 1)
        ask_first(lambda: run.write_record(**facts, **_describe_machine(), seconds=seconds))
    return run


def _start(folder: Path, settings: TrainSettings, split: Split) -> Run:
    run = start_run(folder, settings)
    run.write_split(split)
    return run


def _announce(training: Training, prepared: Prepared, teacher: Teacher | None) -> None:
    data_set, split = prepared.data_set, prepared.split
    training.say(
        f"{data_set.kind}: {len(data_set.samples)} images ({prepared.describe_parts()}) at "
        f"{prepared.um_per_px:g} um/px -> {training.run.path}"
    )
    seen = teacher.note_seen(data_set, split) if teacher else ""
    for note in filter(None, (*data_set.notes, split.note, seen)):
        training.say(f"note: {note}")


def _read_examples(
    training: Training, prepared: Prepared, teacher: Teacher | None
) -> tuple[list[Example], list[Example], str]:
    """Read what the segmenter is fitted to and validated on, and name the truth of the latter."""
    run, settings, split = training.run, training.settings, prepared.split
    if teacher:
        return learn_from_teacher(run, teacher, split, prepared.um_per_px, settings, training.say)
    um_per_px, stage = prepared.um_per_px, settings.segmenter
    examples = read_examples(split.train, None if settings.labels == "outlines" else run, um_per_px, stage)
    chosen_on, has_outlines = choose_validation(split, settings.labels, training.say)
    val = read_examples(chosen_on, None if has_outlines else run, um_per_px, stage)
    return examples, val, VAL if split.val or has_outlines else TRAIN_BY_PSEUDO_MASKS


def _read_corrections(training: Training, prepared: Prepared) -> list[Example]:
    """Cut the corrected regions of slides into the run folder, and read them with their outlines."""
    settings, folder = training.settings, training.run.path / CORRECTIONS
    if not settings.corrections:
        return []
    slides = find_corrected_slides([Path(path) for path in settings.corrections])
    um_per_px = prepared.um_per_px
    ask_first(lambda: cut_corrections(slides, folder, um_per_px, say=training.say, holds_out=False))
    samples = find_samples(folder).samples
    training.say(
        f"corrections: {len(samples)} patches of {len(slides)} slides are learned with their outlines"
    )
    return read_examples(samples, None, um_per_px, settings.segmenter)


def _draw_synthetic(count: int, prepared: Prepared, settings: TrainSettings) -> list[Example]:
    """Draw synthetic tissue to go with `count` examples."""
    stage = settings.segmenter
    wanted = count_examples(count, stage.synthetic)
    return draw_examples(wanted, prepared.model_um, settings.split_seed, stage)


def _describe(prepared: Prepared, teacher: Teacher | None) -> dict[str, object]:
    """Return what the record keeps: the data that the run learned from, and its um/px."""
    data_set, split = prepared.data_set, prepared.split
    return {
        "data": data_set.kind,
        "images_um_per_px": prepared.um_per_px,
        "um_per_px": prepared.model_um,
        "images": {part: len(split.part(part)) for part in PARTS},
        **({"note": split.note} if split.note else {}),
        **({"teacher": teacher.describe(data_set, split)} if teacher else {}),
    }


def _describe_machine() -> dict[str, str]:
    """Return what the last bits of a run depend on beside its settings."""
    has_gpu = torch.cuda.is_available()
    return {"device": torch.cuda.get_device_name() if has_gpu else "CPU", "torch": str(torch.__version__)}
