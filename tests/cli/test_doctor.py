"""`glandseg doctor` from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from glandseg.cli.doctor import lay_out
from glandseg.doctor import devices
from glandseg.doctor import examine as examination
from glandseg.doctor.finding import Finding, note, ok, problem

Run = Callable[..., Any]


@pytest.fixture
def set_findings(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def put(*findings: Finding) -> None:
        def examine(device: str, *, offline: bool) -> Iterator[Finding]:
            yield from findings

        monkeypatch.setattr(examination, "examine", examine)

    return put


def test_this_machine(run_command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "SPEED_SECONDS", 0)
    outcome = run_command("doctor")
    assert (outcome.code, outcome.err) == (0, [])
    levels = {line[9:23].strip(): line[:9].strip() for line in outcome.out[:-1]}
    assert {"Python", "system", "models", "OpenSlide", "ONNX Runtime", "TensorRT", "GPU", "cpu"} <= set(
        levels
    )
    assert levels["cpu"] == levels["Python"] == levels["models"] == "ok"
    assert outcome.out[-1].endswith("; cpu runs")
    assert str(Path.home()) not in "\n".join(outcome.out) or len(Path.home().parts) == 1


def test_columns(run_command: Run, set_findings: Callable[..., None]) -> None:
    set_findings(ok("cpu", "runs"), note("disk", "1 GiB free", "Free some."), problem("imaging", "cv2: bad"))
    assert run_command("doctor").out == [
        "ok       cpu           runs",
        "note     disk          1 GiB free. Free some.",
        "problem  imaging       cv2: bad",
        "glandseg 0.1.0: 1 problem, 1 note; cpu runs",
    ]


@pytest.mark.parametrize(
    ("device", "findings", "code", "says"),
    [
        ("auto", [ok("cpu", "")], 0, "cpu runs"),
        ("auto", [problem("cpu", "")], 3, "cpu does not run"),
        ("cuda", [ok("cpu", ""), problem("cuda", "")], 3, "cuda does not run"),
        ("cuda:1", [ok("cuda:1", "")], 0, "cuda:1 runs"),
        ("cpu", [ok("cpu", ""), note("cuda", "")], 0, "cpu runs"),
        ("auto", [ok("cpu", ""), ok("cuda", ""), note("trt", "")], 0, "cpu, cuda run"),
        ("auto", [ok("cpu", ""), problem("imaging", "")], 0, "cpu runs"),
        ("auto", [ok("cpu", ""), problem("offline", "")], 3, "cpu runs"),
    ],
)
def test_exit_codes(
    device: str,
    findings: list[Finding],
    code: int,
    says: str,
    run_command: Run,
    set_findings: Callable[..., None],
) -> None:
    set_findings(*findings)
    outcome = run_command("doctor", "--device", device)
    assert outcome.code == code
    assert outcome.out[-1].endswith(says)


def test_json(run_command: Run, set_findings: Callable[..., None]) -> None:
    set_findings(ok("cpu", "runs"), problem("offline", "asked", "Report."))
    outcome = run_command("doctor", "--json", "--offline")
    assert outcome.code == 3
    facts = json.loads("\n".join(outcome.out))
    assert facts["findings"][1] == {
        "level": "problem",
        "topic": "offline",
        "text": "asked",
        "cure": "Report.",
    }


def test_an_unknown_device(run_command: Run) -> None:
    outcome = run_command("doctor", "--device", "tpu")
    assert outcome.code == 2
    assert "Received: tpu" in outcome.err[0]


def test_a_terminal_wraps_below_the_text() -> None:
    finding = ok("imaging", " ".join(["opencv-python 5.0"] * 6))
    first, *more = lay_out(finding, 60).splitlines()
    assert first.startswith("ok       imaging       opencv-python")
    assert more
    assert all(line.startswith(" " * 23 + "o") or line.startswith(" " * 23 + "5") for line in more)
    assert all(len(line) <= 60 for line in more)
    assert "\n" not in lay_out(finding, 30)
