"""The computer itself."""

from __future__ import annotations

import os
import platform
import sys
from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from glandseg.core import processor
from glandseg.core.units import GIB
from glandseg.doctor import computer

Usage = namedtuple("Usage", "total used free")


def test_python_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = computer.check_python()
    assert finding.level == "ok"
    assert platform.python_version() in finding.text
    monkeypatch.setattr(sys, "version_info", (3, 9, 1))
    assert computer.check_python()[0].level == "problem"


def test_the_system_is_told_without_its_host() -> None:
    (finding,) = computer.check_system()
    assert platform.system() in finding.text
    assert platform.node() not in finding.text.split()


@pytest.mark.parametrize(
    ("features", "says"),
    [
        ({"AVX2": True, "AVX512VNNI": True}, "with AVX-512 VNNI: INT8 models run fastest"),
        ({"AVX2": True, "AVX512VNNI": False}, "with AVX2"),
        ({}, "vector instructions not readable"),
    ],
)
def test_vector_instructions(features: dict[str, bool], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor, "list_features", lambda: features)
    monkeypatch.setattr(processor, "CPU_INFO", Path("none"))
    (finding,) = computer.check_processor()
    assert finding.level == "ok"
    assert finding.text.endswith(says)
    assert f"of {os.cpu_count()} CPUs" in finding.text


@pytest.mark.parametrize(
    ("free", "limit", "level", "says"),
    [
        (8, None, "ok", "8.0 of 16.0 GiB free"),
        (1, None, "note", "1.0 of 16.0 GiB free"),
        (8, 4, "ok", "4.0 of 4.0 GiB free"),
        (8, 1, "note", "1.0 of 1.0 GiB free"),
    ],
)
def test_memory(free: int, limit: int | None, level: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = SimpleNamespace(total=16 * GIB, available=free * GIB)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: sizes)
    monkeypatch.setattr(computer, "_read_limit", lambda: limit * GIB if limit else None)
    (finding,) = computer.check_memory()
    assert (finding.level, finding.text) == (level, says)


def test_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(0, 0, 20 * GIB))
    assert [one.level for one in computer.check_disks()] == ["ok", "ok"]
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Usage(0, 0, GIB))
    here, temporary = computer.check_disks()
    assert (here.level, here.text) == ("note", "1.0 GiB free here")
    assert temporary.cure
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert "not writable" in computer.check_disks()[0].text
