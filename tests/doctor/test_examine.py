"""All checks together, whatever is broken."""

from __future__ import annotations

import subprocess
import sys

import pytest

from glandseg.core.errors import BadInputError
from glandseg.doctor import devices
from glandseg.doctor import examine as examination
from glandseg.doctor.examine import examine
from glandseg.doctor.finding import Finding, ok

HEAVY = ("numpy", "cv2", "onnxruntime", "openslide", "tifffile", "imagecodecs", "psutil", "tensorrt_rtx")


def test_nothing_that_may_be_broken_is_loaded_beforehand() -> None:
    program = f"""
import sys, glandseg.doctor.examine
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_device_is_refused_before_anything_is_checked() -> None:
    with pytest.raises(BadInputError, match="Received: tpu"):
        next(examine("tpu"))


def test_a_failing_check_does_not_stop_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down() -> list[Finding]:
        raise OSError("bad library")

    monkeypatch.setattr(examination, "CHECKS", {"first": break_down, "second": lambda: [ok("second", "")]})
    monkeypatch.setattr(examination, "IN_PROCESS", ("first", "second"))
    monkeypatch.setattr(devices, "SPEED_SECONDS", 0)
    findings = list(examine())
    assert [one.topic for one in findings][:2] == ["first", "second"]
    assert (findings[0].level, findings[0].text) == ("problem", "OSError: bad library")
    assert ("ok", "cpu") in [(one.level, one.topic) for one in findings]


def test_the_network_is_left_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note_device(device: str) -> list[Finding]:
        asked.append(device)
        return []

    monkeypatch.setattr(examination, "CHECKS", {})
    monkeypatch.setattr(examination, "check_devices", lambda device, gpu: [])
    monkeypatch.setattr(examination, "check_offline", note_device)
    list(examine())
    assert asked == []
    list(examine(offline=True))
    list(examine("cuda:1", offline=True))
    assert asked == ["cpu", "cuda:1"]
