"""From settings to networks: the one place that knows how those of both stages are built."""

from __future__ import annotations

import pkgutil

from glandseg.training.loop.checkpoint import load_network
from glandseg.training.networks.build import build_decoder, build_encoder
from glandseg.training.networks.decoder import Segmenter
from glandseg.training.networks.interleaved import Interleaved
from glandseg.training.networks.table import NORMALIZATIONS
from glandseg.training.run import Run
from glandseg.training.settings import TrainSettings
from glandseg.training.torch_backend import CLASSES
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.method_table import METHODS


def build_classifier(settings: TrainSettings) -> WeakMethod:
    """Build the classifier of stage 1, randomly initialised."""
    stage = settings.classifier
    encoder = build_encoder(settings.choose_encoder(stage), stage.output_stride, stage.last_dilation)
    encoder.mean, encoder.std = NORMALIZATIONS[stage.normalize]
    return load_method(stage.method)(encoder, stage)


def load_method(name: str) -> type[WeakMethod]:
    """Return the class of a weakly supervised method, a key of `METHODS`."""
    method: type[WeakMethod] = pkgutil.resolve_name(METHODS[name])
    return method


def load_classifier(run: Run) -> WeakMethod:
    """Build a run's classifier in evaluation mode and read its weights.

    Raises:
        BadInputError: If the weights are missing, damaged or do not fit the run's settings.
    """
    classifier = build_classifier(run.settings).eval()
    load_network(run.classifier_path, classifier)
    return classifier


def build_segmenter(settings: TrainSettings) -> Segmenter:
    """Build the segmenter of stage 2, randomly initialised."""
    members = [_build_member(settings) for _ in range(settings.segmenter.members)]
    return members[0] if len(members) == 1 else Interleaved(members)


def _build_member(settings: TrainSettings) -> Segmenter:
    stage = settings.segmenter
    return build_decoder(
        stage.decoder,
        build_encoder(settings.choose_encoder(stage), stage.output_stride),
        outputs=CLASSES + (stage.core_um is not None),
        bins=stage.bins,
        width=stage.width,
        dropout=stage.dropout,
        skip=stage.skip,
    )


def load_segmenter(run: Run) -> Segmenter:
    """Build a run's segmenter in evaluation mode and read its weights.

    Raises:
        BadInputError: If the weights are damaged or do not fit the run's settings.
    """
    segmenter = build_segmenter(run.settings).eval()
    load_network(run.segmenter_path, segmenter)
    return segmenter
