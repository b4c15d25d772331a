"""The record of a run: facts, versions, stages."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import numpy as np
import pytest

from glandseg import RESEARCH_USE, __version__
from glandseg.runtime.record import Clock, list_versions, write_record


def test_facts_and_versions_are_written(tmp_path: Path) -> None:
    write_record(tmp_path / "run.json", {"slide": {"unit": "µm"}})
    text = (tmp_path / "run.json").read_text(encoding="utf-8")
    read = json.loads(text)
    assert "µm" in text
    assert text.endswith("}\n")
    assert (read["glandseg"], read["use"]) == (__version__, RESEARCH_USE)
    assert read["versions"]["numpy"] == np.__version__
    assert read["versions"]["python"] == platform.python_version()


def test_versions_name_no_user_and_no_host() -> None:
    values = " ".join(list_versions().values())
    words = [word for word in (platform.node(), getpass.getuser()) if len(word) > 4]
    assert not [word for word in words if word in values]


def test_a_clock_counts_by_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([10.0, 11.5, 11.75])
    monkeypatch.setattr("glandseg.runtime.record.time.monotonic", lambda: next(times))
    clock = Clock()
    clock.end("first")
    clock.end("second")
    assert clock.seconds == {"first": 1.5, "second": 0.25}
