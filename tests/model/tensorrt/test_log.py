"""TensorRT's log, and the line that explains a failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.model.tensorrt.log import find_reason, open_log


@pytest.fixture
def log() -> Any:
    class Logger:
        WARNING = 2

    return open_log(SimpleNamespace(ILogger=Logger))


@pytest.mark.parametrize("severity", [0, 1])
def test_errors_of_both_severities_are_the_reason(log: Any, severity: int) -> None:
    log.log(2, "a warning")
    log.log(severity, "CUDA initialization failure:\n the driver is too old")
    log.log(2, "another warning")
    log.log(3, "what it does")
    assert find_reason(log) == "CUDA initialization failure: the driver is too old"
    assert len(log.lines) == 3


def test_without_an_error_the_last_line_is_the_reason(log: Any) -> None:
    assert find_reason(log) == "no reason given"
    log.log(2, "a warning")
    assert find_reason(log) == "a warning"
