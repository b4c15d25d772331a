"""A run folder keeps what was asked and what came of it, and is not mistaken for another."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg import __version__
from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.datasets import Sample
from glandseg.training.data.splits import Split
from glandseg.training.factory import build_classifier, build_segmenter
from glandseg.training.loop import precision
from glandseg.training.run import Run, find_newest_run, open_run, start_run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings


def make_split(names: str) -> Split:
    a, b, c = (Sample(name=name, path=Path(name), group=f"patient {name}") for name in names)
    return Split(train=(a,), val=(b,), test=(c,))


def finish(folder: Path, *, recorded: bool = True) -> Run:
    run = start_run(folder, TrainSettings())
    run.segmenter_path.write_bytes(b"weights")
    if recorded:
        run.write_record(data="glas")
    return run


def fix_precisions(settings: TrainSettings) -> TrainSettings:
    chosen = precision.choose_precision()[0]
    return override_settings(
        settings, [f"{stage}.fit.precision={chosen}" for stage in ("classifier", "segmenter")]
    )


def test_settings_and_record_are_kept(tmp_path: Path) -> None:
    settings = TrainSettings(labels="outlines", split_seed=4)
    run = start_run(tmp_path / "a/b", settings)
    run.write_record(data="glas", scores={"val": {"miou": 81.5}})
    run.write_record(data="ebhi")
    assert run.settings == fix_precisions(settings)
    assert run.record == {"glandseg": __version__, "data": "ebhi", "scores": {"val": {"miou": 81.5}}}


def test_a_run_is_taken_up_with_the_same_settings_only(tmp_path: Path) -> None:
    start_run(tmp_path, TrainSettings())
    assert start_run(tmp_path, TrainSettings()).path == tmp_path
    with pytest.raises(BadInputError, match=r"holds a run with other settings. Give another --out folder"):
        start_run(tmp_path, TrainSettings(split_seed=1))
    assert Run(tmp_path).settings == fix_precisions(TrainSettings())


def test_a_run_keeps_the_precision_that_it_was_started_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for started, now in (("float32", "bfloat16"), ("bfloat16", "float32")):
        folder = tmp_path / started
        for chosen in (started, now):
            monkeypatch.setattr(precision, "choose_precision", lambda chosen=chosen: (chosen, "a stand-in"))
            settings = start_run(folder, TrainSettings()).settings
            assert {stage.fit.precision for stage in (settings.classifier, settings.segmenter)} == {started}
        one_set = override_settings(TrainSettings(), [f"segmenter.fit.precision={now}"])
        with pytest.raises(BadInputError, match="holds a run with other settings"):
            start_run(folder, one_set)


def test_a_run_is_taken_up_on_the_same_data_only(tmp_path: Path) -> None:
    run = start_run(tmp_path, TrainSettings())
    run.write_split(make_split("abc"))
    written = (tmp_path / "split.csv").read_bytes()
    run.write_split(make_split("abc"))
    with pytest.raises(BadInputError, match=r"was started on other data. Give another --out folder"):
        run.write_split(make_split("abd"))
    assert (tmp_path / "split.csv").read_bytes() == written
    lines = ["name,group,part", "a,patient a,train", "b,patient b,val", "c,patient c,test"]
    assert written.decode().splitlines() == lines


def test_a_run_without_name_is_named_by_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = start_run(None, TrainSettings())
    assert run.path.parent == Path("runs") and (tmp_path / run.path / "settings.yaml").is_file()


def test_a_finished_run_opens(tmp_path: Path) -> None:
    finish(tmp_path)
    assert open_run(tmp_path).record["data"] == "glas"


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"not a run folder, it lacks settings.yaml"):
        open_run(tmp_path)
    start_run(tmp_path, TrainSettings())
    with pytest.raises(BadInputError, match="did not finish"):
        open_run(tmp_path)
    finish(tmp_path, recorded=False)  # weights that validated best so far
    with pytest.raises(BadInputError, match="did not finish"):
        open_run(tmp_path)


def test_the_newest_finished_run_is_found(tmp_path: Path) -> None:
    for age, name in enumerate(("new", "old")):
        os.utime(finish(tmp_path / name).segmenter_path, (1e9 - age, 1e9 - age))
    finish(tmp_path / "under way", recorded=False)
    start_run(tmp_path / "begun", TrainSettings())
    assert find_newest_run(tmp_path).path == tmp_path / "new"


def test_no_run_is_found(tmp_path: Path) -> None:
    finish(tmp_path / "under way", recorded=False)
    for folder in (tmp_path, tmp_path / "lost"):
        with pytest.raises(BadInputError, match=r"no finished run. Make one with `glandseg train DATA`"):
            find_newest_run(folder)


@pytest.mark.parametrize("name", ["train_1", "Polyp/GT2012149-1-400-001", "a.png", "Gewebe ü.b"])
def test_pseudo_masks_come_back_and_can_be_looked_at(tmp_path: Path, name: str) -> None:
    run, mask = Run(tmp_path), np.array([[0, 1, 255], [1, 1, 0]], np.uint8)
    assert not run.has_pseudo_mask(name)
    run.write_pseudo_mask(name, mask)
    assert run.has_pseudo_mask(name)
    np.testing.assert_array_equal(run.read_pseudo_mask(name), mask)
    grey = cv2.imdecode(np.fromfile(run.pseudo_masks_path / f"{name}.png", np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(grey, [[0, 255, 128], [255, 255, 0]])
    assert [path.suffix for path in tmp_path.rglob("*") if path.is_file()] == [".png"]


def test_soft_masks_come_back_where_there_are_some(tmp_path: Path) -> None:
    run, mask = Run(tmp_path), np.array([[0, 51, 255]], np.uint8)
    assert run.read_soft_mask("Polyp/a") is None
    run.write_soft_mask("Polyp/a", mask)
    np.testing.assert_array_equal(run.read_soft_mask("Polyp/a"), mask)
    assert not run.has_pseudo_mask("Polyp/a")


def test_a_damaged_pseudo_mask_is_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_pseudo_mask("a", np.zeros((2, 2), np.uint8))
    (run.pseudo_masks_path / "a.png").write_bytes(b"")
    with pytest.raises(BadInputError, match=r"a\.png: is empty"):
        run.read_pseudo_mask("a")


def test_networks_are_what_the_settings_say() -> None:
    settings = TrainSettings(
        classifier=ClassifierSettings(pooling="mpfp", attention=("none", "none", "cca")),
        segmenter=SegmenterSettings(width=24, bins=(1, 2)),
    )
    classifier, segmenter = build_classifier(settings), build_segmenter(settings)
    names = set(classifier.state_dict())
    assert any(name.startswith("attentions.2.position") for name in names)
    assert any(name.startswith("pooling.fusions.2") for name in names)
    assert segmenter.get_parameter("head.0.0.weight").shape[0] == 24
    assert segmenter.get_submodule("pyramid.levels.1") and "pyramid.levels.2" not in dict(
        segmenter.named_modules()
    )


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", "[" * 100_000, '{"um_per_px": "x"}', "{}", '{"um_per_px": NaN}']
)
def test_a_damaged_record_is_reported(tmp_path: Path, content: str) -> None:
    run = start_run(tmp_path, TrainSettings())
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(
        BadInputError, match=r"run\.json: damaged record of a run .*Repeat `glandseg train`"
    ) as caught:
        _ = run.um_per_px
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"name,group,part\nx\n", b"\xff\xfe\x00"])
def test_a_damaged_split_is_reported(tmp_path: Path, content: bytes) -> None:
    run = start_run(tmp_path, TrainSettings())
    (tmp_path / "split.csv").write_bytes(content)
    with pytest.raises(BadInputError, match=r"split\.csv: damaged record of a run"):
        run.read_parts()


def test_runs_of_one_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert len({start_run(None, TrainSettings()).path for _ in range(3)}) == 3


@pytest.mark.parametrize("text", ["", "[" * 100_000, "[]", "3"])
def test_a_damaged_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"run\.json: damaged record of a run"):
        _ = Run(tmp_path).record
