"""A folder of slides becomes a folder that training reads; each slide whole or not at all, and only once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.data.annotated_slides import find_annotated_slides
from glandseg.training.data.cut_folder import write_slide_patches, write_table
from glandseg.training.data.cut_slides import CutSettings
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.image_file import encode_png

SETTINGS = CutSettings(um_per_px=1.0, side=20, stride=20, mpp=0.5)
RunCommand = Callable[..., Any]


def write_slide(folder: Path, name: str, classes: tuple[str, ...] = ("Gland", "Stroma")) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(name)).integers(0, 200, (100, 160, 3), dtype=np.uint8)
    cv2.imencode(".png", pixels)[1].tofile(folder / f"{name}.png")
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [[80 * k, 0], [80 * k + 80, 0], [80 * k + 80, 80], [80 * k, 80], [80 * k, 0]]
                ],
            },
            "properties": {"classification": {"name": name, "color": [0, 0, 0]}},
        }
        for k, name in enumerate(classes)
    ]
    (folder / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))


@pytest.fixture
def slides(tmp_path: Path) -> Path:
    """Return a folder of two slides with regions."""
    for name in ("one", "second"):
        write_slide(tmp_path / "slides", name)
    return tmp_path / "slides"


def cut_all(slides: Path, out: Path, settings: CutSettings = SETTINGS) -> list[bool]:
    before = [write_slide_patches(slide, out, settings)[1] for slide in find_annotated_slides(slides)]
    write_table(out)
    return before


def test_training_reads_what_was_cut(slides: Path, tmp_path: Path) -> None:
    out = tmp_path / "patches"
    assert cut_all(slides, out) == [False, False]
    data_set = find_samples(out)
    assert (data_set.kind, data_set.um_per_px, len(data_set.samples)) == ("patches", 1.0, 16)
    assert {sample.group for sample in data_set.samples} == {"one", "second"}
    first = data_set.samples[0]
    assert first.name == "one/x00000_y00000.png" and first.labels == (False, True) and first.mask_path is None
    assert first.read().shape == (20, 20, 3)
    assert (out / "patches.csv").read_text().splitlines()[:2] == [
        "file,gland,non_gland,patient,um_per_px,mask",
        "one/x00000_y00000.png,1,0,one,1,",
    ]


def test_outlines_are_read_as_masks(slides: Path, tmp_path: Path) -> None:
    cut_all(
        slides, tmp_path / "patches", CutSettings(um_per_px=1.0, side=20, stride=20, mpp=0.5, outlines=True)
    )
    samples = find_samples(tmp_path / "patches").samples
    assert {int(sample.read_mask().sum()) for sample in samples} == {0, 400}
    for sample in samples:
        assert sample.labels == (sample.read_mask().sum() == 0, sample.read_mask().sum() == 400)


def test_what_was_cut_is_not_cut_again(slides: Path, tmp_path: Path) -> None:
    out = tmp_path / "patches"
    cut_all(slides, out)
    table = (out / "patches.csv").read_bytes()
    patch = out / "one/x00000_y00000.png"
    patch.unlink()
    assert cut_all(slides, out) == [True, True] and not patch.exists()
    write_slide(slides, "one", ("Stroma", "Gland"))
    (out / "one/stale.png").touch()
    assert cut_all(slides, out) == [False, True] and patch.exists() and not (out / "one/stale.png").exists()
    assert (out / "patches.csv").read_bytes() != table


def test_skipped_regions_are_noted_each_time(tmp_path: Path) -> None:
    write_slide(tmp_path / "slides", "one", ("Gland", "Tumour"))
    (slide,) = find_annotated_slides(tmp_path / "slides")
    for before in (False, True):
        notes: list[str] = []
        rows, found = write_slide_patches(slide, tmp_path / "out", SETTINGS, notes.append)
        assert found is before and len(rows) == 4
        assert notes == ["passed over, as neither Gland nor Non-gland: 1 of class Tumour"]


def test_the_command_warns_of_skipped_regions(tmp_path: Path, run_command: RunCommand) -> None:
    write_slide(tmp_path / "slides", "one", ("Gland", "Tumour"))
    options = ("--mpp", "0.5", "--mpp-model", "1", "--side", "20", "--stride", "20")
    outcome = run_command("cut", tmp_path / "slides", "--out", tmp_path / "out", *options)
    assert outcome.code == 0
    assert outcome.err == [
        "warning: one.geojson: passed over, as neither Gland nor Non-gland: 1 of class Tumour"
    ]


def test_patients_come_from_a_table(slides: Path, tmp_path: Path) -> None:
    (slides / "patients.csv").write_text("slide,patient\none.png,7\nsecond,7\n")
    cut_all(slides, tmp_path / "patches")
    assert {sample.group for sample in find_samples(tmp_path / "patches").samples} == {"7"}


def test_a_slide_is_cut_whole_or_not_at_all(
    slides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "patches"
    written: list[Path] = []

    def fail_at_third(path: Path, pixels: Any) -> None:
        written.append(path)
        if len(written) == 3:
            raise KeyboardInterrupt
        encode_png(path, pixels)

    monkeypatch.setattr("glandseg.training.data.cut_folder.encode_png", fail_at_third)
    with pytest.raises(KeyboardInterrupt):
        cut_all(slides, out)
    assert list(out.iterdir()) == []
    monkeypatch.undo()
    assert cut_all(slides, out) == [False, False]
    assert sorted(path.name for path in out.iterdir()) == ["one", "patches.csv", "second"]


def test_a_slide_of_which_all_is_white_is_refused(slides: Path, tmp_path: Path) -> None:
    cv2.imencode(".png", np.full((100, 160), 255, np.uint8))[1].tofile(slides / "one.png")
    with pytest.raises(BadInputError, match=r"one\.png: its annotated regions are white. Annotate tissue"):
        cut_all(slides, tmp_path / "patches")
    assert list((tmp_path / "patches").iterdir()) == []


def test_other_settings_are_refused(slides: Path, tmp_path: Path) -> None:
    cut_all(slides, tmp_path / "patches")
    with pytest.raises(BadInputError, match="was cut with other settings. Give another --out folder"):
        cut_all(slides, tmp_path / "patches", CutSettings(um_per_px=1.0, side=10, stride=20, mpp=0.5))


def test_a_folder_of_something_else_is_left_alone(slides: Path) -> None:
    (slides / "one").mkdir()
    (slides / "one/Data0000.dat").write_text("of a slide")
    with pytest.raises(BadInputError, match="one: exists and was not made by `glandseg cut`"):
        cut_all(slides, slides)
    assert (slides / "one/Data0000.dat").read_text() == "of a slide"


@pytest.mark.parametrize("name", ["one.geojson.gz", "one.svs.geojson", "one.GeoJSON"])
def test_regions_find_their_slide(tmp_path: Path, name: str) -> None:
    for file in (
        "one.svs",
        "one.csv",
        "one.qpdata",
        "one.glands.geojson",
        "other.svs",
        "._one.geojson",
        name,
    ):
        (tmp_path / file).touch()
    (slide,) = find_annotated_slides(tmp_path)
    assert (slide.path.name, slide.regions_path.name, slide.patient) == ("one.svs", name, "one")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (("a.svs",), "no GeoJSON of regions. Export it from QuPath as NAME.geojson"),
        (("a.svs", "b.geojson"), r"b\.geojson: no slide named b beside it"),
        (("a.svs", "a.tif", "a.geojson"), r"a\.geojson: a\.svs and a\.tif beside it"),
        (("a.svs", "a.geojson", "a.svs.geojson"), r"a\.svs: a\.geojson and a\.svs\.geojson. Keep one"),
    ],
)
def test_what_does_not_pair_is_refused(tmp_path: Path, files: tuple[str, ...], message: str) -> None:
    for file in files:
        (tmp_path / file).touch()
    with pytest.raises(BadInputError, match=message):
        find_annotated_slides(tmp_path)
    with pytest.raises(BadInputError, match="no such folder"):
        find_annotated_slides(tmp_path / "lost")


def test_the_command(slides: Path, tmp_path: Path, run_command: RunCommand) -> None:
    words = (
        "cut",
        slides,
        "--out",
        tmp_path / "p",
        "--mpp-model",
        1,
        "--side",
        20,
        "--stride",
        20,
        "--mpp",
        0.5,
    )
    outcome = run_command(*words)
    assert outcome.code == 0 and not outcome.err
    assert outcome.out == [
        "one.png: 8 patches, 4 with gland, 4 with other tissue",
        "second.png: 8 patches, 4 with gland, 4 with other tissue",
        f"{tmp_path / 'p'}: 16 patches",
        f"next: glandseg train {tmp_path / 'p'}",
    ]
    assert run_command(*words).out[0].endswith("cut before")


def test_one_bad_slide_does_not_stop_the_others(
    slides: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    (slides / "one.geojson").write_text("{}")
    words = ("cut", slides, "--out", tmp_path / "p", "--mpp-model", 1, "--side", 20, "--mpp", 0.5)
    outcome = run_command(*words)
    assert outcome.code == 1 and outcome.out[0].startswith("second.png: ")
    assert (
        len(outcome.err) == 2 and "one.geojson" in outcome.err[0] and outcome.err[1] == "1 of 2 slides failed"
    )
    shutil.rmtree(tmp_path / "p")
    for path in slides.glob("second.*"):
        path.unlink()
    outcome = run_command(*words)
    assert outcome.code == 2 and len(outcome.err) == 1 and not (tmp_path / "p/patches.csv").exists()
