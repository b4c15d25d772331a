"""Whether a model card can be believed: every field of the type and within the range that it must have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from glandseg.core.errors import show
from glandseg.core.units import is_believable
from glandseg.model.windows import SCALE_MAX, SCALE_MIN, STRIDE_PX, WINDOW_PX

if TYPE_CHECKING:
    from glandseg.model.card import ModelCard

KIND = "gland segmenter"
CLASSES = ("non-gland", "gland")
PRECISIONS = ("float32", "float16", "int8")
_MOST_SCALES = 16  # twice what the papers average
_TEXTS = ("name", "network", "tissue", "stain", "weights_sha256", "normalisation", "licence", "use")


class CardError(ValueError):
    """The metadata hold no card, or not one of a gland segmenter."""


def check_card(card: ModelCard) -> None:
    """Refuse a card of another kind of model, or with a field that cannot be.

    Raises:
        CardError: if it is one.
    """
    if card.kind != KIND:
        raise CardError(f"it is a {show(card.kind)}")
    if (card.window_px, card.stride_px) != (WINDOW_PX, STRIDE_PX):
        raise CardError(f"it wants windows of {show(card.window_px)} px every {show(card.stride_px)} px")
    if card.classes != CLASSES:
        raise CardError(f"its classes are {_list(card.classes)}")
    if not (_is_number(card.um_per_px) and is_believable(card.um_per_px)):
        raise CardError(f"its card asks for {show(card.um_per_px)} um/px")
    if card.precision not in PRECISIONS:
        raise CardError(f"its card's precision is {show(card.precision)}, not one of {', '.join(PRECISIONS)}")
    _check_scales(card.scales)
    _check_texts(card)
    _check_sources(card.training, card.scores)


def _check_scales(scales: Any) -> None:
    if not (isinstance(scales, tuple) and scales and all(map(_is_scale, scales))):
        raise CardError(f"its card's scales are {show(scales)}, not a list of {SCALE_MIN:g}..{SCALE_MAX:g}")
    if len(set(scales)) < len(scales) or len(scales) > _MOST_SCALES:
        raise CardError(f"its card's scales are {show(scales)}, not each once, and at most {_MOST_SCALES}")


def _check_texts(card: ModelCard) -> None:
    for name in _TEXTS:
        if not isinstance(value := getattr(card, name), str):
            raise CardError(f"its card's {name} is {show(value)}, not a text")
    if not isinstance(card.calibration, str | None):
        raise CardError(f"its card's calibration is {show(card.calibration)}, not a text")


def _check_sources(training: Any, scores: Any) -> None:
    if not (isinstance(training, tuple) and all(isinstance(source, Mapping | str) for source in training)):
        raise CardError(f"its card's training is {show(training)}, not a list of data sets")
    if scores is not None and not (
        isinstance(scores, Mapping) and all(isinstance(score, Mapping) for score in scores.values())
    ):
        raise CardError(f"its card's scores are {show(scores)}, not of each test its figures")


def _is_scale(value: Any) -> bool:
    return _is_number(value) and SCALE_MIN <= value <= SCALE_MAX


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(values: Any) -> str:
    return show(", ".join(map(show, values)) if isinstance(values, tuple) else values)
