"""Sources of evidence are checked before a training, opened by name, and held against the labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.model.files import find_bundled
from glandseg.training.data.image_file import encode_png
from glandseg.training.data.patches import Patch
from glandseg.training.data.sample import DataSet, Sample
from glandseg.training.data.splits import Split
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.evidence_sources import describe_evidence, find_models, judge_evidence, open_evidence
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings

BOTH, GLAND, STROMA = (True, True), (False, True), (True, False)


def choose(*assignments: str) -> TrainSettings:
    return override_settings(TrainSettings(), [f"classifier.{each}" for each in assignments])


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (
            ["evidence=[lost.onnx]"],
            "classifier.evidence lost.onnx: no such source. Give classifier, probe, bundled",
        ),
        (["encoder=resnet50v2"], "classifier.evidence probe: needs pretrained weights of resnet50v2"),
    ],
)
def test_what_cannot_be_used_is_refused_before_a_training(assignments: list[str], message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        find_models(choose(*assignments))
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_without_patch_labels_no_source_is_looked_for() -> None:
    assert find_models(override_settings(choose("evidence=[lost.onnx]"), ["labels=outlines"])) == {}


def test_the_record_names_each_source_its_weight_and_what_its_model_learned_from() -> None:
    settings = TrainSettings()
    facts = describe_evidence(
        settings,
        find_models(settings),
        DataSet(kind="glas", samples=(), um_per_px=0.62),
        Split(train=(), val=(), test=()),
    )
    assert [(each["source"], each["weight"]) for each in facts] == [("bundled", 1.0), ("probe", 0.15)]
    assert facts[0]["sha256"] == find_bundled().sha256
    assert any("EBHI" in source["name"] for source in facts[0]["training"])


@pytest.fixture
def sample(tmp_path: Path) -> Sample:
    """Return an image, red in its right half."""
    image = np.full((32, 64, 3), 120, np.uint8)
    image[:, 32:, 0] = 250
    encode_png(tmp_path / "a.png", image)
    return Sample(name="a", path=tmp_path / "a.png", group="a")


def cut(*present: tuple[bool, bool]) -> list[Patch]:
    return [
        Patch(sample=0, x_px=16 * index, y_px=0, width_px=16, height_px=32, present=each)
        for index, each in enumerate(present)
    ]


def test_a_probe_and_a_model_file_are_opened_and_map_patches(sample: Sample, red_model: Path) -> None:
    image, patches, said = sample.read(), cut(STROMA, BOTH, BOTH, GLAND), list[str]()
    settings = choose(f"evidence=[probe, '2*{red_model.as_posix()}']")
    with open_evidence(settings, None, [image], patches, 1.4, said.append) as sources:
        assert list(sources) == ["probe", red_model.as_posix()]
        for source in sources.values():
            left, *_, right = source.map_patches(sample, image, patches)
            assert left.shape == right.shape == (32, 16) and left.dtype == np.float32
            assert left.mean() < 0 < right.mean()
    assert said[0].startswith("probe: glandseg-colon.onnx: ") and "layers loaded" in said[0]


def test_a_probe_with_nothing_to_learn_from_is_left_out_or_refused(sample: Sample, red_model: Path) -> None:
    image, patches, said = sample.read(), cut(STROMA, BOTH), list[str]()
    settings = choose(f"evidence=[probe, {red_model.as_posix()}]")
    with open_evidence(settings, None, [image], patches, 1.4, said.append) as sources:
        assert list(sources) == [red_model.as_posix()]
    assert said[-1] == "note: no probe, it needs patches of only gland and of only non-gland"
    with (
        pytest.raises(BadInputError, match="Received: 0 only gland, 1 only non-gland, 1 both. Add some"),
        open_evidence(choose("evidence=[probe]"), None, [image], patches, 1.4, said.append),
    ):
        pass


def test_a_source_that_contradicts_the_labels_is_noted() -> None:
    right, wrong = Confusion(np.array([[9, 1], [1, 9]])), Confusion(np.array([[5, 5], [5, 5]]))
    lines = list(judge_evidence([{"probe": right, "bundled": wrong}, {"probe": right, "bundled": wrong}]))
    assert lines[0] == "probe: without labels right at 90 % of the pixels that labels alone decide"
    assert lines[1].startswith("bundled: without labels right at 50 %")
    assert lines[2].startswith("note: bundled knows little of this tissue") and len(lines) == 3
    assert not list(judge_evidence([{"probe": Confusion.empty()}]))
