"""Scores of a model on a data set with outlines, of the glands that an inference would find.

Pixels are scored in the mask that the outlines draw, as in the outputs of a slide: glands that are too small
are not in it, and holes that are too small are filled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.model.backend import Network
from glandseg.model.separation import Separation
from glandseg.runtime.settings import DEFAULTS, InferSettings
from glandseg.training.data.borders import number_glands
from glandseg.training.data.corrupt_images import MaskFacts
from glandseg.training.data.datasets import DataSet, Sample
from glandseg.training.data.image_file import note_names
from glandseg.training.data.published_splits import list_parts
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.evaluation.object_metrics import ObjectAgreement
from glandseg.training.evaluation.scored_model import ScoredModel
from glandseg.training.evaluation.segment import label_file


@dataclass(frozen=True, kw_only=True)
class ImageScore:
    """Score of a model on one image at its own size.

    Attributes:
        confusion: Counts of its pixels.
        objects: Its matched glands; None if they were not matched.
        truth: Facts of its true mask, for notes; None for a total.
    """

    confusion: Confusion
    objects: ObjectAgreement | None = None
    truth: MaskFacts | None = None

    def list_scores(self) -> dict[str, float]:
        """Return the scores by name: shares in percent, distances in px."""
        pixels = {
            "miou": self.confusion.miou,
            "gland_iou": self.confusion.gland_iou,
            "f1": self.confusion.f1,
            "dice": self.confusion.dice,
        }
        scores = {name: round(100 * value, 2) for name, value in pixels.items()}
        if self.objects:
            scores["object_f1"] = round(100 * self.objects.f1, 2)
            scores["object_dice"] = round(100 * self.objects.dice, 2)
            scores["object_hausdorff_px"] = round(self.objects.hausdorff_px, 2)
        return scores


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of a model on images.

    Attributes:
        samples: Score of each image, by sample name.
    """

    samples: Mapping[str, ImageScore]

    def pick(self, samples: Iterable[Sample]) -> Evaluation:
        """Return the evaluation of some of the samples."""
        return Evaluation(samples={sample.name: self.samples[sample.name] for sample in samples})

    @property
    def total(self) -> ImageScore:
        """Score of the pixels and the glands of all images pooled."""
        scores = self.samples.values()
        confusion = sum((score.confusion for score in scores), Confusion.empty())
        matched = [score.objects for score in scores if score.objects]
        objects = sum(matched, ObjectAgreement.empty()) if matched else None
        return ImageScore(confusion=confusion, objects=objects)

    def list_scores(self) -> dict[str, float]:
        """Return the scores of all images pooled, and the mean mIoU over images, by name."""
        by_sample = [score.confusion.miou for score in self.samples.values()]
        mean = {"mean_image_miou": round(100 * float(np.mean(by_sample)), 2)}
        return {"images": len(by_sample), **self.total.list_scores(), **mean}


def keep_outlined(data_set: DataSet) -> DataSet:
    """Return a data set without the samples that lack an outline mask, with a note.

    Raises:
        BadInputError: If none has one.
    """
    outlined = tuple(sample for sample in data_set.samples if sample.mask_path)
    lacking = [sample.name for sample in data_set.samples if not sample.mask_path]
    if not outlined:
        raise BadInputError(
            f"{data_set.samples[0].path.parent}: no image has an outline mask, and scores are against "
            "outlines. Give a data set with masks."
        )
    if not lacking:
        return data_set
    notes = note_names(lacking, f"{{}} of {len(data_set.samples)} images without a mask")
    return replace(data_set, samples=outlined, notes=data_set.notes + notes)


def choose_part(data_set: DataSet, part: str) -> tuple[Sample, ...]:
    """Return the samples to evaluate.

    Args:
        data_set: Data set to choose from.
        part: "all"; a part of the set as published, such as GlaS's "train", "testA" and "testB"; or "train",
            "val" or "test" of the default split of a training.

    Raises:
        BadInputError: If there is no such part.
    """
    parts = list_parts(data_set)
    if not parts.get(part):
        raise BadInputError(
            f"--part {part}: this data set has {', '.join(filter(parts.get, sorted(parts)))}."
        )
    return parts[part]


def choose_parts(data_set: DataSet, parts: str | None) -> dict[str, tuple[Sample, ...]]:
    """Return the samples of several parts, by name.

    Args:
        data_set: Data set to choose from.
        parts: Names as in `choose_part`, separated by commas; None means the published test parts, such as
            testA and testB of GlaS, else test.
    """
    published = sorted({each.part for each in data_set.samples if each.part and each.part.startswith("test")})
    names = parts.split(",") if parts else published or ["test"]
    return {name: choose_part(data_set, name) for name in map(str.strip, names)}


def evaluate(
    samples: Iterable[Sample],
    network: Network,
    *,
    image_um: float,
    model_um: float,
    scales: tuple[float, ...] = (1.0,),
    settings: InferSettings = DEFAULTS,
    rule: Separation | None = None,
    objects: bool = False,
    report: Callable[[int], None] = lambda done: None,
    keep: Callable[[Sample, ImageScore, NDArray[np.bool_]], None] = lambda sample, score, mask: None,
) -> Evaluation:
    """Segment images and compare them with their outlines.

    Args:
        samples: Samples with outline masks.
        network: Network, ready to run.
        image_um: Microns per pixel of the images.
        model_um: Microns per pixel of the network's input.
        scales: Scales of the model, unless the settings name others.
        settings: Settings of the inference: scales, flips, threshold, minimum gland and minimum lumen, and
            whether touching glands are told apart.
        rule: By which they are; None leaves them together.
        objects: Whether glands are matched and scored too.
        report: Called with the number of images done.
        keep: Called with (sample, score, mask), the mask (H, W) bool, True for gland.
    """
    found: dict[str, ImageScore] = {}
    for sample in samples:
        labels, mask = label_file(sample, network, image_um, model_um, scales, settings, rule)
        found[sample.name] = score_image(sample, labels, mask, objects)
        keep(sample, found[sample.name], labels > 0)
        report(len(found))
    return Evaluation(samples=found)


def score_model(
    model: ScoredModel, samples: Iterable[Sample], image_um: float, *, objects: bool
) -> dict[str, float]:
    """Score an open model on samples with outlines, at its own scales.

    Args:
        model: Open model.
        samples: Samples with outline masks.
        image_um: Microns per pixel of the images.
        objects: Whether glands are matched and scored too.

    Returns:
        Scores by name, as in `Evaluation.list_scores`.
    """
    return evaluate(
        samples,
        model.backend,
        image_um=image_um,
        model_um=model.um_per_px,
        scales=model.scales,
        rule=model.separation,
        objects=objects,
    ).list_scores()


def score_image(
    sample: Sample, labels: NDArray[np.int32], mask: NDArray[np.bool_], objects: bool
) -> ImageScore:
    """Score the labels of an image's glands and its mask against its outlines.

    Args:
        sample: Image.
        labels: (H, W) int32, the number of each px's gland, 0 for none: the objects.
        mask: (H, W) bool, which is scored by px.
        objects: Whether the objects are scored too.
    """
    truth = sample.read_glands(labels.shape)
    matched = ObjectAgreement.of(labels, number_glands(truth)) if objects else None
    facts = MaskFacts(gland_share=float(truth.gland.mean()), note=truth.note)
    return ImageScore(confusion=Confusion.of(mask, truth.gland), objects=matched, truth=facts)
