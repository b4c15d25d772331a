"""The sources of evidence that the settings of stage 1 name: checked before a training, opened for masks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.model.files import BUNDLED as BUNDLED_FILE
from glandseg.training.classifier_settings import BUNDLED, CLASSIFIER, PROBE
from glandseg.training.data.datasets import DataSet
from glandseg.training.data.patches import Patch, count_presence
from glandseg.training.data.splits import Split
from glandseg.training.distill.teacher import Teacher, identify_model, open_teacher
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.factory import build_segmenter
from glandseg.training.networks.build import build_encoder
from glandseg.training.networks.exported_weights import load_exported
from glandseg.training.networks.pretrained import prepare_encoder
from glandseg.training.paths import is_file, is_folder
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.torch_backend import to_images
from glandseg.training.weak.activation_maps import ActivationMaps, LayerMaps, SharedMaps
from glandseg.training.weak.evidence import Evidence
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.model_evidence import ModelEvidence
from glandseg.training.weak.probe import Probe, fit_probe
from glandseg.training.weak.pseudo_masks import LAYER

BUNDLED_ENCODER = "mobilenetv2"
LEAST_AGREEMENT = 75.0  # percent of balanced accuracy; a coin has 50
PROBE_STRIDE = 16  # of its encoder: 8 costs 2.6 times as much, and gains 0.4 points of mIoU or less


def find_models(settings: TrainSettings) -> dict[str, Teacher]:
    """Open and close the models among the sources of evidence; return what they are, by source.

    Raises:
        BadInputError: If one is missing, unfinished or damaged, or a probe has no pretrained encoder.
    """
    sources = settings.classifier.weigh_sources() if settings.labels == "patches" else {}
    if PROBE in sources:
        _refuse_random_encoder(settings)
    return {name: identify_model(_find_path(name)) for name in sources if name not in (CLASSIFIER, PROBE)}


def describe_evidence(
    settings: TrainSettings, models: Mapping[str, Teacher], data_set: DataSet, split: Split
) -> list[dict[str, Any]]:
    """Return what a run's record keeps of its sources: name, weight, and what is known of a model."""
    return [
        {"source": name, "weight": weight}
        | (models[name].describe(data_set, split) if name in models else {})
        for name, weight in settings.classifier.weigh_sources().items()
    ]


def judge_evidence(agreement: Sequence[Mapping[str, Confusion]]) -> Iterator[str]:
    """Yield a line on how far each source agrees with the labels, and a note where it hardly does.

    Args:
        agreement: For each image, by source, the counts at the pixels that labels alone decide.
    """
    for name in agreement[0]:
        total = sum((counts[name] for counts in agreement), Confusion.empty())
        if not total.counts.any():
            continue
        share = 100 * total.balanced
        yield f"{name}: without labels right at {share:.0f} % of the pixels that labels alone decide"
        if share < LEAST_AGREEMENT:
            yield f"note: {name} knows little of this tissue. Leave it out: --set classifier.evidence=[...]"


def weigh_layers(classifier: WeakMethod | None) -> dict[str, float]:
    """Return the weights of a classifier's layers by their names as sources; empty for a single layer."""
    weights = classifier.layer_weights if classifier else ()
    named = {f"{LAYER}{number}": weight for number, weight in enumerate(weights, 1)}
    return named if len(named) > 1 else {}


@contextlib.contextmanager
def open_evidence(
    settings: TrainSettings,
    classifier: WeakMethod | None,
    images: Sequence[NDArray[np.uint8]],
    patches: Sequence[Patch],
    um_per_px: float,
    say: Say,
) -> Iterator[dict[str, Evidence]]:
    """Open the sources of evidence for a block, by name.

    A probe that has nothing to be fitted to is left out, with a note, if there is another source. Each layer
    of a classifier with several is a source of its own.

    Args:
        settings: Settings of the run.
        classifier: Trained classifier, if it is a source.
        images: Images that a probe is fitted to.
        patches: Patches of these images.
        um_per_px: Microns per pixel of the images.
        say: Called with each line of the console log.

    Raises:
        BadInputError: If no source is left.
    """
    with contextlib.ExitStack() as held:
        sources: dict[str, Evidence] = {}
        for name in settings.classifier.weigh_sources():
            if name == PROBE:
                if probe := _fit_probe(settings, images, patches, say):
                    sources[name] = probe
            elif name != CLASSIFIER:
                model = held.enter_context(open_teacher(_find_path(name)))
                sources[name] = ModelEvidence(model=model, um_per_px=um_per_px)
            elif classifier is not None:
                sources |= _open_classifier(classifier, settings)
        if not sources:
            raise BadInputError(
                f"classifier.evidence {PROBE}: needs patches of only gland and of only non-gland. "
                f"Received: {count_presence(patches)}. Add some, or add {BUNDLED} to classifier.evidence."
            )
        yield sources


def _open_classifier(classifier: WeakMethod, settings: TrainSettings) -> dict[str, Evidence]:
    """Return a classifier's activation maps as a source, or those of each of its layers."""
    maps = ActivationMaps(classifier, settings.classifier)
    if not (layers := weigh_layers(classifier)):
        return {CLASSIFIER: maps}
    shared = SharedMaps(maps)
    return {name: LayerMaps(shared, place) for place, name in enumerate(layers)}


def _refuse_random_encoder(settings: TrainSettings) -> None:
    encoder = settings.choose_encoder(settings.classifier)
    if settings.choose_weights(settings.classifier) is None and encoder != BUNDLED_ENCODER:
        raise BadInputError(
            f"classifier.evidence {PROBE}: needs pretrained weights of {encoder}, which has none bundled. "
            f"Give --set classifier.weights=FILE, or --set classifier.encoder={BUNDLED_ENCODER}."
        )


def _find_path(source: str) -> Path:
    path = BUNDLED_FILE if source == BUNDLED else Path(source)
    if not (is_file(path) or is_folder(path)):
        raise BadInputError(
            f"classifier.evidence {source[:200]}: no such source. Give {CLASSIFIER}, {PROBE}, {BUNDLED}, "
            "or the path of a model file or a run folder."
        )
    return path


def _fit_probe(
    settings: TrainSettings, images: Sequence[NDArray[np.uint8]], patches: Sequence[Patch], say: Say
) -> Probe | None:
    stage = settings.classifier
    name, weights = settings.choose_encoder(stage), settings.choose_weights(stage)
    if weights:
        encoder = build_encoder(name, PROBE_STRIDE)
        log = prepare_encoder(encoder, name, weights, stage.freeze)
    else:
        whole = build_segmenter(TrainSettings(segmenter=SegmenterSettings(output_stride=PROBE_STRIDE)))
        shown = torch.from_numpy(images[0][None])
        log = f"{BUNDLED_FILE.name}: {load_exported(whole, BUNDLED_FILE, to_images(shown))}"
        encoder = whole.encoder
    say(f"{PROBE}: {log}")
    try:
        return fit_probe(encoder, images, patches, stage.fit.seed)
    except ValueError:
        say(f"note: no {PROBE}, it needs patches of only gland and of only non-gland")
        return None
