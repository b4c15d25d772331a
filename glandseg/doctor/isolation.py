"""Checks in a process of their own: a library that crashes or hangs it becomes a finding."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import TypeAlias

from glandseg.core.errors import GlandsegError, shorten
from glandseg.doctor.finding import Finding, problem

Check: TypeAlias = Callable[..., list[Finding]]

_ANSWER = "glandseg findings: "
_REINSTALL = "Install it again, or report this line."


def run_check(topic: str, check: Check, *arguments: str) -> list[Finding]:
    """Run a check in this process; an error becomes a finding under `topic`."""
    try:
        return check(*arguments)
    except GlandsegError as error:
        return [problem(topic, str(error))]
    except Exception as error:
        return [problem(topic, f"{type(error).__name__}: {shorten(error)}", _REINSTALL)]


def run_isolated(
    topic: str,
    check: Check,
    *arguments: str,
    timeout_s: float = 60,
    environment: Mapping[str, str] | None = None,
) -> list[Finding]:
    """Run a check in a process of its own, which may crash or hang.

    Args:
        topic: Topic of the finding, if there is no answer.
        check: Function of a module, imported there by its name.
        arguments: Arguments of the function.
        timeout_s: Seconds after which the process is killed.
        environment: Environment of the process; None for that of this one.
    """
    command = [sys.executable, "-m", __name__, topic, check.__module__, check.__name__, *arguments]
    try:
        done = subprocess.run(
            command,
            env=dict(os.environ if environment is None else environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return [problem(topic, f"no answer within {timeout_s:g} s", _REINSTALL)]
    except OSError as error:
        return [problem(topic, f"no process could be started ({shorten(error)})")]
    out, err = (stream.decode("utf-8", "replace") for stream in (done.stdout, done.stderr))
    findings = _read_answer(out)
    if findings is None:
        return [problem(topic, _describe_end(done.returncode, err), _REINSTALL)]
    return findings


def answer(arguments: list[str]) -> None:
    """Run, in the other process, the check that the arguments name, and print its findings."""
    topic, module, function, *rest = arguments
    findings = run_check(topic, getattr(importlib.import_module(module), function), *rest)
    text = json.dumps([asdict(finding) for finding in findings])
    print(f"\n{_ANSWER}{text}", flush=True)  # noqa: T201


def _read_answer(out: str) -> list[Finding] | None:
    """Read the findings among the output of libraries; None if there are none."""
    answers = [line for line in out.splitlines() if line.startswith(_ANSWER)]
    return [Finding(**one) for one in json.loads(answers[-1].removeprefix(_ANSWER))] if answers else None


def _describe_end(code: int, err: str) -> str:
    names = {-one.value: one.name for one in signal.Signals}
    words = [line.strip() for line in err.splitlines() if line.strip()]
    return f"its process ended with {names.get(code, f'code {code}')}" + (
        f" ({words[-1][:160]})" if words else ""
    )


if __name__ == "__main__":
    answer(sys.argv[1:])
