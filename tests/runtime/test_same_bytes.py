"""The same slide gives the same bytes, however the work is cut, ordered or cut off."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.files import ModelFile
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.settings import InferSettings
from glandseg.synthetic import write_slide
from tests.runtime.output_bytes import read_output

Pixels = NDArray[np.uint8]
Infer = Callable[..., list[bytes]]
DISKS = [(500.0, 450.0, 300.0), (1500.0, 700.0, 420.0), (2300.0, 300.0, 60.0), (1900.0, 1750.0, 30.0)]


@pytest.fixture
def slide(draw_disks: Callable[..., Pixels], tmp_path: Path) -> Path:
    """Draw glands larger than a window, one with a hole, on a slide of several rows of windows."""
    image = draw_disks(2600, 1900, DISKS, [(1500.0, 700.0, 200.0)])
    noise = np.random.default_rng(0).integers(-20, 20, image.shape)
    write_slide(tmp_path / "disks.tif", np.clip(image + noise, 0, 255).astype(np.uint8), 0.7)
    return tmp_path / "disks.tif"


@pytest.fixture
def infer(slide: Path, model: ModelFile, tmp_path: Path) -> Infer:
    """Return a function that runs the slide and returns the bytes of all outputs but the record's timings."""

    def run(threads: int = 1, **settings: Any) -> list[bytes]:
        out = tmp_path / f"out-{len(list(tmp_path.glob('out-*')))}"
        with CpuSession(model.path, threads=threads) as session:
            return read_bytes(infer_slide(slide, session, model, InferSettings(**settings), out=out))

    return run


def read_bytes(result: Result) -> list[bytes]:
    *files, record = result.outputs
    told = json.loads(record.read_text(encoding="utf-8"))
    for fickle in ("seconds", "network_share"):
        told["result"].pop(fickle)
    for asked in ("batch", "max_ram_gib"):
        told["settings"].pop(asked)
    return [*map(read_output, files), json.dumps(told).encode()]


@pytest.mark.parametrize("scales", [(1.0,), (0.75, 1.5), (1.0, 2.0)])
def test_batches_threads_blocks_and_memory_change_no_byte(
    scales: tuple[float, ...], infer: Infer, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = infer(scales=scales)
    assert infer(scales=scales, batch=1) == plain
    assert infer(scales=scales, batch=3, threads=2, max_ram_gib=1.8) == plain
    monkeypatch.setattr("glandseg.runtime.slide_windows.choose_swath_px", lambda planes, cache: 512)
    monkeypatch.setattr("glandseg.runtime.tiling.map_writer.BLOCK_PX", 512)
    assert infer(scales=scales) == plain


def test_adaptive_scales_do_not_depend_on_the_order_either(
    infer: Infer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glandseg.runtime.tiling.adaptive.MIN_UNCERTAIN", 0.002)
    plain = infer(adaptive=True)
    record = json.loads(plain[-1])
    assert 98 < record["result"]["windows"] < 592  # of the base scales, of all
    for swath_px in (1024, 2048, 4096):
        monkeypatch.setattr(
            "glandseg.runtime.slide_windows.choose_swath_px", lambda planes, cache, px=swath_px: px
        )
        assert infer(adaptive=True, batch=5) == plain


def test_a_gland_larger_than_any_window_stays_one(infer: Infer) -> None:
    outlines = json.loads(infer(min_gland_um2=4000.0)[0])["features"]
    assert len(outlines) == 3
    assert [len(feature["geometry"]["coordinates"]) for feature in outlines].count(2) == 1


@pytest.mark.parametrize("moment", [0.0, 0.3, 0.6, 0.9])
def test_a_killed_process_is_continued_to_the_same_bytes(
    moment: float, slide: Path, model: ModelFile, infer: Infer, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-c", SLOW, str(slide), str(model.path), str(out)]
    expected = infer()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:  # shares of the windows done
        if float(line) > moment:
            break
    process.kill()
    process.wait()
    kept = next(out.glob(".disks.glandseg/*.windows"))
    assert kept.stat().st_size > 0
    said: list[str] = []
    with CpuSession(model.path, threads=1) as session:
        result = infer_slide(slide, session, model, InferSettings(), out=out, say=said.append)
    assert any("kept from before" in line for line in said)
    assert read_bytes(result) == expected
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in result.outputs)


# Runs a slide with a network that takes its time, and prints after each call which share of it is done.
SLOW = """
import sys, time
from pathlib import Path
from glandseg.runtime.infer import infer_slide
from glandseg.model.files import check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.settings import InferSettings

slide, model, out = map(Path, sys.argv[1:])
with CpuSession(model, threads=1) as session:
    plain = session.infer
    session.infer = lambda windows: (time.sleep(0.05), plain(windows))[1]
    tell = lambda done, total: print(done / total, flush=True)
    infer_slide(slide, session, check_model(model, "--model"), InferSettings(batch=2), out=out, advance=tell)
"""


def test_finished_work_of_another_slide_is_not_taken(
    slide: Path, model: ModelFile, infer: Infer, tmp_path: Path, draw_disks: Callable[..., Pixels]
) -> None:
    out = tmp_path / "out"

    def stop(done: int, total: int) -> None:
        if done > 4:
            raise KeyboardInterrupt

    with CpuSession(model.path, threads=1) as session:
        with pytest.raises(KeyboardInterrupt):
            infer_slide(slide, session, model, InferSettings(batch=2), out=out, advance=stop)
        write_slide(slide, draw_disks(2600, 1900, DISKS[:1], []), 0.7)
        said: list[str] = []
        result = infer_slide(slide, session, model, InferSettings(), out=out, say=said.append)
    assert "unfinished work with other settings, model or slide is dropped" in said
    assert read_bytes(result) == infer()
