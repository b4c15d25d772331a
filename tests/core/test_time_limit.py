"""Calls that must not wait forever."""

from __future__ import annotations

import threading

import pytest

from glandseg.core.time_limit import call_in_time
from glandseg.core.workers import StalledError


def test_results_and_errors_come_back() -> None:
    assert call_in_time("adding", 5.0, lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(ZeroDivisionError):
        call_in_time("dividing", 5.0, lambda: 1 // 0)


def test_what_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glandseg.core.workers._STALL_S", 0.0)
    with pytest.raises(StalledError, match="opening the slide has not answered for 0 s"):
        call_in_time("opening the slide", 0.1, threading.Event().wait)
