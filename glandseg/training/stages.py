"""The two stages of a training, each fitted in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from glandseg.core.callbacks import Say
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.patches import Patch, count_presence
from glandseg.training.distill.distillation import distillation_loss
from glandseg.training.factory import build_classifier, build_segmenter
from glandseg.training.interleaved_loss import interleaved_loss
from glandseg.training.loop.curves import draw_curves
from glandseg.training.loop.fit import ComputeLoss, Progress, Validate, fit
from glandseg.training.loop.processes import ask_first
from glandseg.training.loop.sampling import Batch
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.interleaved import Interleaved
from glandseg.training.networks.pretrained import prepare_encoder
from glandseg.training.run import Run
from glandseg.training.segmenter import Example, ExampleStream, score_segmenter
from glandseg.training.segmenter_loss import segmentation_loss
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.start import load_start
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.patch_stream import PatchStream

NORM_IMAGES = 8  # over which the batch norms of a model file to start from are measured
Report = Callable[[str, Progress], None]
Network = TypeVar("Network", WeakMethod, Segmenter)


@dataclass(frozen=True, kw_only=True)
class Training:
    """A training under way.

    Attributes:
        run: Run folder, held by this training.
        settings: Settings of the run.
        report: Called with (stage, progress) after each step.
        say: Called with each line of the console log.
    """

    run: Run
    settings: TrainSettings
    report: Report
    say: Say


def fit_classifier(
    training: Training, train: Sequence[Patch], val: Sequence[Patch], images: Sequence[NDArray[np.uint8]]
) -> WeakMethod:
    """Fit the classifier of stage 1 and return it with its best weights."""
    stage = training.settings.classifier
    stage = replace(stage, fit=stage.fit.turn_to_steps(len(PatchStream(train, images, stage))))
    counted = replace(training, settings=replace(training.settings, classifier=stage))
    classifier = _build(counted, "classifier", build_classifier, stage)
    training.say(f"classifier: {len(train)} patches, {count_presence(train)}")
    for number in range(1, classifier.rounds + 1):
        _fit(
            counted,
            name_round(number, classifier.rounds),
            classifier,
            PatchStream(train, images, stage, classifier.begin_round(number, train, images)),
            lambda _, batch: classifier.compute_loss(batch),
            lambda network: cast(WeakMethod, network).score(val, images, stage),
        )
    return classifier


def name_round(number: int, rounds: int) -> str:
    """Return the stem of the files of a round of stage 1; the last one's are the classifier's."""
    return "classifier" if number == rounds else f"classifier-round-{number}"


def fit_segmenter(
    training: Training, examples: Sequence[Example], val: Sequence[Example]
) -> dict[str, float]:
    """Fit the segmenter of stage 2 and return its scores on `val`.

    It learns a teacher's probabilities where there is a teacher, else masks.
    """
    settings, stage = training.settings, training.settings.segmenter
    network = _build(training, "segmenter", build_segmenter, stage)
    stream, has_soft = ExampleStream(examples, stage), examples[0].soft is not None
    if settings.start_from:
        images = stream.draw(0, slice(NORM_IMAGES)).images
        training.say(f"{settings.start_from}: {load_start(network, settings.start_from, images)}")

    def compute_loss(network: nn.Module, batch: Batch) -> Tensor:
        if settings.teacher:
            return distillation_loss(network, batch, settings)
        if isinstance(network, Interleaved):
            return interleaved_loss(network, batch, stage, has_soft=has_soft)
        return segmentation_loss(network, batch, stage, has_soft=has_soft)

    _fit(
        training,
        "segmenter",
        network,
        stream,
        compute_loss,
        lambda network: score_segmenter(network, val, stage.fit.precision),
    )
    return ask_first(lambda: score_segmenter(network, val, "float32"))


def _build(
    training: Training,
    name: str,
    build: Callable[[TrainSettings], Network],
    stage: ClassifierSettings | SegmenterSettings,
) -> Network:
    """Build the network of a stage from the stage's seed, with pretrained weights where there are some."""
    settings = training.settings
    torch.manual_seed(stage.fit.seed)
    network = build(settings)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder, weights = settings.choose_encoder(stage), settings.choose_weights(stage)
    freeze = stage.freeze if name == "classifier" else bool(stage.freeze)
    logs = [prepare_encoder(each, encoder, weights, freeze) for each in network.list_encoders()]
    training.say(f"{name}: {logs[0]}" + (f", and {len(logs) - 1} more alike" if len(logs) > 1 else ""))
    return network


def _fit(
    training: Training,
    name: str,
    network: WeakMethod | Segmenter,
    stream: PatchStream | ExampleStream,
    compute_loss: ComputeLoss,
    validate: Validate,
) -> None:
    """Fit the network of a stage in the run folder, and draw the curves of its log."""
    settings = training.settings
    stage = settings.segmenter if name == "segmenter" else settings.classifier
    fit(
        network,
        stream.draw,
        compute_loss,
        validate,
        settings=stage.fit.turn_to_steps(len(stream)),
        folder=training.run.path,
        name=name,
        report=lambda progress: training.report(name, progress),
        tensorboard=settings.tensorboard,
    )
    if settings.curves:
        ask_first(lambda: training.say(draw_curves(training.run.path / f"{name}.csv")))
