"""What a student learns from its teacher, and what it is judged by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from glandseg.training.data.augment import IGNORED
from glandseg.training.data.datasets import Sample
from glandseg.training.data.splits import Split
from glandseg.training.distill.teacher import Teacher
from glandseg.training.distill.teacher_maps import TeacherMaps, make_teacher_maps
from glandseg.training.evaluation.evaluate import GLAND_BYTE
from glandseg.training.loop.processes import ask_first
from glandseg.training.run import Run
from glandseg.training.segmenter import Example
from glandseg.training.settings import TrainSettings

VAL, VAL_BY_TEACHER = "val", "val, the teacher's masks for truth"  # what a run's scores are of


def learn_from_teacher(
    run: Run,
    teacher: Teacher,
    split: Split,
    um_per_px: float,
    settings: TrainSettings,
    say: Callable[[str], None],
) -> tuple[list[Example], list[Example], str]:
    """Let a teacher map every image, and give what is to be learned, what to choose on, and by what.

    What is chosen on is outlines where the settings want them and there are some, else the teacher's masks.
    """
    samples, chosen_on = split.train + split.val, split.choose_on()
    maps = ask_first(lambda: make_teacher_maps(run.path, teacher, samples, um_per_px, say))
    factor, outlines = um_per_px / (settings.segmenter.um_per_px or um_per_px), settings.labels == "outlines"
    examples = read_lessons(split.train, maps, outlines=outlines, factor=factor)
    val = read_lessons(chosen_on, maps, outlines=outlines, factor=factor)
    if outlines and any(sample.mask_path for sample in chosen_on):
        return examples, judge_by_outlines(val), VAL
    return examples, judge_by_teacher(val), VAL_BY_TEACHER


def read_lessons(
    samples: Sequence[Sample], maps: TeacherMaps, *, outlines: bool, factor: float
) -> list[Example]:
    """Read images into memory with the teacher's maps and, where wanted and drawn, with outlines.

    Args:
        samples: to read.
        maps: of the teacher.
        outlines: whether outlines are read; what has none is labelled as ignored.
        factor: by which all are enlarged.
    """
    lessons = []
    for sample in samples:
        image, soft = sample.read(), maps.read(sample.name)
        drawn = outlines and sample.mask_path is not None
        mask = sample.read_mask(image.shape) if drawn else np.full_like(soft, IGNORED)
        lessons.append(Example(image=image, mask=mask, soft=soft).enlarge(factor))
    return lessons


def judge_by_teacher(examples: Sequence[Example]) -> list[Example]:
    """Take the teacher's masks for the truth of examples that have its maps."""
    return [
        replace(each, mask=(each.soft >= GLAND_BYTE).astype(np.uint8), soft=None)
        for each in examples
        if each.soft is not None
    ]


def judge_by_outlines(examples: Sequence[Example]) -> list[Example]:
    """Leave the teacher out of examples."""
    return [replace(each, soft=None) for each in examples]


def teach_truth(examples: Sequence[Example]) -> list[Example]:
    """Let a teacher be certain of examples whose every label is known, as of drawn tissue."""
    return [replace(each, soft=np.where(each.mask == 1, 255, 0).astype(np.uint8)) for each in examples]
