"""A whole training on synthetic tissue: from patch labels, from outlines, and from labelled patches alone."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.decoding import read_rgb
from glandseg.training.data.examples import read_examples
from glandseg.training.data.patches import list_patches
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.demo import shorten, write_synthetic_data
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.factory import build_segmenter, load_segmenter
from glandseg.training.loop.fit import Progress
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.run import Run, open_run
from glandseg.training.segmenter import Example, score_segmenter
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings
from glandseg.training.train import train
from glandseg.training.weak.label_rules import label_image
from tests.training.data.test_corrections import write_corrected_slide

FIT = FitSettings(steps=4, batch=3, lr=2e-3, warmup=2, precision="float32", validate_every=2)
SMALL = TrainSettings(
    curves=False,
    classifier=ClassifierSettings(evidence=("classifier",), input=32, output_stride=16, fit=FIT),
    segmenter=SegmenterSettings(crop=64, width=8, output_stride=16, fit=FIT),
)
TILE = 128


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of eight small synthetic tiles."""
    drawn, folder = write_synthetic_data(tmp_path_factory.mktemp("drawn")), tmp_path_factory.mktemp("tiles")
    for name in [path.name for path in sorted(drawn.glob("*_anno.png"))[:8]]:
        for file in (name, name.replace("_anno", "")):
            pixels = read_rgb(drawn / file)
            cv2.imencode(".png", pixels[:TILE, :TILE])[1].tofile(folder / file)
    return folder


@pytest.fixture(scope="module")
def labelled_patches(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of labelled patches of these tiles without outlines."""
    folder = tmp_path_factory.mktemp("patches")
    samples = find_samples(tiles).samples
    images = [sample.read() for sample in samples]
    rows = []
    for index, patch in enumerate(
        list_patches(samples, images, 0.62, ClassifierSettings(side=64, stride=64))
    ):
        cv2.imencode(".png", patch.cut(images[patch.sample])[..., ::-1])[1].tofile(folder / f"{index}.png")
        non_gland, gland = (int(present) for present in patch.present)
        rows.append((f"{index}.png", gland, non_gland, samples[patch.sample].name))
    with (folder / "patches.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "gland", "non_gland", "patient"), *rows])
    return folder


def run_quietly(data: Path, folder: Path, settings: TrainSettings) -> Run:
    return train(data, folder, settings, report=lambda stage, progress: None, say=lambda line: None)


def read_parts(run: Run) -> dict[str, list[str]]:
    with (run.path / "split.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {part: [row["name"] for row in rows if row["part"] == part] for part in ("train", "val", "test")}


def test_from_patch_labels(tiles: Path, tmp_path: Path) -> None:
    reported: list[tuple[str, int]] = []
    lines: list[str] = []
    run = train(
        tiles,
        tmp_path / "run",
        SMALL,
        report=lambda stage, progress: reported.append((stage, progress.step)),
        say=lines.append,
    )
    assert reported == [(stage, step) for stage in ("classifier", "segmenter") for step in (1, 2, 3, 4)]
    assert lines[0].startswith("glas: 8 images (5 train, 1 val, 2 test) at 0.62 um/px")
    parts, record = read_parts(run), open_run(run.path).record
    assert (record["data"], record["um_per_px"]) == ("glas", 0.62)
    assert record["images"] == {part: len(names) for part, names in parts.items()}
    made = {path.stem for path in run.pseudo_masks_path.glob("*.png")}
    assert made == {*parts["train"], *parts["val"]}  # none of the test
    mask = run.read_pseudo_mask(parts["train"][0])
    assert mask.shape == (TILE, TILE) and set(np.unique(mask)) <= {0, 1, 255}
    segmenter = build_segmenter(run.settings)
    segmenter.load_state_dict(load_tensors(run))
    val = [sample for sample in find_samples(tiles).samples if sample.name in parts["val"]]
    outlined = [Example(image=sample.read(), mask=sample.read_mask()) for sample in val]
    assert record["scores"]["val"] == score_segmenter(segmenter, outlined, "float32")


def test_from_evidence_that_needs_no_classifier(tiles: Path, tmp_path: Path) -> None:
    chosen = ["evidence=[bundled, 0.3*probe]", "ignore=0.4", "side=32", "stride=16"]
    settings = override_settings(SMALL, [f"classifier.{each}" for each in chosen])
    lines: list[str] = []
    run = train(tiles, tmp_path / "run", settings, report=lambda stage, progress: None, say=lines.append)
    assert not (run.path / "classifier.csv").exists()
    assert [each["source"] for each in run.record["evidence"]] == ["bundled", "probe"]
    assert any(line.startswith("probe: without labels right at") for line in lines)
    manifest = (run.pseudo_masks_path / "manifest.csv").read_text("utf-8").splitlines()[1:]
    assert any(0.05 < float(row.split(",")[4]) < 0.41 for row in manifest)


def test_another_round_takes_an_earlier_run_for_evidence(tiles: Path, tmp_path: Path) -> None:
    earlier = run_quietly(tiles, tmp_path / "earlier", SMALL)
    again = override_settings(SMALL, [f"classifier.evidence=[{earlier.path.as_posix()}]"])
    (source,) = run_quietly(tiles, tmp_path / "again", again).record["evidence"]
    assert (source["name"], source["weight"]) == ("earlier", 1.0)


def test_images_are_brought_to_the_segmenters_scale(tiles: Path, tmp_path: Path) -> None:
    settings = override_settings(SMALL, ["labels=outlines", "segmenter.um_per_px=1.24", "segmenter.crop=48"])
    record = run_quietly(tiles, tmp_path / "run", settings).record
    assert (record["images_um_per_px"], record["um_per_px"]) == (0.62, 1.24)
    (example, *_) = read_examples(find_samples(tiles).samples, None, 0.62, settings.segmenter)
    assert example.mask.shape == (TILE // 2, TILE // 2)


def load_tensors(run: Run) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    tensors: dict[str, torch.Tensor] = load_file(run.segmenter_path)
    return tensors


def test_from_outlines(tiles: Path, tmp_path: Path) -> None:
    settings = override_settings(SMALL, ["labels=outlines", "segmenter.synthetic=0.3"])
    run = run_quietly(tiles, tmp_path / "run", settings)
    assert set(run.record["scores"]["val"]) == {"miou", "f1"}
    assert not run.pseudo_masks_path.exists() and not (run.path / "classifier.csv").exists()


def test_from_labelled_patches_alone(labelled_patches: Path, tmp_path: Path) -> None:
    run = run_quietly(labelled_patches, tmp_path / "run", override_settings(SMALL, ["um_per_px=0.62"]))
    assert run.record["data"] == "patches" and "miou" in run.record["scores"]["val"]
    parts = read_parts(run)
    samples = {sample.name: sample for sample in find_samples(labelled_patches).samples}
    groups = [{samples[name].group for name in names} for names in parts.values()]
    assert all(groups) and not groups[0] & groups[1] and not groups[0] & groups[2]
    for name in parts["train"] + parts["val"]:
        labels = set(np.unique(run.read_pseudo_mask(name)))
        absent = {label for label, present in enumerate(samples[name].labels or ()) if not present}
        assert not labels & absent, name


def test_the_same_training_gives_the_same_network(tiles: Path, tmp_path: Path) -> None:
    first, second = (run_quietly(tiles, tmp_path / name, SMALL) for name in ("first", "second"))
    files = sorted(path.relative_to(first.path) for path in first.path.rglob("*") if path.is_file())
    assert Path("segmenter.safetensors") in files and len(files) > 8
    for file in set(files) - {Path("run.json")}:
        assert (first.path / file).read_bytes() == (second.path / file).read_bytes(), file
    assert first.record["seconds"] > 0
    assert first.record | {"seconds": 0} == second.record | {"seconds": 0}


@pytest.mark.parametrize(("stage", "step"), [("classifier", 3), ("segmenter", 1), ("segmenter", 4)])
def test_killed_and_resumed_gives_the_same_network(
    tiles: Path, tmp_path: Path, stage: str, step: int
) -> None:
    whole = run_quietly(tiles, tmp_path / "whole", SMALL)

    def kill(reported: str, progress: Progress) -> None:
        if (reported, progress.step) == (stage, step):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(tiles, tmp_path / "torn", SMALL, report=kill, say=lambda line: None)
    with pytest.raises(BadInputError, match="did not finish"):
        open_run(tmp_path / "torn")
    torn = run_quietly(tiles, tmp_path / "torn", SMALL)
    for name in ("segmenter.safetensors", "classifier.csv", "segmenter.csv"):
        assert (torn.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    assert torn.record == whole.record | {"seconds": None}  # those before the interruption are not known


def test_starting_from_an_earlier_run(tiles: Path, tmp_path: Path) -> None:
    outlines = override_settings(SMALL, ["labels=outlines"])
    earlier = run_quietly(tiles, tmp_path / "earlier", outlines)
    still = ["segmenter.fit.lr=0", "segmenter.fit.steps=1", f"start_from={earlier.path.as_posix()}"]
    run = run_quietly(tiles, tmp_path / "later", override_settings(outlines, still))
    assert run.record["start"] == {"name": "earlier", "sha256": hash_file(earlier.segmenter_path)}
    before, after = load_tensors(earlier), load_tensors(run)
    assert all(torch.equal(before[name], after[name]) for name in before if name.endswith("conv.weight"))


def test_a_run_with_cores_starts_from_one_without(tiles: Path, tmp_path: Path) -> None:
    outlines = override_settings(SMALL, ["labels=outlines"])
    earlier = run_quietly(tiles, tmp_path / "earlier", outlines)
    cores = ["segmenter.core_um=5", "segmenter.border_weight=3", "segmenter.skip=8"]
    still = ["segmenter.fit.lr=0", "segmenter.fit.steps=1", f"start_from={earlier.path.as_posix()}"]
    said: list[str] = []
    settings = override_settings(outlines, cores + still)
    run = train(tiles, tmp_path / "later", settings, report=lambda stage, progress: None, say=said.append)
    before, after = load_tensors(earlier), load_tensors(run)
    assert after["head.2.weight"].shape == (3, 4, 1, 1)  # of other features, behind the skip
    assert torch.equal(after["auxiliary_head.2.weight"][:2], before["auxiliary_head.2.weight"])
    assert torch.equal(after["head.0.0.weight"], before["head.0.0.weight"])
    (line,) = (line for line in said if "rest randomly initialised" in line)
    assert "auxiliary_head.2.weight" in line and "skip.coarse" in line
    assert load_segmenter(run).outputs == 3


def expect_refusal(data: Path, folder: Path, settings: TrainSettings, message: str) -> None:
    with pytest.raises(BadInputError) as caught:
        run_quietly(data, folder, settings)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_weights_that_no_stage_takes_are_refused(tiles: Path, tmp_path: Path) -> None:
    other = ["weights=w.pth", "segmenter.encoder=resnest50", "classifier.encoder=resnet38"]
    expect_refusal(
        tiles, tmp_path / "run", override_settings(SMALL, other), "no stage has the encoder mobilenetv2"
    )
    assert not (tmp_path / "run").exists()


def test_epochs_and_curves(tiles: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    settings = override_settings(SMALL, ["labels=outlines", "curves=true", "segmenter.fit.epochs=2"])
    run = run_quietly(tiles, tmp_path / "run", settings)
    steps = [line.partition(",")[0] for line in (run.path / "segmenter.csv").read_text("utf-8").splitlines()]
    assert steps == ["step", "2", "4"]  # twice six images, three a step
    assert (run.path / "segmenter.png").is_file()


def test_what_cannot_be_trained_on_is_reported(tiles: Path, labelled_patches: Path, tmp_path: Path) -> None:
    expect_refusal(tmp_path, tmp_path / "a", SMALL, "not a data set")
    expect_refusal(labelled_patches, tmp_path / "b", SMALL, "um/px is not known. Give --mpp")
    outlines = override_settings(SMALL, ["labels=outlines", "um_per_px=0.62"])
    expect_refusal(labelled_patches, tmp_path / "c", outlines, "no outline mask. Train with --labels patches")
    run_quietly(tiles, tmp_path / "d", override_settings(SMALL, ["labels=outlines"]))
    other = override_settings(SMALL, ["labels=outlines", "segmenter.width=4"])
    expect_refusal(tiles, tmp_path / "d", other, "holds a run with other settings")


def test_a_single_image_is_too_few(tiles: Path, tmp_path: Path) -> None:
    for name in ("drawn_00.png", "drawn_00_anno.png"):
        (tmp_path / name).write_bytes((tiles / name).read_bytes())
    expect_refusal(
        tmp_path,
        tmp_path / "run",
        SMALL,
        "two patients are needed, one to learn from and another to choose on. Received: 1 image of 1 patient",
    )


def test_white_images_give_nothing_to_learn_from(tmp_path: Path) -> None:
    for index in range(4):
        for suffix, pixels in (
            ("", np.full((64, 64, 3), 250, np.uint8)),
            ("_anno", np.zeros((64, 64), np.uint8)),
        ):
            cv2.imencode(".png", pixels)[1].tofile(tmp_path / f"{index}{suffix}.png")
    expect_refusal(tmp_path, tmp_path / "run", SMALL, "0 patches to learn from and 0 to choose on")


def test_other_data_do_not_enter_a_run(tiles: Path, tmp_path: Path) -> None:
    outlines = override_settings(SMALL, ["labels=outlines"])
    run_quietly(tiles, tmp_path / "run", outlines)
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for path in sorted(tiles.iterdir())[:-2]:
        (fewer / path.name).write_bytes(path.read_bytes())
    expect_refusal(fewer, tmp_path / "run", outlines, "was started on other data")


@pytest.fixture
def glas_corners(shared_data: Path, tmp_path: Path) -> Path:
    """Return a folder of 20 training images of GlaS, of each the upper left 336 px."""
    folder, side = tmp_path / "corners", 336
    folder.mkdir()
    samples = [p for p in find_samples(shared_data / "glas").samples if p.name.startswith("train_")]
    for sample in samples[::4][:20]:
        parts = {"": sample.read()[..., ::-1], "_anno": sample.read_mask()}
        for suffix, pixels in parts.items():
            cv2.imencode(".png", pixels[:side, :side])[1].tofile(folder / f"{sample.name}{suffix}.png")
    return folder


def score_pseudo_masks(run: Run, data: Path) -> tuple[float, float, float]:
    """Return the mIoU of a run's pseudo masks, of gland everywhere, and of gland wherever labels allow it."""
    scores = [Confusion.empty() for _ in range(3)]
    for sample in find_samples(data).samples:
        if not run.has_pseudo_mask(sample.name):
            continue
        image, truth = sample.read(), sample.read_mask() == 1
        patches = list_patches([sample], [image], 0.62, run.settings.classifier)
        gland = np.ones(truth.shape, np.float32)
        allowed = label_image(truth.shape, patches, [patch.cut(gland) for patch in patches], "veto").mask
        for index, mask in enumerate((run.read_pseudo_mask(sample.name), np.ones_like(allowed), allowed)):
            valid = allowed != 255
            scores[index] += Confusion.of(mask[valid] == 1, truth[valid])
    return scores[0].miou, scores[1].miou, scores[2].miou


@pytest.mark.shared
@pytest.mark.slow
def test_glands_are_found_in_real_tissue(shared_data: Path, glas_corners: Path, tmp_path: Path) -> None:
    quick = FitSettings(steps=60, batch=12, lr=5e-4, warmup=10, precision="float32", validate_every=60)
    settings = TrainSettings(
        weights=str(shared_data / "weights/mobilenetv2_imagenet.safetensors"),
        classifier=ClassifierSettings(
            evidence=("classifier",), ignore=0, input=96, output_stride=16, fit=quick
        ),
        segmenter=SegmenterSettings(
            crop=128,
            width=32,
            output_stride=16,
            fit=replace(quick, steps=80, batch=6, lr=1e-3, validate_every=40),
        ),
    )
    run = run_quietly(glas_corners, tmp_path / "run", settings)
    pseudo, everywhere, allowed = score_pseudo_masks(run, glas_corners)
    assert pseudo > everywhere + 0.28
    assert pseudo > allowed + 0.06  # the maps add to what the labels alone say
    assert run.record["scores"]["val"]["miou"] > 100 * everywhere + 10


def test_the_demos_tiles_to_choose_on_hold_glands_and_none(tmp_path: Path) -> None:
    data = find_samples(write_synthetic_data(tmp_path / "drawn"))
    val = split_data_set(data, shares=shorten(TrainSettings()).shares).val
    shares = [float(sample.read_mask().mean()) for sample in val]
    assert min(shares) == 0
    assert max(shares) > 0.3


def test_corrections_are_learned_beside_the_patches(tiles: Path, tmp_path: Path) -> None:
    slide = write_corrected_slide(tmp_path / "slides", "a", 1)
    settings = override_settings(SMALL, [f"corrections=[{slide.as_posix()}]"])
    said: list[str] = []
    run = train(tiles, tmp_path / "run", settings, report=lambda stage, progress: None, say=said.append)
    patches = len(list((run.path / "corrections" / "images").iterdir()))
    assert patches == 4
    assert f"corrections: {patches} patches of 1 slides are learned with their outlines" in said
    without = run_quietly(tiles, tmp_path / "without", SMALL)
    one, other = (path.joinpath("segmenter.safetensors").read_bytes() for path in (run.path, without.path))
    assert one != other
