"""The two stages of a training, each fitted in a run folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.data.patches import Patch, count_presence
from glandseg.training.distill.distillation import distillation_loss
from glandseg.training.factory import build_classifier, build_segmenter
from glandseg.training.loop.curves import draw_curves
from glandseg.training.loop.fit import ComputeLoss, Progress, fit
from glandseg.training.loop.processes import ask_first
from glandseg.training.networks.hub import refuse_missing
from glandseg.training.networks.pretrained import prepare_encoder
from glandseg.training.networks.weights import load_weights
from glandseg.training.run import Run, open_run
from glandseg.training.segmenter import Example, ExampleStream, score_segmenter, segmentation_loss
from glandseg.training.settings import TrainSettings
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.patch_stream import PatchStream

Report = Callable[[str, Progress], None]
Say = Callable[[str], None]


def refuse_idle_weights(settings: TrainSettings) -> None:
    """Refuse pretrained weights that no stage would take, because each has another encoder.

    Raises:
        BadInputError: if there are such.
    """
    stages = (settings.segmenter, *((settings.classifier,) if settings.labels == "patches" else ()))
    if settings.weights and settings.weights not in map(settings.choose_weights, stages):
        raise BadInputError(
            f"weights {settings.weights}: no stage has the encoder {settings.encoder}. "
            "Give --set classifier.weights=FILE or segmenter.weights=FILE."
        )


def refuse_missing_sources(settings: TrainSettings) -> None:
    """Refuse weights files and a run to start from that are not there.

    Raises:
        BadInputError: Naming the first.
    """
    for stage in (settings.segmenter, *((settings.classifier,) if settings.labels == "patches" else ())):
        weights = settings.choose_weights(stage)
        if weights:
            refuse_missing(weights, settings.choose_encoder(stage))
    if settings.start_from:
        open_run(Path(settings.start_from))


def fit_classifier(
    run: Run,
    train: Sequence[Patch],
    val: Sequence[Patch],
    images: Sequence[NDArray[np.uint8]],
    settings: TrainSettings,
    report: Report,
    say: Say,
) -> WeakMethod:
    """Fit the classifier of a run."""
    stage = settings.classifier
    torch.manual_seed(stage.fit.seed)
    classifier = build_classifier(settings)
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder, weights = settings.choose_encoder(stage), settings.choose_weights(stage)
    say(f"classifier: {prepare_encoder(classifier.encoder, encoder, weights, stage.freeze)}")
    say(f"classifier: {len(train)} patches, {count_presence(train)}")
    stream = PatchStream(train, images, stage)
    fit(
        classifier,
        stream.draw,
        lambda _, batch: classifier.compute_loss(batch),
        lambda _: classifier.score(val, images, stage),
        settings=stage.fit.turn_to_steps(len(stream)),
        folder=run.path,
        name="classifier",
        report=lambda progress: report("classifier", progress),
        tensorboard=settings.tensorboard,
    )
    show_curves(run, "classifier", settings, say)
    return classifier


def fit_segmenter(
    run: Run,
    examples: Sequence[Example],
    val: Sequence[Example],
    settings: TrainSettings,
    report: Report,
    say: Say,
) -> dict[str, float]:
    """Fit the segmenter of a run and give its scores on `val`."""
    stage = settings.segmenter
    torch.manual_seed(stage.fit.seed)
    network = build_segmenter(settings)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    encoder, weights = settings.choose_encoder(stage), settings.choose_weights(stage)
    say(f"segmenter: {prepare_encoder(network.encoder, encoder, weights, stage.freeze)}")
    if settings.start_from:
        earlier = open_run(Path(settings.start_from)).segmenter_path
        say(f"{settings.start_from}: {load_weights(network, earlier)}")
    stream = ExampleStream(examples, stage)
    fit(
        network,
        stream.draw,
        choose_loss(settings),
        lambda network: score_segmenter(network, val, stage.fit.precision),
        settings=stage.fit.turn_to_steps(len(stream)),
        folder=run.path,
        name="segmenter",
        report=lambda progress: report("segmenter", progress),
        tensorboard=settings.tensorboard,
    )
    show_curves(run, "segmenter", settings, say)
    return ask_first(lambda: score_segmenter(network, val, "float32"))


def choose_loss(settings: TrainSettings) -> ComputeLoss:
    """Choose what the segmenter is fitted by: a teacher's probabilities where there is one, else masks."""
    stage = settings.segmenter
    if settings.teacher:
        return lambda network, batch: distillation_loss(network, batch, settings)
    return lambda network, batch: segmentation_loss(
        network, batch, stage.auxiliary, stage.loss, stage.warmup_plain
    )


def show_curves(run: Run, stage: str, settings: TrainSettings, say: Say) -> None:
    """Draw a stage's log where the settings want it."""
    if settings.curves:
        ask_first(lambda: say(draw_curves(run.path / f"{stage}.csv")))
