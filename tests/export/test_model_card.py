from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from glandseg import RESEARCH_USE
from glandseg.core.errors import BadInputError
from glandseg.export.model_card import describe_model
from glandseg.model.card import CLASSES, CLASSES_WITH_CORE, read_card
from glandseg.model.separation import Separation
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import write_settings


def test_run_describes_itself(run: Run) -> None:
    card = describe_model(run, "small", "ab" * 32)
    assert (card.name, card.um_per_px, card.weights_sha256) == ("small", 0.62, "ab" * 32)
    assert card.network == (
        "PSPNet on mobilenetv2 at output stride 16, bins 1, 2, 3, 6, head 128 wide, skip at stride 4, "
        "learned from outlines"
    )
    assert card.training == ({"name": "glas", "licence": "not stated"},)
    assert card.scores == {"val": {"miou": 50.0, "f1": 60.0}}
    assert card.licence == "not stated" and card.use == RESEARCH_USE


@pytest.mark.parametrize(
    ("labels", "lesson"),
    [
        ("none", "distilled from big (sha256 cd)"),
        ("outlines", "distilled from big (sha256 cd) and learned from outlines"),
    ],
)
def test_a_student_names_its_teacher_and_whom_that_learned_from(
    tmp_path: Path, labels: str, lesson: str
) -> None:
    write_settings(tmp_path / "settings.yaml", TrainSettings(labels=labels, teacher="runs/big"))
    sources = [{"name": "GlaS", "licence": "research"}]
    teacher = {"name": "big", "sha256": "cd", "training": sources}
    Run(tmp_path).write_record(data="images", um_per_px=0.62, teacher=teacher)
    card = describe_model(Run(tmp_path), "small", "ab" * 32)
    assert card.network.endswith(f"head 128 wide, {lesson}")
    assert card.training == (
        {"licence": "not stated", "name": "images"},
        {"licence": "not stated", "name": "distilled from big (sha256 cd)"},
        {"licence": "research", "name": "GlaS"},
    )


def test_facts_replace_what_the_run_says(run: Run) -> None:
    facts = {
        "name": "colon",
        "tissue": "colon",
        "scales": [1.0, 1.5],
        "training": [{"name": "A", "licence": "CC0"}],
    }
    card = describe_model(run, "small", "ab" * 32, facts)
    assert (card.name, card.tissue, card.scales) == ("colon", "colon", (1.0, 1.5))
    assert card.training == ({"name": "A", "licence": "CC0"},)
    assert read_card(card.to_metadata()) == card


@pytest.mark.parametrize("field", ["color", "weights_sha256", "precision", "use", "window_px"])
def test_fields_that_nobody_may_fill_are_refused(run: Run, field: str) -> None:
    with pytest.raises(BadInputError, match=f"{field} cannot be set"):
        describe_model(run, "small", "ab" * 32, {field: "x"})


@pytest.mark.parametrize("um_per_px", [0, -1, "0.5", None, float("nan")])
def test_resolution_must_be_a_number(run: Run, um_per_px: object) -> None:
    with pytest.raises(BadInputError, match="um_per_px must be a number above 0"):
        describe_model(run, "small", "ab" * 32, {"um_per_px": um_per_px})


def test_fact_that_no_card_can_hold_is_refused(run: Run) -> None:
    with pytest.raises(BadInputError, match="card: cannot be written"):
        describe_model(run, "small", "ab" * 32, {"tissue": datetime.date(2026, 1, 1)})


@pytest.fixture
def core_run(tmp_path: Path) -> Run:
    """Return a run with a core channel that looks finished."""
    stage = SegmenterSettings(core_um=4.0, skip=8)
    write_settings(tmp_path / "settings.yaml", TrainSettings(labels="outlines", segmenter=stage))
    Run(tmp_path).write_record(data="glas", um_per_px=0.62)
    return Run(tmp_path)


def test_a_run_without_cores_leaves_glands_together(run: Run) -> None:
    card = describe_model(run, "small", "ab" * 32)
    assert card.classes == CLASSES and card.separation is None


def test_a_run_with_cores_says_so_and_separates_by_them(core_run: Run) -> None:
    card = describe_model(core_run, "small", "ab" * 32)
    assert card.classes == CLASSES_WITH_CORE
    assert card.separation == Separation(channel="core", threshold=0.5, reach_um=8.0)
    assert "head 128 wide, skip at stride 8, cores 4 um inside borders, learned" in card.network
    assert read_card(card.to_metadata()) == card


def test_facts_choose_the_rule_of_separation(run: Run, core_run: Run) -> None:
    rule = {"channel": "gland", "threshold": 0.75, "reach_um": 10}
    for each in (run, core_run):
        card = describe_model(each, "small", "ab" * 32, {"separation": rule})
        assert card.separation == Separation(channel="gland", threshold=0.75, reach_um=10)
    assert describe_model(core_run, "small", "ab" * 32, {"separation": None}).separation is None


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"channel": "core", "threshold": 0.5, "reach_um": 10}, "a channel that it lacks, core"),
        ({"channel": "nucleus", "threshold": 0.5, "reach_um": 10}, "gland or core, not nucleus"),
        ({"channel": "gland", "threshold": 2, "reach_um": 10}, "threshold: above 0 and up to 1, not 2"),
        ({"channel": "gland"}, "missing .*threshold"),
        ("core", "cannot be written"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_refused(run: Run, rule: object, message: str) -> None:
    with pytest.raises(BadInputError, match=f"^card: .*{message}"):
        describe_model(run, "small", "ab" * 32, {"separation": rule})
