"""The proof that nothing needs the network, and that it can fail."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from glandseg.core.telemetry import REFUSALS
from glandseg.doctor.isolation import run_isolated
from glandseg.doctor.offline import (
    check_offline,
    check_telemetry,
    replace_home,
    run_offline,
)
from glandseg.runtime.outputs.write import SUFFIXES

PROGRAM = """
import socket, sys, urllib.request
from glandseg.doctor.offline import NetworkError, Watch
watch = Watch()
socket.gethostname()
if hasattr(socket, "AF_UNIX"):
    socket.socket(socket.AF_UNIX).close()
assert watch.attempts == [], watch.attempts
try:
    {attempt}
except NetworkError:
    print(watch.attempts)
"""


def test_glands_are_found_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://192.0.2.1:9")
    (finding,) = check_offline("cpu")
    assert (finding.level, finding.topic) == ("ok", "offline"), finding
    written = f"{len(SUFFIXES)} files written"
    assert f"glands found, {written}, nothing left in the home folder" in finding.text


def test_what_a_library_leaves_in_the_home_folder_is_told(tmp_path: Path) -> None:
    left = tmp_path / ".cache" / "Company" / "deviceid"
    left.parent.mkdir(parents=True)
    left.write_text("1234")
    environment = replace_home(os.environ, str(tmp_path))
    (finding,) = run_isolated("offline", run_offline, "cpu", str(tmp_path), environment=environment)
    assert finding.level == "problem"
    assert "files were left in the home folder (.cache/Company/deviceid)" in finding.text


def test_telemetry_is_off_and_doctor_notices_if_not(monkeypatch: pytest.MonkeyPatch) -> None:
    (finding,) = check_telemetry()
    assert (finding.level, "ORT_DISABLE_TELEMETRY=1" in finding.text) == ("ok", True)
    for name in REFUSALS:
        monkeypatch.delenv(name)
    (finding,) = check_telemetry()
    assert finding.level == "problem"


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('192.0.2.1', 9), timeout=1)",
        "socket.getaddrinfo('example.org', 443)",
        "socket.socket().connect(('127.0.0.1', 9))",
        "urllib.request.urlopen('http://192.0.2.1:9', timeout=1)",
    ],
)
def test_every_way_out_is_refused_and_noted(attempt: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(attempt=attempt)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() not in ("", "[]")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="namespaces are Linux's")
def test_leaving_the_network_leaves_no_device() -> None:
    program = """
from pathlib import Path
from glandseg.doctor.offline import leave_network
left = leave_network()
devices = [line.split(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines()[2:]]
print(left, devices == ["lo"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    if done.stdout.startswith("False"):
        pytest.skip("this system allows no namespaces")
    assert done.stdout.split() == ["True", "True"]
