"""Methods are found by name or settings file, and differ from each other in what makes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.comparison.method_table import (
    ALL,
    COMPARED,
    find_methods,
    name_method,
    rank_method,
)
from glandseg.training.settings_file import read_preset
from glandseg.training.weak.method_table import METHODS

EDGE = read_preset("edge")


def test_all_methods_learn_from_patch_labels_but_the_upper_bound() -> None:
    found = find_methods([ALL], EDGE)
    assert list(found) == list(COMPARED)
    for name, settings in found.items():
        assert settings.labels == ("outlines" if name == "outlines" else "patches")
        assert settings.classifier.evidence == ("classifier",)
        assert settings.encoder == EDGE.encoder and settings.segmenter.fit == EDGE.segmenter.fit


@pytest.mark.parametrize("preset", ["feng", "feng-224", "oeem"])
def test_the_papers_networks_can_be_compared_too(preset: str) -> None:
    base = read_preset(preset)
    found = find_methods([ALL], base)
    assert {settings.classifier.encoder for settings in found.values()} == {base.classifier.encoder}
    assert {settings.classifier.fit for settings in found.values()} == {base.classifier.fit}


def test_every_method_of_the_package_is_compared() -> None:
    found = find_methods([ALL], EDGE)
    assert {settings.classifier.method for settings in found.values()} == set(METHODS)


def test_the_papers_modules_are_settings() -> None:
    found = find_methods(["feng", "oeem", "oeem-cca-mpfp", "hamil", "hamil-cca-mpfp"], EDGE)
    losses = {name: settings.segmenter.loss for name, settings in found.items()}
    assert losses == {
        "feng": "plf",
        "oeem": "l_norm",
        "oeem-cca-mpfp": "l_norm",
        "hamil": "plain",
        "hamil-cca-mpfp": "plain",
    }
    for name in ("feng", "oeem-cca-mpfp", "hamil-cca-mpfp"):
        stage = found[name].classifier
        assert stage.attention == ("cca", "cca", "cca") and stage.pooling == "mpfp"
    assert found["hamil"].classifier.pooling == "gap"


def test_a_settings_file_is_a_method(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("classifier: {method: seam}\nsegmenter: {loss: plf}\n", encoding="utf-8")
    found = find_methods(["cam", str(path)], EDGE)
    assert list(found) == ["cam", "mine"]
    mine = found["mine"]
    assert (mine.classifier.method, mine.segmenter.loss, mine.labels) == ("seam", "plf", "patches")
    assert name_method("mine") == "mine" and name_method("cam").startswith("CAM")
    assert sorted(["mine", "feng", "outlines"], key=rank_method) == ["outlines", "feng", "mine"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nothing"], r"--methods: all, outlines, .*Received: nothing"),
        (["cam", "cam"], r"each name once.*Received: cam"),
        (["seam.yaml"], r"each name once.*Received: seam"),
        (["lacking.yaml"], r"lacking.yaml"),
        ([], r"--methods: one or more"),
    ],
)
def test_unusable_names_are_refused(names: list[str], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        find_methods(names, EDGE)
