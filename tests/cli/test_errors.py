"""Whatever goes wrong: an exit code, one line on stderr, no traceback and no output."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from glandseg.cli.main import main
from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.card import METADATA_KEY, ModelCard
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.synthetic import write_slide

Pixels = NDArray[np.uint8]
Run = Callable[..., Any]
CARD = ModelCard(name="red is gland", network="", tissue="", um_per_px=1.4, weights_sha256="")


@pytest.fixture
def slide(tmp_path: Path, draw_disks: Callable[..., Pixels]) -> Path:
    """A slide that can be run, in a folder of its own."""
    path = tmp_path / "slides" / "one.tif"
    path.parent.mkdir()
    write_slide(path, draw_disks(600, 500, [(300.0, 240.0, 100.0)]), 0.5)
    return path


@pytest.fixture
def refuse(run_command: Run, slide: Path, red_model: Path) -> Callable[..., str]:
    """Give a function that runs infer, checks its refusal and gives the line."""

    def run(code: int, *words: object, path: Path = slide, model: Path = red_model) -> str:
        outcome = run_command("infer", path, "--model", model, *words)
        assert outcome.code == code
        [line] = outcome.err
        assert line.startswith("error: ")
        assert "Traceback" not in line
        assert list(slide.parent.iterdir()) == [slide]
        return str(line)

    return run


# Slides


def make_folder(path: Path) -> None:
    path.mkdir()


def make_empty(path: Path) -> None:
    path.touch()


def make_text(path: Path) -> None:
    path.write_text("not a slide\n" * 100, encoding="utf-8")


def make_cut_tiff(path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (600, 700, 3), np.uint8)
    write_slide(path, image, 0.5)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def make_cut_png(path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (60, 70, 3), np.uint8)
    path.write_bytes(cv2.imencode(".png", image)[1].tobytes()[:5000])


def make_nothing(path: Path) -> None:
    return


@pytest.mark.parametrize(
    ("name", "make", "says"),
    [
        ("a.svs", make_nothing, "there is no such file"),
        ("a.svs", make_folder, "no slide in this folder"),
        ("a.svs", make_empty, "is empty"),
        ("a.svs", make_text, "holds no slide"),
        ("a.ndpi", make_text, "holds no slide"),
        ("a.tif", make_cut_tiff, "damaged or cut short"),
        ("a.svs", make_cut_tiff, "damaged or cut short"),
        ("a.png", make_cut_png, "damaged or cut short"),
    ],
)
def test_bad_slides(
    name: str, make: Callable[[Path], None], says: str, tmp_path: Path, refuse: Callable[..., str]
) -> None:
    make(tmp_path / name)
    line = refuse(2, "--mpp", 0.5, path=tmp_path / name)
    assert f"{tmp_path / name}: " in line
    assert says in line


@pytest.mark.shared
@pytest.mark.parametrize("name", ["CMU-1-Small-Region.svs", "test3-TRITC.ndpi", "camelyon_multiframe.dcm"])
def test_truncated_slides(name: str, shared_data: Path, tmp_path: Path, refuse: Callable[..., str]) -> None:
    data = (shared_data / "slides" / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    assert str(tmp_path / name) in refuse(2, "--mpp", 0.5, path=tmp_path / name)


def test_a_image_without_resolution_asks_for_mpp(tmp_path: Path, refuse: Callable[..., str]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((50, 50, 3), np.uint8))
    assert "--mpp" in refuse(2, path=tmp_path / "a.png")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--mpp", "1000"], "--mpp 1000"),
        (["--mpp", "nan"], "--mpp nan"),
        (["--mpp", "coarse"], "--mpp"),
        (["--scales", "1,x"], "--scales"),
        (["--scales", ""], "--scales"),
        (["--scales", "1,1"], "--scales"),
        (["--scales", "9"], "--scales"),
        (["--scales", "nan"], "--scales"),
        (["--threshold", "0"], "--threshold"),
        (["--threshold", "1"], "--threshold"),
        (["--threshold", "nan"], "--threshold"),
        (["--batch", "0"], "--batch"),
        (["--batch", "1.5"], "--batch"),
        (["--threads", "-1"], "--threads"),
        (["--min-gland-um2", "-1"], "--min-gland-um2"),
        (["--min-lumen-um2", "inf"], "--min-lumen-um2"),
        (["--device", "tpu"], "--device"),
        (["--frobnicate"], "--frobnicate"),
    ],
)
def test_bad_options(words: list[str], says: str, refuse: Callable[..., str]) -> None:
    assert says in refuse(2, *words)


def test_a_command_or_slide_is_needed(run_command: Run) -> None:
    for words in (["infer"], ["frobnicate"], ["--frobnicate"]):
        outcome = run_command(*words)
        assert (outcome.code, len(outcome.err)) == (2, 1)


def test_two_slides_of_one_name_are_named_in_full(
    slide: Path, tmp_path: Path, red_model: Path, run_command: Run
) -> None:
    other = tmp_path / "one.png"
    cv2.imwrite(str(other), np.full((300, 300, 3), 90, np.uint8))
    options = ("--out", tmp_path / "out", "--model", red_model, "--mpp", 0.5)
    assert run_command("infer", slide, other, *options).code == 0
    assert {path.name for path in (tmp_path / "out").glob("*.csv")} == {
        "one.tif.glands.csv", "one.png.glands.csv", "summary.csv"
    }  # fmt: skip


# Models


def test_a_missing_model(tmp_path: Path, refuse: Callable[..., str]) -> None:
    for model in (tmp_path / "none.onnx", tmp_path):
        assert f"{model}: no such model file" in refuse(2, model=model)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.95])
def test_a_truncated_model(share: float, tmp_path: Path, red_model: Path, refuse: Callable[..., str]) -> None:
    data = red_model.read_bytes()
    (tmp_path / "cut.onnx").write_bytes(data[: int(len(data) * share)])
    assert "cut.onnx: " in refuse(2, model=tmp_path / "cut.onnx")


def test_a_model_that_is_text(tmp_path: Path, refuse: Callable[..., str]) -> None:
    make_text(tmp_path / "text.onnx")
    assert "text.onnx: not a model of glandseg, it is no ONNX file" in refuse(2, model=tmp_path / "text.onnx")


def test_a_model_that_takes_something_else(
    tmp_path: Path, red_model: Path, refuse: Callable[..., str]
) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(red_model)
    model.graph.input[0].name = model.graph.node[0].input[0] = "input"
    onnx.save(model, tmp_path / "other.onnx")
    assert "other.onnx: not a model of glandseg, it takes 'input', not 'windows'" in refuse(
        2, model=tmp_path / "other.onnx"
    )


def test_a_model_in_two_files(tmp_path: Path, refuse: Callable[..., str]) -> None:
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "two.onnx"
    onnx.save(onnx.load(BUNDLED), path, save_as_external_data=True, location="two.data", size_threshold=100)
    assert "two.onnx: its weights lie outside this file" in refuse(2, model=path)


def make_metadata(**changes: object) -> dict[str, str]:
    values = json.loads(CARD.to_metadata()[METADATA_KEY])
    return {METADATA_KEY: json.dumps(values | changes)}


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ({}, "its metadata lack glandseg.card"),
        ({METADATA_KEY: "{"}, "its card cannot be read"),
        ({METADATA_KEY: "[]"}, "its card cannot be read"),
        ({METADATA_KEY: "{}"}, "its card cannot be read"),
        (make_metadata(kind="tile classifier"), "it is a tile classifier"),
        (make_metadata(window_px=224), "it wants windows of 224 px"),
        (make_metadata(stride_px=128), "it wants windows of 320 px every 128 px"),
        (make_metadata(um_per_px=0), "its card asks for 0 um/px"),
        (make_metadata(um_per_px="fine"), "its card asks for fine um/px"),
        (make_metadata(scales=[]), "its card's scales"),
        (make_metadata(classes=["gland", "non-gland"]), "its classes are gland, non-gland"),
    ],
)
def test_a_model_of_another_kind(
    metadata: dict[str, str],
    says: str,
    tmp_path: Path,
    write_model: Callable[..., Path],
    refuse: Callable[..., str],
) -> None:
    model = write_model(tmp_path / "other.onnx", metadata)
    assert f"other.onnx: not a model of glandseg, {says}" in refuse(2, model=model)


def test_a_model_that_differs_from_its_record(
    tmp_path: Path, red_model: Path, refuse: Callable[..., str]
) -> None:
    model = tmp_path / "red.onnx"
    model.write_bytes(red_model.read_bytes())
    record = tmp_path / "red.json"
    record.write_text(json.dumps({"files": {"red.onnx": {"sha256": "0" * 64}}}), encoding="utf-8")
    assert "red.json says 000000000000" in refuse(2, model=model)
    record.write_text("{", encoding="utf-8")
    assert "red.json: damaged record" in refuse(2, model=model)


# The machine


def test_an_output_folder_below_a_file(tmp_path: Path, refuse: Callable[..., str]) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in refuse(3, "--out", tmp_path / "file")
    assert "cannot be written" in refuse(3, "--out", tmp_path / "file" / "below")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="permissions do not bind root")
def test_an_output_folder_without_permission(tmp_path: Path, refuse: Callable[..., str]) -> None:
    (tmp_path / "locked").mkdir(mode=0o500)
    assert "cannot be written" in refuse(3, "--out", tmp_path / "locked")


@pytest.mark.parametrize("full", ["probability.map", "unstained.map", "mask.map"])
def test_a_full_disk(
    full: str,
    slide: Path,
    red_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    run_command: Run,
) -> None:
    """Whichever map meets it, the windows that were finished are kept for the next try."""
    plain_open, plain_write, out = TileMap.__init__, TileMap.write, tmp_path / "out"
    names: dict[TileMap, str] = {}

    def note(self: TileMap, path: Path, *shape: int) -> None:
        names[self] = path.name
        plain_open(self, path, *shape)

    def write(self: TileMap, *block: Any) -> None:
        if names[self] == full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        plain_write(self, *block)

    monkeypatch.setattr(TileMap, "__init__", note)
    monkeypatch.setattr(TileMap, "write", write)
    outcome = run_command("infer", slide, "--model", red_model, "--out", out)
    assert outcome.code == 3
    assert [f"{out}: the disk is full" in line for line in outcome.err] == [True]
    assert [path.name for path in out.iterdir()] == [f".{slide.stem}.glandseg"]


def test_a_name_that_is_too_long(slide: Path, red_model: Path, run_command: Run) -> None:
    long = slide.rename(slide.with_name("n" * 245 + ".tif"))
    outcome = run_command("infer", long, "--model", red_model)
    assert (outcome.code, len(outcome.err)) == (3, 1)
    assert "cannot be written" in outcome.err[0]


@pytest.mark.skipif(os.name == "nt", reason="another limit, of whole paths")
def test_outputs_with_names_too_long_are_told_before_the_work(
    slide: Path, red_model: Path, run_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object) -> None:
        raise AssertionError("the network ran")

    monkeypatch.setattr(CpuSession, "infer", fail)
    long = slide.rename(slide.with_name("n" * 242 + ".tif"))
    outcome = run_command("infer", long, "--model", red_model)
    assert outcome.code == 3
    assert "Rename the slide: its outputs' names are longer than its own" in outcome.err[0]
    assert list(long.parent.iterdir()) == [long]


@pytest.mark.skipif(
    "CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="this ONNX Runtime has CUDA"
)
def test_cuda_without_cuda(refuse: Callable[..., str]) -> None:
    assert "this ONNX Runtime has no CUDA" in refuse(3, "--device", "cuda")


def test_cuda_that_does_not_start(monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., str]) -> None:
    providers = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: None)
    with pytest.warns(UserWarning, match="CUDAExecutionProvider"):
        assert "fell back to CPU" in refuse(3, "--device", "cuda")


def test_both_wheels_of_onnxruntime(monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., str]) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.22.0")
    assert "both installed" in refuse(3)


def test_no_onnxruntime(monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., str]) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    assert 'pip install "glandseg[cpu]"' in refuse(3)


# Exit codes


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (BadInputError("a: rule.\nCure"), 2, "error: a: rule. Cure"),
        (EnvironmentLacksError("b"), 3, "error: b"),
        (ValueError("inner\nfault"), 4, "error: ValueError: inner fault (a bug in glandseg"),
        (MemoryError(), 3, "memory"),
    ],
)
def test_exit_codes(
    error: Exception, code: int, says: str, monkeypatch: pytest.MonkeyPatch, refuse: Callable[..., str]
) -> None:
    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(CpuSession, "infer", fail)
    assert says in refuse(code)


def test_debug_shows_where(slide: Path, red_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ValueError("inner fault")

    monkeypatch.setattr(CpuSession, "infer", fail)
    for words in (["--debug", "infer", str(slide)], ["infer", str(slide), "--debug"]):
        with pytest.raises(ValueError, match="inner fault"):
            main([*words, "--model", str(red_model)])
    with pytest.raises(BadInputError, match="no such model file"):
        main(["--debug", "infer", str(slide), "--model", "none.onnx"])
    assert list(slide.parent.iterdir()) == [slide]


def test_an_interrupt_says_stopped(
    slide: Path, red_model: Path, monkeypatch: pytest.MonkeyPatch, run_command: Run
) -> None:
    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(CpuSession, "infer", stop)
    outcome = run_command("infer", slide, "--model", red_model)
    kept = f"{slide.name}: finished windows are kept; to resume, repeat the command"
    assert (outcome.code, outcome.err) == (130, [kept, "stopped"])
    assert list(slide.parent.iterdir()) == [slide]
