"""The model card: what a network is for, how it must be fed, what it learned from and how well it does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from glandseg import RESEARCH_USE
from glandseg.core.errors import shorten
from glandseg.core.json_text import parse_json
from glandseg.model.card_check import CLASSES, KIND, CardError, check_card
from glandseg.model.windows import STRIDE_PX, WINDOW_PX

GLAND = 1  # the class's index among (non-gland, gland)


__all__ = ["CLASSES", "KIND", "METADATA_KEY", "CardError", "ModelCard", "read_card"]

METADATA_KEY = "glandseg.card"


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What travels inside a model file.

    Attributes:
        name: of the model.
        network: what it is, in words.
        tissue: on which it was learned.
        stain: of that tissue.
        um_per_px: at which windows must be cut.
        scales: enlargements that are averaged unless others are asked for.
        training: of each data set or pretrained weights: name, licence, attribution; or its name alone.
        scores: by name of the test: mIoU and F1 in percent, and the command that measured them.
        weights_sha256: of the trained weights that the graph holds.
        precision: "float32", "float16" or "int8", of the graph.
        calibration: of an int8 graph: on what its ranges were measured.
        classes: by index.
        window_px: side of a window.
        stride_px: between windows.
        normalisation: of the pixels, which the graph does itself.
        licence: of the model.
        use: what it may be used for.
        kind: what kind of model it is.
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
    window_px: int = WINDOW_PX
    stride_px: int = STRIDE_PX
    normalisation: str = "inside the graph: RGB / 255, ImageNet mean and standard deviation"
    licence: str = "Apache-2.0"
    use: str = RESEARCH_USE
    kind: str = KIND

    def to_metadata(self) -> dict[str, str]:
        """Give the ONNX metadata that hold this card; what is none is left out."""
        values = {key: value for key, value in asdict(self).items() if value is not None}
        return {METADATA_KEY: json.dumps(values, sort_keys=True)}


def read_card(metadata: Mapping[str, str]) -> ModelCard:
    """Read the card from ONNX metadata.

    Raises:
        CardError: if there is none, it is not a gland segmenter's, or it asks for what cannot be.
    """
    if METADATA_KEY not in metadata:
        raise CardError(f"its metadata lack {METADATA_KEY}")
    try:
        values = parse_json(metadata[METADATA_KEY])
        known = {field.name for field in fields(ModelCard)}
        values = {key: _freeze(value) for key, value in values.items() if key in known}
        card = ModelCard(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise CardError(f"its card cannot be read ({shorten(error)})") from None
    check_card(card)
    return card


def _freeze(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
