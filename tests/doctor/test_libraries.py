"""Libraries that load, do not, or are old."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import openslide
import pytest

from glandseg.doctor import libraries
from glandseg.doctor.libraries import (
    check_imaging,
    check_openslide,
    check_training,
    parse_version,
)


@pytest.fixture
def set_versions(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(**versions: str) -> None:
        def find(name: str) -> str:
            if name.replace("-", "_") not in versions:
                raise metadata.PackageNotFoundError(name)
            return versions[name.replace("-", "_")]

        monkeypatch.setattr(metadata, "version", find)

    return put


def test_what_is_installed_loads() -> None:
    (finding,) = check_imaging()
    assert finding.level == "ok"
    assert f"numpy {metadata.version('numpy')}" in finding.text


def test_a_broken_library_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    reasons = {"cv2": "libGL.so.1: cannot open shared object file", "shapely": "bad DLL"}
    monkeypatch.setattr(libraries, "_load", lambda name: reasons.get(name, ""))
    findings = check_imaging()
    assert [one.level for one in findings] == ["problem", "problem", "ok"]
    assert "libGL.so.1" in findings[0].text
    assert "apt install libgl1" in findings[0].cure
    assert findings[1].cure == "pip install --force-reinstall shapely."
    assert "shapely" not in findings[2].text


def test_two_wheels_of_opencv(set_versions: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries, "_load", lambda name: "")
    set_versions(opencv_python="5.0", opencv_python_headless="5.0")
    assert "overwrite each other" in check_imaging()[0].text
    set_versions(opencv_python_headless="5.0")
    (finding,) = check_imaging()
    assert "opencv-python 5.0 (headless)" in finding.text


@pytest.mark.parametrize(("version", "level"), [("4.0.1", "ok"), ("4.1", "ok"), ("4.0.0", "note")])
def test_an_old_openslide(version: str, level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openslide, "__library_version__", version)
    (finding,) = check_openslide()
    assert finding.level == level
    assert bool(finding.cure) == (level == "note")


def test_an_openslide_that_does_not_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "openslide", None)
    (finding,) = check_openslide()
    assert (finding.level, finding.topic) == ("problem", "OpenSlide")


def test_training_is_optional(set_versions: Any) -> None:
    set_versions(torch="2.13.0")
    assert check_training()[0].text == "PyTorch 2.13.0"
    set_versions()
    (finding,) = check_training()
    assert finding.level == "ok"
    assert "not needed for infer" in finding.text


@pytest.mark.parametrize(
    ("text", "numbers"), [("4.0.1", (4, 0, 1)), ("4.0.1.2rc1", (4, 0, 1)), ("dev", ()), ("", ())]
)
def test_versions_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert parse_version(text) == numbers
