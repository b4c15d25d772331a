"""Examples for a student, with its teacher's maps, and the truth that it is validated on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from glandseg.runtime.glands.cut import mark_gland
from glandseg.training.data.augment import IGNORED
from glandseg.training.data.borders import number_glands
from glandseg.training.data.datasets import Sample
from glandseg.training.data.examples import fit_example
from glandseg.training.data.mask_rule import Glands
from glandseg.training.data.splits import Split
from glandseg.training.distill.teacher import Teacher
from glandseg.training.distill.teacher_maps import CORE_FOLDER, TeacherMaps, make_teacher_maps
from glandseg.training.loop.processes import ask_first
from glandseg.training.run import Run
from glandseg.training.segmenter import Example
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings

VAL, VAL_BY_TEACHER = "val", "val, the teacher's masks for truth"  # what a run's scores refer to


def learn_from_teacher(
    run: Run,
    teacher: Teacher,
    split: Split,
    um_per_px: float,
    settings: TrainSettings,
    say: Callable[[str], None],
) -> tuple[list[Example], list[Example], str]:
    """Map every image by the teacher; return examples to train and to validate on, and the latter's truth.

    The truth is outlines if the settings use them and there are some, else the teacher's masks.
    """
    samples, chosen_on = split.train + split.val, split.choose_on()
    stage, outlines = settings.segmenter, settings.labels == "outlines"
    maps = ask_first(lambda: make_teacher_maps(run.path, teacher, samples, um_per_px, say))
    cores = None
    if stage.core_um is not None and teacher.has_core:
        cores = ask_first(lambda: make_teacher_maps(run.path, teacher, samples, um_per_px, say, CORE_FOLDER))
    elif stage.core_um is not None:
        say(f"note: {teacher.name} has no core channel; cores are those of its mask, or of outlines")
    examples, val = (
        read_taught_examples(part, maps, cores, um_per_px, stage, outlines=outlines)
        for part in (split.train, chosen_on)
    )
    if outlines and any(sample.mask_path for sample in chosen_on):
        return examples, judge_by_outlines(val), VAL
    return examples, judge_by_teacher(val), VAL_BY_TEACHER


def read_taught_examples(
    samples: Sequence[Sample],
    maps: TeacherMaps,
    cores: TeacherMaps | None,
    um_per_px: float,
    settings: SegmenterSettings,
    *,
    outlines: bool,
) -> list[Example]:
    """Read images into memory with the teacher's maps and, where wanted and present, with outlines.

    Cores are those of the outlines; without outlines those that the teacher maps, or else those of its mask.

    Args:
        samples: Samples to read.
        maps: The teacher's maps of gland.
        cores: The teacher's maps of core; None if it makes none.
        um_per_px: Microns per pixel of the images.
        settings: Settings of stage 2.
        outlines: Whether to read outlines; pixels without are labelled as ignored.
    """
    examples = []
    for sample in samples:
        image, soft, core = sample.read(), maps.read(sample.name), None
        if outlines and sample.mask_path is not None:
            glands = sample.read_glands(image.shape)
            mask = glands.gland.astype(np.uint8)
        else:
            glands, mask = Glands(gland=mark_gland(soft)), np.full_like(soft, IGNORED)
            core = cores.read(sample.name) if cores else None
        example = Example(image=image, mask=mask, soft=soft, core=core)
        examples.append(fit_example(example, number_glands(glands), um_per_px, settings))
    return examples


def judge_by_teacher(examples: Sequence[Example]) -> list[Example]:
    """Replace the masks of examples by the teacher's, and drop its maps."""
    return [
        replace(each, mask=mark_gland(each.soft).astype(np.uint8), soft=None)
        for each in examples
        if each.soft is not None
    ]


def judge_by_outlines(examples: Sequence[Example]) -> list[Example]:
    """Drop the teacher's maps from examples."""
    return [replace(each, soft=None) for each in examples]


def teach_truth(examples: Sequence[Example]) -> list[Example]:
    """Add certain maps to examples whose every label is known, such as synthetic tissue."""
    return [replace(each, soft=np.where(each.mask == 1, 255, 0).astype(np.uint8)) for each in examples]
