"""What is found is told on one line that may be shown to strangers."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.core.errors import shorten
from glandseg.core.system import hide_home
from glandseg.doctor.finding import note, ok, problem


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: tmp_path))
    return tmp_path


def test_a_home_folder_is_not_told(home: Path) -> None:
    assert hide_home(f"{home}/slides and '{home}'") == "~/slides and '~'"
    assert problem("disk", f"{home}/a full", f"Empty {home}").text == "~/a full"
    assert note("disk", "", f"Empty {home}").cure == "Empty ~"


def test_a_folder_that_only_begins_like_it_stays(home: Path) -> None:
    assert hide_home(f"{home}2/slides") == f"{home}2/slides"


def test_a_home_that_is_no_ones_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "home", classmethod(lambda cls: Path("/")))
    assert hide_home("/usr/lib") == "/usr/lib"


def test_lines_are_joined() -> None:
    assert ok("x", "first\n  second").text == "first second"


def test_the_machines_name_and_what_a_terminal_would_obey_are_left_out() -> None:
    error = "CUDA failure 35 ; GPU=0 ; hostname=ward7-pc ; file=a.cc\x1b[2J"
    assert note("CUDA", error).text == "CUDA failure 35 ; GPU=0 ; file=a.cc [2J"
    assert "ward7-pc" not in shorten(RuntimeError(error))
