"""The card travels in a model's metadata and comes back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from glandseg.model.card import CLASSES_WITH_CORE, METADATA_KEY, CardError, ModelCard, read_card
from glandseg.model.separation import Separation

CARD = ModelCard(
    name="µ",
    network="net",
    tissue="colon",
    um_per_px=1.4,
    scales=(0.75, 1.0),
    training=({"name": "set", "licence": "CC BY 4.0"},),
    scores={"test": {"miou": 80.5}},
    weights_sha256="0" * 64,
)


RULE = {"channel": "gland", "threshold": 0.75, "reach_um": 10.0}


def change(**values: Any) -> dict[str, str]:
    return {METADATA_KEY: json.dumps(json.loads(CARD.to_metadata()[METADATA_KEY]) | values)}


def test_a_card_comes_back() -> None:
    assert read_card(CARD.to_metadata()) == CARD


def test_a_rule_of_separation_comes_back() -> None:
    rule = Separation(channel="core", threshold=0.5, reach_um=10.0)
    card = replace(CARD, classes=CLASSES_WITH_CORE, separation=rule)
    assert read_card(card.to_metadata()) == card


def test_what_a_later_version_adds_is_ignored() -> None:
    assert read_card(change(color="red")) == CARD


def test_the_same_card_gives_the_same_text() -> None:
    assert CARD.to_metadata() == read_card(CARD.to_metadata()).to_metadata()


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "lack glandseg.card"),
        ({METADATA_KEY: "no json"}, "cannot be read"),
        ({METADATA_KEY: "{}"}, "cannot be read"),
        ({METADATA_KEY: "3"}, "cannot be read"),
        (change(kind="classifier"), "it is a classifier"),
        (change(window_px=256), "windows of 256 px every 256 px"),
        (change(classes=["gland"]), "its classes are gland"),
        (change(classes=["non-gland", "gland", "border"]), "its classes are non-gland, gland, border"),
        (change(separation=3), "cannot be read"),
        (change(separation={}), "cannot be read"),
        (change(separation=RULE | {"threshold": 0}), "threshold: above 0 and up to 1, not 0"),
        (change(separation=RULE | {"threshold": True}), "threshold: above 0"),
        (change(separation=RULE | {"reach_um": 1e9}), "reach_um: above 0 and up to 50"),
        (change(separation=RULE | {"channel": ["gland"]}), "channel: gland or core"),
        (change(separation=RULE | {"channel": "core"}), "a channel that it lacks, core"),
        (change(um_per_px=-1.4), "asks for -1.4 um/px"),
        (change(um_per_px=None), "asks for None um/px"),
        (change(scales=[]), "scales are"),
        (change(scales=[0]), "scales are"),
        (change(scales=["1"]), "scales are"),
        (change(scales=1), "scales are"),
        (change(scales=[1, 1.0]), "not each once"),
        (change(scales=[3] * 200), "not each once"),
        (change(scales=[True]), "scales are"),
        (change(scales=[1 + k / 100 for k in range(17)]), "at most 16"),
        (change(um_per_px=True), "asks for True um/px"),
        (change(um_per_px=10**400), "asks for"),
        (change(window_px="320"), "windows of 320 px"),
        (change(precision="float64"), "precision is float64"),
        (change(precision=[]), "precision is"),
        (change(name=7), "name is 7, not a text"),
        (change(name=None), "name is None, not a text"),
        (change(weights_sha256=["a"]), "weights_sha256 is"),
        (change(tissue={"a": 1}), "tissue is"),
        (change(calibration=3), "calibration is 3"),
        (change(training="a set"), "training is a set"),
        (change(training=[3]), "training is"),
        (change(scores=["a"]), "scores are"),
        (change(scores=90.1), "scores are 90.1"),
        (change(scores={"test": 90.1}), "scores are"),
        ({METADATA_KEY: "[" * 100_000}, "nested too deep"),
        ({METADATA_KEY: CARD.to_metadata()[METADATA_KEY].replace("colon", "\\ud800")}, "half a character"),
        ({METADATA_KEY: CARD.to_metadata()[METADATA_KEY].replace("1.4", "NaN")}, "not a number"),
    ],
)
def test_what_is_no_card_of_a_segmenter(metadata: dict[str, str], says: str) -> None:
    with pytest.raises(CardError, match=says):
        read_card(metadata)


def test_what_a_card_says_cannot_write_to_the_terminal() -> None:
    for field in ("kind", "precision", "scales", "classes", "um_per_px"):
        with pytest.raises(CardError) as raised:
            read_card(change(**{field: "x\n\x1b[2Jerror: fake \u202e" + "y" * 5000}))
        assert str(raised.value).isprintable()
        assert len(str(raised.value)) < 300
