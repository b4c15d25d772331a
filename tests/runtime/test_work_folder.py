"""Unfinished work: kept, continued, dropped, and never shared."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from glandseg.runtime.errors import EnvironmentLacksError
from glandseg.runtime.staging import OLDER, move_into_place
from glandseg.runtime.work_folder import open_work_folder

FACTS = {"slide": "abc", "scales": [1.0]}


def work_on(folder: Path, facts: Mapping[str, object], fail: bool = True) -> list[str]:
    """Leave a finished window behind, and tell what was found and said."""
    told: list[str] = []
    try:
        with open_work_folder(folder, "slide", facts, told.append) as work:
            kept = work / "finished.windows"
            told.append(f"found {kept.read_text() if kept.exists() else 'nothing'}")
            kept.write_text("window")
            if fail:
                raise RuntimeError
    except RuntimeError:
        pass
    return told


def test_work_cut_off_is_continued(tmp_path: Path) -> None:
    assert work_on(tmp_path, FACTS) == ["found nothing"]
    assert work_on(tmp_path, FACTS) == ["found window"]
    assert work_on(tmp_path, FACTS, fail=False) == ["found window"]
    assert list(tmp_path.iterdir()) == []


def test_work_on_other_facts_is_dropped_and_said_so(tmp_path: Path) -> None:
    work_on(tmp_path, FACTS)
    told = work_on(tmp_path, FACTS | {"scales": [2.0]})
    assert told == ["unfinished work with other settings, model or slide is dropped", "found nothing"]


def test_nothing_is_left_where_nothing_was_finished(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), open_work_folder(tmp_path / "out", "slide", FACTS, print):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom glandseg.runtime.work_folder import open_work_folder\n"
        f"with open_work_folder(Path({str(tmp_path)!r}), 'slide', {FACTS!r}, print):\n"
        "    print('in', flush=True)\n    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(EnvironmentLacksError, match="another glandseg is at work on this slide"):
            work_on(tmp_path, FACTS)
    finally:
        other.kill()
        other.wait()
    assert work_on(tmp_path, FACTS, fail=False) == ["found nothing"]


def test_older_outputs_left_out_of_place_come_back(tmp_path: Path) -> None:
    work = tmp_path / ".slide.glandseg"
    (work / OLDER).mkdir(parents=True)
    (work / OLDER / "slide.csv").write_text("older")
    with open_work_folder(tmp_path, "slide", FACTS, print):
        assert (tmp_path / "slide.csv").read_text() == "older"
    assert [path.name for path in tmp_path.iterdir()] == ["slide.csv"]


def test_older_outputs_do_not_mix_with_newer(tmp_path: Path) -> None:
    work = tmp_path / ".slide.glandseg"
    (work / OLDER).mkdir(parents=True)
    for name in ("slide.csv", "slide.json"):
        (work / OLDER / name).write_text("older")
    (tmp_path / "slide.csv").write_text("newer")
    with open_work_folder(tmp_path, "slide", FACTS, print) as work:
        assert [path.name for path in tmp_path.glob("slide.*")] == ["slide.csv"]
        (work / "slide.csv").write_text("newest")
        (work / "slide.json").write_text("newest")
        move_into_place(work, tmp_path, ["slide.csv", "slide.json"])
    assert {path.read_text() for path in tmp_path.iterdir()} == {"newest"}
