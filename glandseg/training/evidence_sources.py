"""The sources of evidence that the settings of stage 1 name: checked before a training, opened for masks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.core.errors import BadInputError
from glandseg.model.files import BUNDLED as BUNDLED_FILE
from glandseg.training.data.patches import Patch, count_presence
from glandseg.training.distill.teacher import Teacher, identify_model, open_teacher
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.networks.build import build_encoder
from glandseg.training.networks.pretrained import prepare_encoder
from glandseg.training.paths import is_file, is_folder
from glandseg.training.settings import BUNDLED, CLASSIFIER, PROBE, ClassifierSettings, TrainSettings
from glandseg.training.weak.activation_maps import ActivationMaps
from glandseg.training.weak.evidence import Evidence
from glandseg.training.weak.method import WeakMethod
from glandseg.training.weak.model_evidence import ModelEvidence
from glandseg.training.weak.probe import Probe, fit_probe

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
        choose_probe_weights(settings)
    return {name: identify_model(_find_path(name)) for name in sources if name not in (CLASSIFIER, PROBE)}


def describe_evidence(
    settings: TrainSettings, models: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return what a run's record keeps of its sources: name, weight, and facts of models."""
    weights = settings.classifier.weigh_sources()
    return [{"source": name, "weight": weight, **models.get(name, {})} for name, weight in weights.items()]


def choose_probe_weights(settings: TrainSettings) -> str:
    """Return the pretrained weights of a probe's encoder: those of the settings, else of the bundled model.

    Raises:
        BadInputError: If there are none for this encoder.
    """
    encoder, weights = (
        choose(settings.classifier) for choose in (settings.choose_encoder, settings.choose_weights)
    )
    if weights is None and encoder != BUNDLED_ENCODER:
        raise BadInputError(
            f"classifier.evidence {PROBE}: needs pretrained weights of {encoder}, which has none bundled. "
            f"Give --set classifier.weights=FILE, or --set classifier.encoder={BUNDLED_ENCODER}."
        )
    return weights or str(BUNDLED_FILE)


def judge_evidence(settings: ClassifierSettings, agreement: Sequence[Sequence[Confusion]]) -> Iterator[str]:
    """Yield a line on how far each source agrees with the labels, and a note where it hardly does.

    Args:
        settings: Settings of stage 1.
        agreement: For each image, the counts of each source at the pixels that labels alone decide.
    """
    for name, counts in zip(settings.weigh_sources(), zip(*agreement, strict=True), strict=True):
        share = 100 * sum(counts, Confusion.empty()).balanced
        yield f"{name}: without labels right at {share:.0f} % of the pixels that labels alone decide"
        if share < LEAST_AGREEMENT:
            yield f"note: {name} knows little of this tissue. Leave it out: --set classifier.evidence=[...]"


@contextlib.contextmanager
def open_evidence(
    settings: TrainSettings,
    classifier: WeakMethod | None,
    images: Sequence[NDArray[np.uint8]],
    patches: Sequence[Patch],
    um_per_px: float,
    say: Say,
) -> Iterator[list[Evidence]]:
    """Open the sources of evidence for a block, in the order of the settings.

    Args:
        settings: Settings of the run.
        classifier: Trained classifier, if it is a source.
        images: Images that a probe is fitted to.
        patches: Patches of these images.
        um_per_px: Microns per pixel of the images.
        say: Called with each line of the console log.

    Raises:
        BadInputError: If a probe has nothing to be fitted to.
    """
    with contextlib.ExitStack() as held:
        sources: list[Evidence] = []
        for name in settings.classifier.weigh_sources():
            if name == PROBE:
                sources.append(_fit_probe(settings, images, patches, say))
            elif name != CLASSIFIER:
                model = held.enter_context(open_teacher(_find_path(name)))
                sources.append(ModelEvidence(model=model, um_per_px=um_per_px))
            elif classifier is not None:
                sources.append(ActivationMaps(classifier, settings.classifier))
        yield sources


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
) -> Probe:
    stage = settings.classifier
    name = settings.choose_encoder(stage)
    encoder = build_encoder(name, PROBE_STRIDE)
    say(f"{PROBE}: {prepare_encoder(encoder, name, choose_probe_weights(settings), stage.freeze)}")
    try:
        return fit_probe(encoder, images, patches, stage.fit.seed)
    except ValueError:
        raise BadInputError(
            f"classifier.evidence {PROBE}: needs patches of only gland and of only non-gland. "
            f"Received: {count_presence(patches)}. Add some, or give --set classifier.evidence=[{BUNDLED}]."
        ) from None
