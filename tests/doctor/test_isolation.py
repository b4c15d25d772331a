"""Looks that crash, hang or raise become findings."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glandseg.core.errors import EnvironmentLacksError
from glandseg.doctor.finding import Finding, ok, problem
from glandseg.doctor.isolation import Check, run_check, run_isolated

PROBES = """
import atexit, os, sys, time
from glandseg.doctor.finding import ok
from glandseg.core.errors import EnvironmentLacksError

def fine(word):
    print("a library's noise")
    return [ok("x", word)]

def nothing():
    return []

def raising():
    raise ValueError("bad\\nlibrary")

def lacking():
    raise EnvironmentLacksError("x: not installed. pip install x.")

def aborting():
    print("the last words", file=sys.stderr, flush=True)
    os.abort()

def aborting_at_exit():
    atexit.register(os.abort)
    return [ok("x", "before the end")]

def hanging():
    time.sleep(60)
"""


@pytest.fixture
def find_probe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Check]:
    """Give a function that finds a check of a module that other processes can import too."""
    (tmp_path / "probes_for_tests.py").write_text(PROBES, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "probes_for_tests", raising=False)
    module = importlib.import_module("probes_for_tests")
    return lambda name: getattr(module, name)


FindProbe = Callable[[str], Check]


def test_findings_come_back(find_probe: FindProbe) -> None:
    assert run_isolated("x", find_probe("fine"), "µ ü") == [ok("x", "µ ü")]
    assert run_isolated("x", find_probe("nothing")) == []


@pytest.mark.parametrize("take", [run_check, run_isolated])
def test_what_is_raised_is_told(take: Callable[..., list[Finding]], find_probe: FindProbe) -> None:
    (finding,) = take("x", find_probe("raising"))
    assert (finding.level, finding.text) == ("problem", "ValueError: bad library")
    assert finding.cure
    assert take("x", find_probe("lacking")) == [problem("x", "x: not installed. pip install x.")]


def test_a_process_that_dies_is_told(find_probe: FindProbe) -> None:
    (finding,) = run_isolated("x", find_probe("aborting"))
    assert finding.level == "problem"
    assert finding.text.startswith("its process ended with ")
    assert "the last words" in finding.text


def test_an_answer_outlives_a_crash_at_the_end(find_probe: FindProbe) -> None:
    assert run_isolated("x", find_probe("aborting_at_exit")) == [ok("x", "before the end")]


def test_a_process_that_hangs_is_ended(find_probe: FindProbe) -> None:
    (finding,) = run_isolated("x", find_probe("hanging"), timeout_s=1)
    assert (finding.level, finding.text) == ("problem", "no answer within 1 s")


def test_no_process_at_all(find_probe: FindProbe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    (finding,) = run_isolated("x", find_probe("fine"), "")
    assert finding.text.startswith("no process could be started")


def test_errors_of_glandseg_keep_their_words() -> None:
    def lack() -> list[Finding]:
        raise EnvironmentLacksError("y: rule. Cure.")

    assert run_check("y", lack)[0].text == "y: rule. Cure."
