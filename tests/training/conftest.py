"""What the tests of training share."""

from __future__ import annotations

import pytest

from glandseg.training import pace


@pytest.fixture(autouse=True)
def few_timed_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time few steps for a plan: the tests' own are short."""
    monkeypatch.setattr(pace, "MIN_SECONDS", 0.0)
    monkeypatch.setattr(pace, "MIN_STEPS", 2)
