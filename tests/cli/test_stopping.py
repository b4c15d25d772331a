"""Signals that end a process say a line as Ctrl-C does, and leave finished windows."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.cli.stopping import Stopped, take_signals
from glandseg.model.onnx.cpu import CpuSession
from glandseg.synthetic import draw_slide, write_slide

pytestmark = pytest.mark.skipif(os.name == "nt", reason="processes are ended without a signal there")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_the_run_with_a_line(
    number: signal.Signals,
    tmp_path: Path,
    red_model: Path,
    run_command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_slide(tmp_path / "one.tif", draw_slide(300, 300, 0.5, 3)[0], 0.5)
    monkeypatch.setattr(CpuSession, "infer", lambda *arguments: signal.raise_signal(number))
    outcome = run_command("infer", tmp_path / "one.tif", "--model", red_model)
    kept = "one.tif: finished windows are kept; to resume, repeat the command"
    assert (outcome.code, outcome.err) == (128 + number, [kept, "stopped"])
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with take_signals() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert stop.number is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_number_is_kept() -> None:
    with pytest.raises(Stopped), take_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
    assert stop.number == signal.SIGTERM


def test_other_threads_take_no_signals() -> None:
    seen: list[object] = []

    def work() -> None:
        with take_signals() as stop:
            seen.append(stop.number)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
