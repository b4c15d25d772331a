"""The plan of a training: what is left to do, for how long, in which precision, from which weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from glandseg.training.classifier_settings import CLASSIFIER
from glandseg.training.data.borders import number_glands
from glandseg.training.data.decoding import open_image
from glandseg.training.data.examples import choose_validation, fit_example
from glandseg.training.data.mask_rule import Glands
from glandseg.training.data.patches import LabelledPatches, grid_starts
from glandseg.training.data.synthetic_examples import count_examples
from glandseg.training.factory import load_method
from glandseg.training.loop.checkpoint import count_left
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.precision import explain_precision
from glandseg.training.pace import Pace, measure_pace
from glandseg.training.preparation import Prepared
from glandseg.training.segmenter import Example
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.stages import Training, fit_classifier, fit_segmenter, name_round
from glandseg.training.weak.patch_stream import PatchStream

IMAGES = 4  # from which the timed steps of stage 2 draw
HEADER = ("plan", "on", "batch", "steps", "s/step", "time", "weights")


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of the plan.

    Attributes:
        cells: What precedes the time: name, images, batch, steps, seconds a step.
        seconds: Estimated time.
        weights: Where the weights come from.
    """

    cells: tuple[str, ...]
    seconds: float
    weights: str = ""

    def format(self) -> tuple[str, ...]:
        """Return a cell for each column."""
        return (*self.cells, write_duration(self.seconds), self.weights)


def announce_plan(training: Training, prepared: Prepared, labelled: LabelledPatches | None) -> None:
    """Log precision and table of what is left to do; nothing if that is nothing.

    Args:
        training: Training to plan; a few steps of each stage that is left are timed.
        prepared: Its data.
        labelled: Its patches; None without stage 1.
    """
    settings = training.settings
    if CLASSIFIER not in settings.classifier.weigh_sources():
        labelled = None  # without a classifier, stage 1 takes minutes
    rows = [*(_plan_stage_1(training, labelled) if labelled else ()), *_plan_stage_2(training, prepared)]
    if not rows:
        return
    fits = (*((settings.classifier.fit,) if labelled else ()), settings.segmenter.fit)
    for precision in dict.fromkeys(fit.precision for fit in fits):
        training.say(f"precision {explain_precision(precision)}")
    total = Row(cells=("in all", *[""] * 4), seconds=math.fsum(row.seconds for row in rows))
    for line in align([HEADER, *(row.format() for row in (*rows, total))]):
        training.say(line)
    maps = ", without the teacher's maps" if settings.teacher else ""
    training.say(f"plan: estimated from a few steps with --threads {torch.get_num_threads()}{maps}")


def _plan_stage_1(training: Training, labelled: LabelledPatches) -> Iterator[Row]:
    run, stage = training.run, training.settings.classifier
    missing = {i for i, sample in enumerate(labelled.samples) if not run.has_pseudo_mask(sample.name)}
    fit = stage.fit.turn_to_steps(len(PatchStream(labelled.train, labelled.images, stage)))
    rounds = load_method(stage.method).rounds
    left = sum(
        count_left(run.path / f"{name_round(number, rounds)}.progress.safetensors", fit.count_steps())
        for number in range(1, rounds + 1)
    )
    if not (left or missing):
        return
    val = labelled.val[: fit.batch]
    pace = measure_pace(training, lambda trial: fit_classifier(trial, labelled.train, val, labelled.images))
    patch_s = pace.validation_s / len(val)
    if left:
        pace = replace(pace, validation_s=patch_s * len(labelled.val))
        yield _plan_fit(training.settings, "classifier", f"{len(labelled.train)} patches", fit, left, pace)
    patches = sum(patch.sample in missing for patch in labelled.patches)
    yield Row(
        cells=("pseudo masks", f"{len(missing)} images", "", "", ""),
        seconds=patches * patch_s * sum(scale**2 for scale in stage.scales),
    )


def _plan_stage_2(training: Training, prepared: Prepared) -> Iterator[Row]:
    settings, split = training.settings, prepared.split
    own = count_own(prepared, settings.segmenter)
    synthetic = count_examples(own, settings.segmenter.synthetic)
    fit = settings.segmenter.fit.turn_to_steps(own + synthetic)
    left = count_left(training.run.path / "segmenter.progress.safetensors", fit.count_steps())
    if not left:
        return
    examples = _stand_in(prepared, settings)
    val = [replace(examples[0], soft=None)]
    pace = measure_pace(training, lambda trial: fit_segmenter(trial, examples, val))
    count = len(choose_validation(split, settings.labels, lambda line: None)[0])
    kind = "images" if settings.segmenter.stride is None else "tiles"
    images = f"{own} {kind}" + (f" + {synthetic} synthetic" if synthetic else "")
    pace = replace(pace, validation_s=pace.validation_s * count)
    yield _plan_fit(settings, "segmenter", images, fit, left, pace)


def _plan_fit(
    settings: TrainSettings, name: str, images: str, fit: FitSettings, left: int, pace: Pace
) -> Row:
    stage = settings.classifier if name == "classifier" else settings.segmenter
    weights = settings.choose_weights(stage)
    if name == "segmenter" and settings.start_from:
        weights = settings.start_from
    validations = -(-left // fit.validate_every)
    return Row(
        cells=(name, images, str(fit.batch), str(left), f"{pace.step_s:.2g}"),
        seconds=left * pace.step_s + validations * pace.validation_s,
        weights=weights or "random",
    )


def count_own(prepared: Prepared, stage: SegmenterSettings) -> int:
    """Count the training images, or the tiles that they are cut into."""
    samples = prepared.split.train
    if stage.stride is None:
        return len(samples)
    count = 0
    for sample in samples:
        with open_image(sample.path) as image:
            sides = (image.height_l0, image.width_l0)
        scaled = [max(round(side * prepared.um_per_px / prepared.model_um), 1) for side in sides]
        count += math.prod(len(grid_starts(side, stage.crop, stage.stride)) for side in scaled)
    return count


def _stand_in(prepared: Prepared, settings: TrainSettings) -> list[Example]:
    """Read some training images, with masks in place of those not made yet: half gland."""
    examples = []
    for sample in prepared.split.train[:IMAGES]:
        image = sample.read()
        mask = np.zeros(image.shape[:2], np.uint8)
        mask[:, image.shape[1] // 2 :] = 1
        example = Example(image=image, mask=mask, soft=255 * mask if settings.teacher else None)
        labels = number_glands(Glands(gland=mask == 1))
        examples.append(fit_example(example, labels, prepared.um_per_px, settings.segmenter))
    return examples


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows, of equally many cells, as lines whose columns are aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def write_duration(seconds: float) -> str:
    """Write a duration in the unit that suits it: "50 s", "12 min" or "2.6 h"."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
