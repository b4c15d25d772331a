"""Rates and times left."""

from __future__ import annotations

import io
import sys

import pytest

from glandseg.cli import progress as module
from glandseg.cli.progress import Pace, describe_pace, show_progress
from glandseg.cli.streams import guard_streams


class Clock:
    """A clock that is set by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that takes itself for a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    return clock


def test_a_count_that_falls_begins_anew(clock: Clock) -> None:
    pace = Pace()
    clock.now = 100.0
    assert pace.measure(50) == pytest.approx(0.5)
    assert pace.measure(1) == 0  # a second stage
    clock.now = 102.0
    assert pace.measure(21) == pytest.approx(10.0)


def test_the_time_left_follows_from_the_rate() -> None:
    assert describe_pace(2.0, 10, 30, "windows") == "2.0 windows/s, 10 s left"
    assert describe_pace(0.0, 0, 30, "windows") == "0.0 windows/s"


def test_lines_come_now_and_then(clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    with show_progress("windows") as advance:
        for second in range(40):
            clock.now = float(second)
            advance(second, 100, "")
    lines = capsys.readouterr().err.splitlines()
    assert lines == ["15/100 windows, 1.0 windows/s, 85 s left", "30/100 windows, 1.0 windows/s, 70 s left"]


def test_no_name_steers_the_lines_or_the_bar(
    clock: Clock, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "[/red]\x1b[2J\nerror: forged"
    with show_progress("images") as advance:
        clock.now = 20.0
        advance(1, 2, note)
    lines = capsys.readouterr().err
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", Terminal())
    terminal = sys.stderr
    with guard_streams(), show_progress("images") as advance:
        advance(1, 2, note)
    assert isinstance(terminal, Terminal)
    bar = terminal.getvalue()
    for said in (lines, bar):
        assert r"[/red]\x1b[2J\nerror: forged" in said
        assert "\x1b[2J" not in said
