"""`glandseg infer` over many slides, and `glandseg watch`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.cohort.slide_state import DONE, SlideState, read_slide_state
from tests.cohort.cohort_folder import write_slides

Run = Callable[..., Any]
OPTIONS = ("--device", "cpu", "--threads", "1", "--precision", "float32")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_slides(tmp_path / "in", ["a.tif", "b.tif", "c.tif"])
    (tmp_path / "in" / "bad.svs").write_text("text", encoding="utf-8")
    return tmp_path / "in"


def read_states(out: Path) -> dict[str, str]:
    facts = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    return {Path(row["slide"]).name: row["state"] for row in facts["slides"]}


def test_a_folder_is_run_and_summarised(
    folder: Path, tmp_path: Path, red_model: Path, run_command: Run
) -> None:
    out = tmp_path / "out"
    first = run_command("infer", folder, "--out", out, "--model", red_model, *OPTIONS)
    assert first.code == 1
    assert first.err[-1] == "1 of 4 slides failed"
    assert first.out[-1] == f"4 slides: 3 done, 1 failed; look at {out / 'index.html'}"
    assert read_states(out) == {"a.tif": "done", "b.tif": "done", "c.tif": "done", "bad.svs": "failed"}
    times = {path: path.stat().st_mtime_ns for path in out.glob("*.geojson")}
    again = run_command("infer", folder, "--out", out, "--model", red_model, *OPTIONS)
    assert again.code == 1
    assert not any(line.startswith("model: ") for line in again.out)
    assert any("bad.svs: failed before" in line and "--retry-failed" in line for line in again.err)
    assert {path: path.stat().st_mtime_ns for path in out.glob("*.geojson")} == times


def test_workers_share_a_folder(folder: Path, tmp_path: Path, red_model: Path, run_command: Run) -> None:
    out = tmp_path / "out"
    done = run_command("infer", folder, "--out", out, "--model", red_model, *OPTIONS, "--workers", 2)
    assert done.code == 1
    assert any(line.startswith("2 workers, with 1 GiB each") for line in done.out)
    assert read_states(out) == {"a.tif": "done", "b.tif": "done", "c.tif": "done", "bad.svs": "failed"}


def test_two_commands_on_one_folder_run_each_slide_once(tmp_path: Path, red_model: Path) -> None:
    names = [f"{number}.tif" for number in range(8)]
    write_slides(tmp_path / "in", names)
    command = [
        sys.executable,
        "-m",
        "glandseg",
        "infer",
        str(tmp_path / "in"),
        "--out",
        str(tmp_path / "out"),
    ]
    command += ["--model", str(red_model), *OPTIONS]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, encoding="utf-8") for _ in range(2)]
    printed = [process.communicate(timeout=300)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    ran = [line.partition(":")[0] for text in printed for line in text.splitlines() if "mm2 tissue" in line]
    assert sorted(ran) == names
    assert set(read_states(tmp_path / "out").values()) == {"done"}


def test_shards_share_the_slides(folder: Path, tmp_path: Path, red_model: Path, run_command: Run) -> None:
    out = tmp_path / "out"
    options = ("--out", out, "--model", red_model, *OPTIONS)
    run_command("infer", folder, *options, "--shard", "1/2")
    assert list(read_states(out).values()).count("waiting") == 2
    run_command("infer", folder, *options, "--shard", "2/2")
    assert list(read_states(out).values()).count("waiting") == 0


@pytest.mark.parametrize("shard", ["0/2", "3/2", "2", "a/b", "1/0"])
def test_what_is_no_shard(shard: str, folder: Path, red_model: Path, run_command: Run) -> None:
    done = run_command("infer", folder, "--model", red_model, "--shard", shard)
    assert done.code == 2
    assert "--shard: I/N, the part I of N" in done.err[-1]


def test_a_list_gives_each_slide_its_own(
    folder: Path, tmp_path: Path, red_model: Path, run_command: Run
) -> None:
    table = tmp_path / "slides.csv"
    table.write_text("slide;mpp;out\nin/a.tif;0,7;x\nin/b.tif;;y\n", encoding="utf-8-sig")
    done = run_command("infer", "--list", table, "--model", red_model, *OPTIONS)
    assert done.code == 0
    record = json.loads((tmp_path / "x" / "a.run.json").read_text(encoding="utf-8"))
    assert record["slide"]["um_per_px"] == "0.7"
    assert (tmp_path / "y" / "b.run.json").is_file()
    assert read_states(tmp_path) == {"a.tif": "done", "b.tif": "done"}


def test_a_plan_runs_nothing(folder: Path, tmp_path: Path, red_model: Path, run_command: Run) -> None:
    out = tmp_path / "out"
    done = run_command("infer", folder, "--out", out, "--model", red_model, *OPTIONS, "--dry-run")
    assert done.code == 0
    assert done.out[-1].startswith("3 of 4 slides to run: 12 windows, about ")
    assert not out.exists()


def test_slides_or_a_list_are_needed(folder: Path, tmp_path: Path, run_command: Run) -> None:
    assert run_command("infer").code == 2
    (tmp_path / "slides.csv").write_text("slide\nin/a.tif\n", encoding="utf-8")
    done = run_command("infer", folder, "--list", tmp_path / "slides.csv")
    assert done.code == 2
    assert "Give one of them" in done.err[-1]


@pytest.mark.skipif(os.name == "nt", reason="signals differ there")
def test_a_watched_folder_is_run_as_slides_arrive(tmp_path: Path, red_model: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    script = (
        "from glandseg.cohort import watch; watch.POLL_S = 0.2; from glandseg.cli.main import main; main()"
    )
    command = [
        sys.executable,
        "-c",
        script.replace("watch.POLL_S", "watch.list_ready.__kwdefaults__['poll_s']"),
    ]
    command += ["watch", str(folder), "--out", str(out), "--model", str(red_model), *OPTIONS]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8") as process:
        slides = write_slides(folder, ["a.tif"])
        wait_for_done(out, slides[0].stem, process)
        slides = write_slides(folder, ["b.tif"])
        wait_for_done(out, slides[0].stem, process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 128 + signal.SIGTERM
    assert set(read_states(out)) == {"a.tif", "b.tif"}


def wait_for_done(out: Path, stem: str, process: subprocess.Popen[str]) -> None:
    from glandseg.cohort.cohort_slide import CohortSlide

    slide = CohortSlide(path=out / stem, folder=out, stem=stem)
    for _ in range(600):
        state: SlideState | None = read_slide_state(slide)
        if state is not None and state.state == DONE:
            return
        assert process.poll() is None
        time.sleep(0.2)
    raise AssertionError(f"{stem} was not run")


def test_only_a_folder_is_watched(tmp_path: Path, run_command: Run) -> None:
    done = run_command("watch", tmp_path / "none")
    assert done.code == 2
    assert "not a folder" in done.err[-1]
