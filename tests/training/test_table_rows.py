"""Every row of the papers' tables is a setting: each builds, at full size but without memory."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glandseg.core.errors import BadInputError
from glandseg.training.factory import build_classifier, build_segmenter
from glandseg.training.losses import SCHEMES
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings, read_preset, read_settings, write_settings
from glandseg.training.weak.attention import ATTENTIONS
from glandseg.training.weak.feng import Feng

CCA = "classifier.attention=[cca, cca, cca]"
NO_CCA = "classifier.attention=[none, none, none]"
MPFP, GAP = "classifier.pooling=mpfp", "classifier.pooling=gap"
PLAIN, PLF = "segmenter.loss=plain", "segmenter.loss=plf"


def pool(sizes: str, fusion: str) -> list[str]:
    """Set sizes and fusion so that each is valid when it is set."""
    return [f"classifier={{sizes: {sizes}, fusion: {fusion}}}"]


ROWS = {
    # Feng Table 2: the parts, from the baseline to the whole.
    "feng 2 baseline": ("feng", [NO_CCA, GAP, PLAIN]),
    "feng 2 CCA": ("feng", [CCA, GAP, PLAIN]),
    "feng 2 MPFP": ("feng", [NO_CCA, MPFP, PLAIN]),
    "feng 2 CCA, MPFP": ("feng", [CCA, MPFP, PLAIN]),
    "feng 2 CCA, MPFP, PLF": ("feng", []),
    # Feng Table 3: which attention, and after which stage.
    "feng 3 once": ("feng", ["classifier.attention=[criss-cross, criss-cross, criss-cross]"]),
    "feng 3 twice": (
        "feng",
        ["classifier.attention=[criss-cross-twice, criss-cross-twice, criss-cross-twice]"],
    ),
    "feng 3 stage 4": ("feng", ["classifier.attention=[cca, none, none]"]),
    "feng 3 stage 5": ("feng", ["classifier.attention=[none, cca, none]"]),
    "feng 3 stage 6": ("feng", ["classifier.attention=[none, none, cca]"]),
    # Feng Table 4: the pyramid.
    "feng 4 P2": ("feng", pool("[2]", "none")),
    "feng 4 P4": ("feng", pool("[4]", "none")),
    "feng 4 P8": ("feng", pool("[8]", "none")),
    "feng 4 P16": ("feng", pool("[16]", "none")),
    "feng 4 P2, P4": ("feng", pool("[2, 4]", "average")),
    "feng 4 P2, P4, P8": ("feng", pool("[2, 4, 8]", "average")),
    "feng 4 averaged": ("feng", pool("[2, 4, 8, 16]", "average")),
    # OEEM Table 3: the losses.
    **{
        f"oeem 3 {loss}": ("oeem", [f"segmenter.loss={loss}"])
        for loss in ("plain", "ohem", "c_max", "c_diff", "l_norm", "lc_mix")
    },
    # One method's parts in the other.
    "CCA and MPFP on OEEM": ("oeem", [CCA, MPFP]),
    "OEEM's loss on Feng": ("feng", ["segmenter.loss=l_norm"]),
}


@pytest.mark.parametrize("row", ROWS)
def test_a_row_builds(row: str) -> None:
    preset, assignments = ROWS[row]
    settings = override_settings(read_preset(preset), assignments)
    with torch.device("meta"):
        classifier = build_classifier(settings)
    assert isinstance(classifier, Feng)
    kinds = [ATTENTIONS[kind](8).state_dict().keys() for kind in settings.classifier.attention]
    assert [part.state_dict().keys() for part in classifier.attentions.children()] == kinds
    fusions = [name for name in classifier.state_dict() if name.startswith("pooling.fusions")]
    whole = settings.classifier.pooling == "mpfp" and settings.classifier.fusion == "sign-preserving"
    assert len(fusions) == (6 if whole else 0)
    assert classifier.encoder.channels == (128, 256, 512, 1024, 4096)
    assert settings.segmenter.loss in SCHEMES


@pytest.mark.parametrize(("preset", "channels"), [("feng", 2048), ("oeem", 4096)])
def test_their_segmenters_build(preset: str, channels: int) -> None:
    with torch.device("meta"):
        segmenter = build_segmenter(read_preset(preset))
    assert (segmenter.encoder.channels[-1], segmenter.encoder.strides[-1]) == (channels, 8)


def test_no_two_rows_are_the_same() -> None:
    settings = [override_settings(read_preset(preset), row) for preset, row in ROWS.values()]
    same = [name for name, each in zip(ROWS, settings, strict=True) if settings.count(each) > 1]
    assert same == []


def test_edge_is_the_default_with_cores() -> None:
    assert read_preset("edge") == override_settings(TrainSettings(), ["segmenter.core_um=5"])
    for paper in ("feng", "oeem"):
        assert read_preset(paper).segmenter.core_um is None


def test_a_file_goes_over_a_preset_and_an_assignment_over_both(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("segmenter: {loss: l_norm, fit: {steps: 7}}\n", encoding="utf-8")
    settings = override_settings(read_settings(path, read_preset("feng")), ["segmenter.loss=ohem"])
    assert (settings.segmenter.loss, settings.segmenter.fit.steps, settings.segmenter.fit.epochs) == (
        "ohem",
        7,
        None,
    )
    assert settings.segmenter.encoder == "resnest200"
    write_settings(path, settings)
    assert read_settings(path) == settings


def test_an_unknown_preset_is_reported() -> None:
    with pytest.raises(BadInputError, match="--preset: one of edge, feng, .*Received: mine"):
        read_preset("mine")
