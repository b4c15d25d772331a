"""The model card: purpose of a network, its input, training data and scores; and whether it is believable.

A card comes out of a file that a stranger may have written, and its values end in messages, reports and
buffer sizes. So every field is checked for type and range before anything uses it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from glandseg import RESEARCH_USE
from glandseg.core.errors import shorten, show
from glandseg.core.json_text import parse_json
from glandseg.core.units import is_believable
from glandseg.model.separation import Separation
from glandseg.model.windows import SCALE_MAX, SCALE_MIN, STRIDE_PX, WINDOW_PX

METADATA_KEY = "glandseg.card"
KIND = "gland segmenter"
CLASSES = ("non-gland", "gland")
CLASSES_WITH_CORE = (*CLASSES, "core")  # the inside of a gland, away from its border: not a class beside them
GLAND, CORE = 1, 2  # indices in both
PRECISIONS = ("float32", "float16", "int8")
_MAX_SCALES = 16  # twice what the papers average
_TEXTS = ("name", "network", "tissue", "stain", "weights_sha256", "normalisation", "licence", "use")


class CardError(ValueError):
    """The metadata hold no card of a gland segmenter."""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What a model file states of its model.

    Attributes:
        name: Name of the model.
        network: Architecture, in words.
        tissue: Tissue that it was trained on.
        stain: Stain of that tissue.
        um_per_px: Resolution at which windows must be cut, in um/px.
        scales: Magnifications that are averaged by default.
        training: Name, licence and attribution of each data set and of pretrained weights; or the name alone.
        scores: By name of the test: mIoU and F1 in percent, and the command that measured them.
        weights_sha256: Hash of the trained weights that the graph holds.
        precision: Precision of the graph, "float32", "float16" or "int8".
        calibration: Images on which the ranges of an int8 graph were measured.
        classes: Names of the output's channels: `CLASSES`, or `CLASSES_WITH_CORE`.
        separation: How touching glands are told apart; None leaves them together.
        window_px: Side of a window, in px.
        stride_px: Distance between windows, in px.
        normalisation: Normalisation of the pixels, which the graph does itself.
        licence: Licence of the model.
        use: Purpose that it may be used for.
        kind: Kind of model.
    """

    name: str
    network: str
    tissue: str
    stain: str = "H&E"
    um_per_px: float
    scales: tuple[float, ...] = (1.0,)
    training: tuple[Mapping[str, str], ...] = ()
    scores: Mapping[str, Mapping[str, Any]] | None = None
    weights_sha256: str
    precision: str = "float32"
    calibration: str | None = None
    classes: tuple[str, ...] = CLASSES
    separation: Separation | None = None
    window_px: int = WINDOW_PX
    stride_px: int = STRIDE_PX
    normalisation: str = "inside the graph: RGB / 255, ImageNet mean and standard deviation"
    licence: str = "Apache-2.0"
    use: str = RESEARCH_USE
    kind: str = KIND

    def to_metadata(self) -> dict[str, str]:
        """Return the ONNX metadata that hold this card, without fields that are None."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        return {METADATA_KEY: json.dumps(values, sort_keys=True)}


def read_card(metadata: Mapping[str, str]) -> ModelCard:
    """Read the card from ONNX metadata.

    Raises:
        CardError: if it is missing, not a gland segmenter's, or a field is outside its type or range.
    """
    if METADATA_KEY not in metadata:
        raise CardError(f"its metadata lack {METADATA_KEY}")
    try:
        values = parse_json(metadata[METADATA_KEY])
        known = {field.name for field in fields(ModelCard)}
        values = {key: _freeze(value) for key, value in values.items() if key in known}
        if (rule := values.get("separation")) is not None:
            values["separation"] = Separation(**rule)
        card = ModelCard(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise CardError(f"its card cannot be read ({shorten(error)})") from None
    _check_card(card)
    return card


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _check_card(card: ModelCard) -> None:
    """Refuse a card of another kind of model, or with a field outside its type or range."""
    if card.kind != KIND:
        raise CardError(f"it is a {show(card.kind)}")
    if (card.window_px, card.stride_px) != (WINDOW_PX, STRIDE_PX):
        raise CardError(f"it wants windows of {show(card.window_px)} px every {show(card.stride_px)} px")
    if card.classes not in (CLASSES, CLASSES_WITH_CORE):
        raise CardError(f"its classes are {_list(card.classes)}")
    if card.separation and card.separation.channel not in card.classes:
        raise CardError(f"its glands are separated by a channel that it lacks, {card.separation.channel}")
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
    if len(set(scales)) < len(scales) or len(scales) > _MAX_SCALES:
        raise CardError(f"its card's scales are {show(scales)}, not each once, and at most {_MAX_SCALES}")


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
